"""The only place in sync that touches the database: plain functions, one transaction each.

They run in the small thread pool of `Store.run`, never on the event loop. Mail tables are reached only at
one mailbox (`at_mailbox`), which the row policies check a second time.
"""

from postern.sync.store.changes import count_here, follow, here_among, window
from postern.sync.store.errands import (
    Spot,
    Task,
    due_errands,
    errand_done,
    errand_failed,
    errands_among,
    letter_of,
    seconds_to_errand,
    whole_letter,
)
from postern.sync.store.folders import (
    Place,
    arrivals,
    finish_rematch,
    forget_starts,
    places,
    remember,
    remember_anew,
    rewind,
    window_start,
)
from postern.sync.store.leases import CHANNEL, bury, give_back, owners, renew, say, take
from postern.sync.store.letters import Ledger, keep, ledger, met, strangers
from postern.sync.store.mailboxes import (
    Account,
    Watched,
    ask_for_a_look,
    history_date,
    last_look,
    load,
    note_health,
    note_looked,
    note_reconciled,
    pin,
    watched,
)
from postern.sync.store.pool import Held, LeaseLost, Store, listening_address
from postern.sync.store.probes import claim, finish, note_certificate, show_steps, waiting

__all__ = [
    "CHANNEL",
    "Account",
    "Held",
    "LeaseLost",
    "Ledger",
    "Place",
    "Spot",
    "Store",
    "Task",
    "Watched",
    "arrivals",
    "ask_for_a_look",
    "bury",
    "claim",
    "count_here",
    "due_errands",
    "errand_done",
    "errand_failed",
    "errands_among",
    "finish",
    "finish_rematch",
    "follow",
    "forget_starts",
    "give_back",
    "here_among",
    "history_date",
    "keep",
    "last_look",
    "ledger",
    "letter_of",
    "listening_address",
    "load",
    "met",
    "note_certificate",
    "note_health",
    "note_looked",
    "note_reconciled",
    "owners",
    "pin",
    "places",
    "remember",
    "remember_anew",
    "renew",
    "rewind",
    "say",
    "seconds_to_errand",
    "show_steps",
    "strangers",
    "take",
    "waiting",
    "watched",
    "whole_letter",
    "window",
    "window_start",
]
