"""As which role of the database a test works, statement by statement: postern_web unless it says otherwise."""

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from psycopg.pq import TransactionStatus

if TYPE_CHECKING:  # Django may not be set up yet when this file is read
    from postern.people.models import Staff

_here: ContextVar[str | None] = ContextVar("role of this thread", default=None)
_everywhere = "web"


@contextlib.contextmanager
def acting_as(role: str, *, everywhere: bool = True) -> Iterator[None]:
    """Let database work happen as `role`: in this context, and in threads that have not chosen one.

    everywhere=False leaves other threads alone: for a thread that serves pages while the test syncs.
    """
    global _everywhere
    token, before = _here.set(role), _everywhere
    if everywhere:
        _everywhere = role
    try:
        yield
    finally:
        _here.reset(token)
        _everywhere = before


def watch(connection: Any, **_: Any) -> None:
    """Make each new connection, in whatever thread, take on the role wanted at each statement."""

    def take_on(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        role = _here.get() or _everywhere
        session = connection.connection.info
        # Asked each time: a rollback also takes the change back. The server tells every change by itself.
        if session.transaction_status != TransactionStatus.INERROR:
            wanted = session.user if role == "superuser" else f"postern_{role}"
            if session.parameter_status("session_authorization") != wanted:
                connection.connection.execute(f"SET SESSION AUTHORIZATION {wanted}")
        return execute(sql, params, many, context)

    if not any(getattr(w, "of_tests", False) for w in connection.execute_wrappers):
        take_on.of_tests = True  # type: ignore[attr-defined]
        connection.execute_wrappers.append(take_on)


def hire(*, email: str, name: str, password: str | None = None, role: str = "admin", **more: Any) -> "Staff":
    """Return a new administrator, whatever role the test works as: the pages' role makes none by itself."""
    from postern.people.models import Staff

    with acting_as("superuser", everywhere=False):
        return Staff.objects.create_staff(email=email, name=name, password=password, role=role, **more)


def allow_unchecked(allowed: bool = True) -> None:
    """Let certificates go unchecked, or no longer, without the page; whatever role the test works as."""
    from postern.mailboxes.models import SystemEmail

    with acting_as("superuser", everywhere=False):
        SystemEmail.objects.update_or_create(pk=1, defaults={"unchecked_certificates": allowed})
