"""A raw letter read, cleaned and packed, ready for its rows. Knows neither Django nor a database.

So it can happen in a process of its own (postern.mail.preparers) that is small and holds no password.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from postern.mail.flags import flag_letters
from postern.mail.packing import pack
from postern.mail.references import id_hash, ids_of
from postern.mail.words import vector
from postern.mime.addresses import Mailaddr, normalise
from postern.mime.read import Letter, read
from postern.mime.sanitize import Clean, preview, sanitize, text_from_html

log = logging.getLogger(__name__)
PREVIEW_LENGTH = 200
_BEGINNING = 1200  # characters among which a preview is looked for first


@dataclass(frozen=True, slots=True)
class Arrival:
    """One letter as the server gave it."""

    uid: int
    flags: frozenset[str]
    internaldate: datetime
    raw: bytes | mmap

    @property
    def seen(self) -> bool:
        """True when it was read on the server already."""
        return "\\seen" in {flag.lower() for flag in self.flags}


@dataclass(frozen=True, slots=True)
class File:
    """A part that is listed: its number, name, type, decoded bytes, Content-ID, and whether the html shows it."""

    index: int
    name: str
    content_type: str
    size: int
    content_id: str
    inline: bool


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the rows of a letter will say. `raw`, `text` and `html` are packed; `vector` is its search vector.

    `senders` are the addresses of From and Sender as written, `authors` the same normalised. `broken`: why it could not be read, else ''.
    `withheld`: why only its header is here (postern.mail.withholding), else ''. `ids` are the keys of its Message-ID and references.
    `emailid`: the server's own name of the content, where it can be relied on, else ''.
    """

    uid: int
    seen: bool
    received_at: datetime
    flags: str
    date: datetime | None
    files: tuple[File, ...]
    sha256: bytes
    size: int
    raw: bytes
    broken: str = ""
    withheld: str = ""
    message_id: str = ""
    subject: str = ""
    from_name: str = ""
    from_address: str = ""
    senders: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    to: tuple[tuple[str, str], ...] = ()
    cc: tuple[tuple[str, str], ...] = ()
    bcc: tuple[tuple[str, str], ...] = ()
    reply_to: tuple[tuple[str, str], ...] = ()
    preview: str = ""
    automatic: str = ""
    remote_images: int = 0
    defects: tuple[str, ...] = ()
    ids: tuple[int, ...] = ()
    text: bytes = b""
    html: bytes = b""
    vector: bytes = b"\0\0\0\0"
    emailid: str = ""

    @property
    def also_from(self) -> list[str]:
        """Further authors and the Sender, normalised."""
        return [address for address in self.authors if address != self.from_address]

    @property
    def has_attachments(self) -> bool:
        """True when it brings a file that its html does not show."""
        return any(not file.inline for file in self.files)

    def deciding(self, outgoing: bool) -> list[str]:
        """Return the addresses that decide whose it is: the author's of incoming mail, the recipients' of outgoing."""
        return [address for _, address in (*self.to, *self.cc)] if outgoing else [self.from_address]


def prepare(arrival: Arrival, *, outgoing: bool = False) -> Prepared:
    """Read, clean and pack a letter. Never raises: what fails is told in `broken`, the raw letter is kept."""
    one = unread(arrival)
    try:
        return _described(one, read(arrival.raw), outgoing)
    except Exception as error:
        log.exception("a letter of %s bytes cannot be read", one.size)
        return unread(arrival, reason_of(error))


def unread(arrival: Arrival, broken: str = "") -> Prepared:
    """Return a letter with nothing known of it but its bytes."""
    raw = arrival.raw
    sha256 = hashlib.sha256(raw).digest()
    return Prepared(
        arrival.uid,
        arrival.seen,
        arrival.internaldate,
        flag_letters(arrival.flags),
        None,
        (),
        sha256,
        len(raw),
        pack(raw),
        broken,
    )


def reason_of(error: Exception) -> str:
    """Return an error as the ledger names it; never the letter's own content."""
    return f"{type(error).__name__}: {error}"[:400]


def _described(one: Prepared, letter: Letter, outgoing: bool) -> Prepared:
    clean: Clean = sanitize(letter.html)
    text = letter.text or text_from_html(clean.html)
    author = letter.from_[0] if letter.from_ else letter.sender or Mailaddr("", "")
    subject = letter.subject[:2000]
    to, cc = _listed(letter.to), _listed(letter.cc)
    people = [part for pair in (*to, *cc) for part in pair] if outgoing else []
    from_address = (normalise(author.address) or author.address)[:320]
    senders = _senders(letter)
    return Prepared(
        uid=one.uid,
        seen=one.seen,
        flags=one.flags,
        received_at=one.received_at,
        sha256=one.sha256,
        size=one.size,
        raw=one.raw,
        message_id=letter.message_id[:998],
        subject=subject,
        from_name=author.name[:500],
        from_address=from_address,
        senders=senders,
        authors=tuple(dict.fromkeys(filter(None, map(normalise, senders))))[:50],
        to=to,
        cc=cc,
        bcc=_listed(letter.bcc),
        reply_to=_listed(letter.reply_to),
        date=letter.date,
        preview=_preview(text),
        automatic=letter.automatic[:60],
        remote_images=clean.remote_images,
        defects=tuple(letter.defects[:50]),
        files=_files(letter),
        ids=tuple(map(id_hash, ids_of(letter))),
        text=pack(text.encode()),
        html=pack(clean.html.encode()),
        vector=vector(subject=subject, people=(author.name, from_address, *people), body=text),
    )


def _preview(text: str) -> str:
    """The beginning of a letter nearly always says enough; looking through all of a long one is dear."""
    short = preview(text[:_BEGINNING], PREVIEW_LENGTH)
    return short if len(text) <= _BEGINNING or short.endswith("…") else preview(text, PREVIEW_LENGTH)


def _listed(many: Sequence[Mailaddr]) -> tuple[tuple[str, str], ...]:
    """Name and normalised address of each; one that is no address keeps its text for the eye."""
    return tuple((a.name, normalise(a.address) or a.address) for a in many)


def _senders(letter: Letter) -> tuple[str, ...]:
    """The addresses of From and Sender, as written: what a deny list looks at (row 5)."""
    senders = tuple(a.address for a in letter.from_)
    return (*senders, letter.sender.address) if letter.sender else senders


def _files(letter: Letter) -> tuple[File, ...]:
    return tuple(
        File(p.index, p.filename, p.content_type[:200], p.size, p.content_id[:500], p.inline)
        for p in letter.parts
    )
