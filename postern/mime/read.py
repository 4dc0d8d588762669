"""A letter read from its bytes: `read` never raises; what is wrong with a letter is written in its defects."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from postern.mime.addresses import Mailaddr, parse_addresses
from postern.mime.body import read_body
from postern.mime.calendars import Event
from postern.mime.dates import read_date
from postern.mime.headers import Headers
from postern.mime.parts import Node, Part, read_tree, rooted
from postern.mime.transfer import Raw, undo_range, undo_window
from postern.mime.words import one_line

__all__ = ["Letter", "Mailaddr", "Part", "part_bytes", "read"]

MAX_IDS = 500
_ID = re.compile(r"<([^<>]{1,998})>")
_ONE_ID = re.compile(r"<([!-;=?-~]{1,998})>")
_BLANKS = re.compile(r"\s+")
_ROBOT = re.compile(r"(?:mailer-daemon|postmaster|mail-daemon)@", re.IGNORECASE)


@dataclass(frozen=True)
class Letter:
    """An e-mail as Postern shows it. Every string can be stored: no NUL, no lone surrogate; headers hold no CR or LF.

    text is '' when the letter has only html: derive it from the sanitised html. html is raw and must be sanitised.
    events are the meetings its calendar parts speak of.
    """

    subject: str = ""
    from_: tuple[Mailaddr, ...] = ()
    sender: Mailaddr | None = None
    reply_to: tuple[Mailaddr, ...] = ()
    to: tuple[Mailaddr, ...] = ()
    cc: tuple[Mailaddr, ...] = ()
    bcc: tuple[Mailaddr, ...] = ()
    date: datetime | None = None
    date_text: str = ""
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    text: str = ""
    html: str = ""
    parts: tuple[Part, ...] = ()
    events: tuple[Event, ...] = ()
    defects: tuple[str, ...] = ()
    automatic: str = ""
    headers: Headers = field(default_factory=Headers, repr=False, compare=False)
    raw: Raw = field(default=b"", repr=False, compare=False)

    def header(self, name: str) -> str:
        """The first header of that name, decoded to one line; '' when absent."""
        return self.headers.get(name.lower())


def read(raw: Raw) -> Letter:
    """Read a raw letter. Never raises: an unreadable one comes back with the reason in `defects`.

    A mapped file is read where it lies, and stays referenced by the letter's `raw`.
    """
    try:
        root, defects = read_tree(raw)
    except Exception as error:  # a bug of ours must cost one letter's view, never the mailbox
        return Letter(defects=(f"unreadable: {type(error).__name__}",), raw=raw)
    values = _safely(_head, root.headers, "headers", defects)
    values |= _safely(_content, root, "body", defects)
    values |= {"defects": tuple(dict.fromkeys(defects)), "headers": root.headers, "raw": raw}
    letter = Letter.__new__(Letter)
    # a frozen dataclass sets its fields one by one: a letter's twenty took 2.5 us
    object.__setattr__(letter, "__dict__", values)
    return letter


def _safely(
    step: Callable[..., dict[str, Any]], what: Headers | Node, name: str, defects: list[str]
) -> dict[str, Any]:
    try:
        return step(what, defects)
    except Exception as error:
        defects.append(f"unreadable {name}: {type(error).__name__}")
        return {}


def part_bytes(raw: Raw, part: Part) -> bytes:
    """The decoded bytes of one part, taken from the raw letter without reading it again."""
    data = rooted(raw)
    if part.outer and not part.encoding:
        *outer, (offset, length, encoding) = part.outer
        for start, size, name in outer:
            data = undo_range(data, start, start + size, name)
        return undo_window(data, offset, offset + length, encoding, part.offset, part.length)
    for offset, length, encoding in part.outer:
        data = undo_range(data, offset, offset + length, encoding)
    return undo_range(data, part.offset, part.offset + part.length, part.encoding)


def _head(headers: Headers, defects: list[str]) -> dict[str, Any]:
    if headers.repeated:
        _warn(headers, defects)
    if not headers.names():
        defects.append("no headers")
    date_text = headers.get("date")
    author, sender = headers.text("from"), _people(headers, "sender")
    date = read_date(date_text)
    if date_text and date is None:
        defects.append("date unreadable")
    return {
        "subject": headers.get("subject"),
        "from_": tuple(parse_addresses(author)),
        "sender": sender[0] if sender else None,
        "reply_to": _people(headers, "reply-to"),
        "to": _people(headers, "to"),
        "cc": _people(headers, "cc"),
        "bcc": _people(headers, "bcc"),
        "date": date,
        "date_text": date_text[:300],
        "message_id": next(iter(_ids(headers.text("message-id"))), ""),
        "in_reply_to": _ids(headers.text("in-reply-to")),
        "references": _ids(" ".join(headers.texts("references")) if "references" in headers else ""),
        "automatic": _automatic(headers, author),
    }


def _warn(headers: Headers, defects: list[str]) -> None:
    if "from" in headers.repeated:
        defects.append("several From headers")
    for name in ("Subject", "Date", "Content-Type", "Message-ID"):
        if name.lower() in headers.repeated:
            defects.append(f"duplicate {name}")


def _people(headers: Headers, name: str) -> tuple[Mailaddr, ...]:
    """Everyone in all headers of that name: a second To still names recipients."""
    if name not in headers:
        return ()
    value = ", ".join(headers.texts(name)) if name in headers.repeated else headers.text(name)
    return tuple(parse_addresses(value))


def _ids(value: str) -> tuple[str, ...]:
    """Message-IDs without brackets, blanks removed; a lone token with an @ counts without brackets too."""
    if not value:
        return ()
    if one := _ONE_ID.fullmatch(value):
        return (one[1],)
    found = [one_line(_BLANKS.sub("", inner)) for inner in _ID.findall(value)]
    if not found:
        found = [one_line(word.strip("<>,;")) for word in value.split() if "@" in word and len(word) < 998]
    found = [inner for inner in dict.fromkeys(found) if inner]
    if len(found) > MAX_IDS:
        found = found[: MAX_IDS // 5] + found[-MAX_IDS * 4 // 5 :]
    return tuple(found)


def _automatic(headers: Headers, author: str) -> str:
    """Why nothing should answer this letter by itself (RFC 3834); '' for a person's letter."""
    if headers.any_of(_TELLING):
        submitted = headers.get("auto-submitted").partition(";")[0].strip().lower()
        if submitted and submitted != "no":
            return submitted[:60]
        if headers.get("precedence").strip().lower() in ("bulk", "list", "junk", "auto_reply"):
            return headers.get("precedence").strip().lower()
        for name, reason in _MARKS:
            if name in headers:
                return reason
    if headers.text("return-path").strip() == "<>":
        return "empty return path"
    folded = author.casefold()  # three names at every place of it are slow to look for
    robot = ("daemon@" in folded or "postmaster@" in folded) and _ROBOT.search(author)
    return "mailer daemon" if robot else ""


_MARKS = (
    ("list-id", "mailing list"),
    ("list-unsubscribe", "mailing list"),
    ("x-autoreply", "auto-reply"),
    ("x-autorespond", "auto-reply"),
    ("x-auto-response-suppress", "asks for no automatic answer"),
    ("feedback-id", "bulk"),
)
_TELLING = frozenset(("auto-submitted", "precedence", *(name for name, _ in _MARKS)))


def _content(root: Node, defects: list[str]) -> dict[str, Any]:
    body = read_body(root)
    defects += body.defects
    text, html, events = body.text().rstrip(), body.html(), tuple(body.events)
    if events and not text and not html:  # an answer or a cancellation is often nothing but a calendar
        text = "\n\n".join(event.text() for event in events)
    return {"text": text, "html": html, "parts": tuple(body.files), "events": events}
