"""Who may see which mail: the one query layer, and the context that the row policies read.

`web` and `api` reach mail only through querysets narrowed here (`visible_to`, `owned_by`); the row
policies of postern.mail.wall are the second lock below them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponseBase

from postern.mail.models import ConversationShare, Message
from postern.mailboxes.models import Mailbox, Reader
from postern.people.models import Staff


def visible_keys(staff: Staff, *, outgoing: bool | None = None) -> list[int]:
    """Return the wall keys (classes of mail) that `staff` may read at this moment; `outgoing` narrows to one direction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.visible_to(%s)", [staff.pk])
        keys: list[int] = cursor.fetchone()[0]
    return [key for key in keys if outgoing is None or bool(key & 2) == outgoing]


def answerable_keys(staff: Staff) -> list[int]:
    """Return the wall keys of others' mail that `staff` may answer in its owner's name at this moment."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app.answerable_to(%s)", [staff.pk])
        return list(cursor.fetchone()[0])


def may_answer(staff: Staff, message: Message) -> bool:
    """True when `staff` may answer a message that they see: its owner, and readers with that grant."""
    return message.mailbox.owner_id == staff.pk or message.wall_key in answerable_keys(staff)


def set_viewer(staff_id: int | None) -> None:
    """Name the person for the row policies, for the rest of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.staff_id', %s, true)", [str(staff_id or "")])


@contextmanager
def viewing_as(staff: Staff) -> Iterator[None]:
    """A transaction in which the row policies see `staff`; for streams and tests outside a request."""
    with transaction.atomic():
        set_viewer(staff.pk)
        yield


@contextmanager
def at_mailbox(mailbox_id: int) -> Iterator[None]:
    """A transaction in which a worker reaches the mail of one mailbox and of no other."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            # Plans of the checks of foreign keys are kept: one made while a table was small would go on reading it
            # from end to end while a first sync fills it.
            cursor.execute(
                "SELECT set_config('app.mailbox_id', %s, true), set_config('enable_seqscan', 'off', true)",
                [str(mailbox_id)],
            )
        yield


def has_own_mailbox(staff: Staff) -> bool:
    """True when the person has an IMAP account set up; without one, grants show nothing (row 7)."""
    return Mailbox.objects.filter(owner=staff, imap_ready=True).exists()


def waits_for_own_mailbox(staff: Staff) -> bool:
    """True when somebody gave access that stays shut until the person's own mailbox is set up."""
    if has_own_mailbox(staff):
        return False
    given = (Reader.objects.filter(staff=staff), ConversationShare.objects.filter(staff=staff))
    return any(rows.exists() for rows in given)


class WallMiddleware:
    """One transaction a request, in which nobody is looking until ViewerMiddleware says who."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        with transaction.atomic():
            set_viewer(None)
            response = self.get_response(request)
            if response.status_code >= 500:
                transaction.set_rollback(True)
            return response


class ViewerMiddleware:
    """Tells the row policies who is signed in. A disabled person's session ends here."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if isinstance(request.user, Staff):
            set_viewer(request.user.pk)
        return self.get_response(request)
