"""Is a letter that comes in a message that is here already?"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from postern.mail.bulk import ask, column
from postern.mail.preparing import Prepared
from postern.mime.addresses import normalise

# Each letter is looked up by itself (postern.mail.bulk says why).
_SAME = """
SELECT m.sha256, m.id, m.gone FROM unnest(%s) one CROSS JOIN LATERAL (
  SELECT sha256, id, gone_at IS NOT NULL gone FROM mail_message WHERE mailbox_id = (SELECT %s::bigint) AND sha256 = one OFFSET 0) m"""
# A server's name of a content is believed only together with what else it tells of the letter.
_NAMED = """
SELECT m.* FROM unnest(%s, %s, %s) one (emailid, received_at, size) CROSS JOIN LATERAL (
  SELECT emailid, id, gone_at IS NOT NULL FROM mail_message
   WHERE mailbox_id = (SELECT %s::bigint) AND emailid = one.emailid AND emailid > '' AND received_at = one.received_at
     AND size = one.size OFFSET 0) m"""
_NOWHERE = """
SELECT m.* FROM unnest(%s) one CROSS JOIN LATERAL (
  SELECT message_id, id, gone_at IS NOT NULL, "to" || cc, from_address, received_at FROM mail_message m
   WHERE mailbox_id = (SELECT %s::bigint) AND outgoing = %s AND message_id = one
     AND NOT EXISTS (SELECT FROM mail_sighting s WHERE s.message_id = m.id) OFFSET 0) m
 ORDER BY m.id"""


@dataclass(frozen=True, slots=True)
class Here:
    """A message that is here; `gone`: it lay nowhere on the server any more."""

    pk: int
    gone: bool


@dataclass(frozen=True, slots=True)
class _Nowhere:
    """A message that no UID points at."""

    here: Here
    recipients: list[list[str]]
    from_address: str
    received_at: datetime


def same_bytes(mailbox_id: int, hashes: Collection[bytes]) -> dict[bytes, Here]:
    """Return the messages of a mailbox whose raw letters have these SHA-256."""
    found = ask(_SAME, column("bytea", list(hashes)), mailbox_id) if hashes else []
    return {bytes(sha256): Here(pk, gone) for sha256, pk, gone in found}


def same_content(mailbox_id: int, told: Collection[tuple[str, datetime, int]]) -> dict[str, Here]:
    """Return the messages of a mailbox, by emailid, whose content the server names so (emailid, arrival, bytes).

    Only letters that came whole have a name here: of the others something is still to be had.
    """
    if not told:
        return {}
    names, moments, sizes = zip(*told, strict=True)
    columns = column("text", names), column("timestamptz", moments), column("bigint", sizes)
    return {name: Here(pk, gone) for name, pk, gone in ask(_NAMED, *columns, mailbox_id)}


class Known:
    """Messages that some letters of a batch are already.

    The same bytes; our own delivery coming back through the sent folder (servers may rewrite its bytes);
    or a letter that its server renders anew after its UIDVALIDITY changed, when no UID points at it any more.
    """

    def __init__(self, mailbox_id: int, many: Sequence[Prepared], outgoing: bool) -> None:
        self._outgoing = outgoing
        self._same = same_bytes(mailbox_id, [one.sha256 for one in many])
        self._nowhere: dict[str, list[_Nowhere]] = {}
        ids = sorted({one.message_id for one in many if one.message_id})
        nowhere = ask(_NOWHERE, column("text", ids), mailbox_id, outgoing) if ids else []
        for message_id, pk, gone, recipients, author, received_at in nowhere:
            row = _Nowhere(Here(pk, gone), json.loads(recipients), author, received_at)
            self._nowhere.setdefault(message_id, []).append(row)

    def message_of(self, one: Prepared) -> Here | None:
        """The message that this letter is, None for a new one."""
        if one.sha256 in self._same:
            return self._same[one.sha256]
        candidates = self._nowhere.get(one.message_id, [])
        return next((row.here for row in candidates if _comes_back(row, one, self._outgoing)), None)


def _comes_back(row: _Nowhere, one: Prepared, outgoing: bool) -> bool:
    if outgoing:
        return row.recipients == [list(pair) for pair in (*one.to, *one.cc)]
    same_author = row.from_address in [normalise(address) or address for address in one.senders]
    return same_author and row.received_at == one.received_at
