"""The only place in sync that touches the database: plain functions, one transaction each.

They run in the small thread pool of `Store.run`, never on the event loop. Mail tables are reached only at
one mailbox (`at_mailbox`), which the row policies check a second time.
"""

from postern.sync.store.changes import follow, here_among, window
from postern.sync.store.errands import (
    Spot,
    Task,
    due_errands,
    errand_done,
    errand_failed,
    has_due_errands,
    letter_of,
    seconds_to_errand,
)
from postern.sync.store.folders import (
    Place,
    finish_rematch,
    forget_start,
    places,
    remember,
    rewind,
    window_start,
)
from postern.sync.store.letters import Ledger, keep, ledger, met
from postern.sync.store.mailboxes import Account, Watched, history_date, load, note_health, pin, watched
from postern.sync.store.pool import Store, listening_address
from postern.sync.store.probes import claim, finish, note_certificate, show_steps, waiting

__all__ = [
    "Account",
    "Ledger",
    "Place",
    "Spot",
    "Store",
    "Task",
    "Watched",
    "claim",
    "due_errands",
    "errand_done",
    "errand_failed",
    "finish",
    "finish_rematch",
    "follow",
    "forget_start",
    "has_due_errands",
    "here_among",
    "history_date",
    "keep",
    "ledger",
    "letter_of",
    "listening_address",
    "load",
    "met",
    "note_certificate",
    "note_health",
    "pin",
    "places",
    "remember",
    "rewind",
    "seconds_to_errand",
    "show_steps",
    "waiting",
    "watched",
    "window",
    "window_start",
]
