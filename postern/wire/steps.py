"""The steps of reaching a mail server, timed and told one by one to whoever waits for them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from postern.wire.errors import MailError

LABELS = {
    "resolve": "Look up the server's name",
    "connect": "Reach the server",
    "secure": "Secure the connection",
    "sign_in": "Sign in",
    "open_folders": "Read the folders",
    "accept_sender": "Accept the sender",
    "send": "Send",
}


@dataclass(frozen=True)
class Step:
    """One finished step; ``error`` is set when it failed, and no step follows a failed one."""

    key: str
    label: str
    ok: bool
    milliseconds: int
    detail: str = ""
    error: MailError | None = None


OnStep = Callable[[Step], None]


@dataclass
class Note:
    """What a running step wants to say about itself, filled in while it runs."""

    detail: str = ""


@contextmanager
def step(on_step: OnStep | None, key: str) -> Iterator[Note]:
    """Time the block and report it as the step ``key``; a ``MailError`` is reported and goes on upwards."""
    begun = time.monotonic()
    note = Note()

    def report(error: MailError | None) -> None:
        if on_step is not None:
            milliseconds = round((time.monotonic() - begun) * 1000)
            on_step(Step(key, LABELS[key], error is None, milliseconds, note.detail, error))

    # Cancellation and programming errors are no result of the step, so nothing is reported for them.
    try:
        yield note
    except MailError as error:
        report(error)
        raise
    report(None)
