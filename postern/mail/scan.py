"""Is every raw letter there and what it was? And are there bytes that belong to no letter? (R-010)"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import zstandard

from postern.mail import letterstore
from postern.mail.access import at_mailbox
from postern.mail.letterstore import LetterMissing
from postern.mail.models import Message, Raw
from postern.mailboxes.models import Mailbox

BATCH = 100
FRESH = 24 * 3600  # seconds in which bytes may still be waiting for their row to commit


@dataclass
class Scanned:
    """What was found. missing: (mailbox id, message id, what is wrong); orphans: places without a letter."""

    letters: int = 0
    missing: list[tuple[int, int, str]] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True when every letter is there, byte for byte."""
        return not self.missing


def scan(*, remove: bool = False) -> Scanned:
    """Read every raw letter and compare it with its SHA-256, then look for bytes without a letter.

    remove: delete those, except what is less than a day old. Runs as a worker, one mailbox at a time.
    Raises LetterStoreDown when a store does not answer: nothing is called missing then.
    """
    found, places = Scanned(), set[str]()
    for mailbox_id in Mailbox.objects.order_by("pk").values_list("pk", flat=True):
        _scan_mailbox(mailbox_id, found, places)
    for place in _orphans(places):
        found.orphans.append(place)
        if remove:
            scheme, _, name = place.partition(":")
            letterstore.holding(scheme).remove(name)
    return found


def _scan_mailbox(mailbox_id: int, found: Scanned, places: set[str]) -> None:
    last = 0
    while True:
        with at_mailbox(mailbox_id):
            rows = Message.objects.filter(mailbox_id=mailbox_id, pk__gt=last).select_related("raw")
            batch = list(rows.only("sha256", "raw").order_by("pk")[:BATCH])
        if not batch:
            return
        for message in batch:
            found.letters += 1
            wrong = _wrong(message, places)
            if wrong:
                found.missing.append((mailbox_id, message.pk, wrong))
        last = batch[-1].pk


def _wrong(message: Message, places: set[str]) -> str:
    try:
        row = message.raw
        places.add(row.place)
        letter = row.letter()
    except Raw.DoesNotExist:
        return "no raw letter"
    except LetterMissing as error:
        return str(error)
    except zstandard.ZstdError:
        return "the packed letter is damaged"
    return (
        "" if hashlib.sha256(letter).digest() == bytes(message.sha256) else "not the letter that was stored"
    )


def _orphans(places: set[str]) -> Iterator[str]:
    """Places of every store in use that no row names; a letter of the last day may yet get its row."""
    schemes = {place.partition(":")[0] for place in places if place}
    if (chosen := letterstore.chosen()) is not None:
        schemes.add(chosen[0])
    for scheme in sorted(schemes):
        for name, put_at in letterstore.holding(scheme).names():
            if f"{scheme}:{name}" not in places and time.time() - put_at > FRESH:
                yield f"{scheme}:{name}"
