"""A letter written: our own header lines (RFC 5322), the body by the standard library's EmailMessage.

The headers are ours because EmailMessage encodes long Message-IDs as words and has let line ends through before;
here every value is checked first and nothing else can add a line.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime

from postern.mime.addresses import Mailaddr, strict_address
from postern.mime.parameters import safe_name
from postern.mime.plain import text_from_html
from postern.mime.sanitize import sanitize
from postern.mime.words import encode_words, hides_controls

__all__ = ["OutgoingFile", "write"]

MAX_REFERENCES = 60
_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_BODY_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_ID = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")
_TYPE = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]{0,99})/([a-z0-9][a-z0-9!#$&^_.+-]{0,99})", re.IGNORECASE)
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_POLICY = SMTP.clone(max_line_length=76, raise_on_defect=False)
_LINE = 76


@dataclass(frozen=True)
class OutgoingFile:
    """A file to send. With a content_id (no <>) it is an inline image of the html."""

    name: str
    content_type: str
    data: bytes
    content_id: str = ""


def write(
    *,
    sender: Mailaddr,
    to: Sequence[Mailaddr],
    cc: Sequence[Mailaddr] = (),
    reply_to: Mailaddr | None = None,
    subject: str,
    text: str | None,
    html: str | None,
    attachments: Sequence[OutgoingFile] = (),
    message_id: str,
    date: datetime,
    in_reply_to: str = "",
    references: Sequence[str] = (),
    automatic: bool = False,
) -> bytes:
    """The letter as bytes with CRLF line ends. Bcc is never written: the envelope carries it.

    text None with html given is derived from the html. Raises ValueError for control characters in any header
    value or file name, a bad address or Message-ID, or a date without a zone.
    """
    lines = [
        _line("From", [_mailbox(sender)]),
        _line("To", _list(to) or ["undisclosed-recipients:;"]),
    ]
    if cc:
        lines.append(_line("Cc", _list(cc)))
    if reply_to:
        lines.append(_line("Reply-To", [_mailbox(reply_to)]))
    lines += [
        _line("Subject", encode_words(_checked(subject, "subject").strip()).split(" ")),
        _line("Date", [_date(date)]),
        _line("Message-ID", [f"<{_message_id(message_id)}>"]),
        *_threading(in_reply_to, references),
    ]
    if automatic:
        lines += ["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: All"]
    head = "\r\n".join(lines).encode("ascii") + b"\r\n"
    return head + _body(text, html, attachments).as_bytes(policy=_POLICY)


def _checked(value: str, what: str) -> str:
    if _CONTROL.search(value):
        raise ValueError(f"The {what} contains a line break or a control character.")
    return value


def _line(name: str, words: Sequence[str]) -> str:
    """A header folded at blanks, none of its lines longer than RFC 5322 wants where a blank allows it."""
    lines, current = [], f"{name}:"
    for word in words:
        # a blank line of a fold would end the header block, so an empty word never starts a line
        if len(current) + 1 + len(word) > _LINE and word and current.strip() not in ("", f"{name}:"):
            lines.append(current)
            current = ""
        current += " " + word
    return "\r\n".join([*lines, current])


def _list(people: Sequence[Mailaddr]) -> list[str]:
    """Folding points only between recipients: each stays on one line with its comma."""
    boxes = [_mailbox(person) for person in people]
    return [box + "," for box in boxes[:-1]] + boxes[-1:]


def _mailbox(person: Mailaddr) -> str:
    name = _checked(person.name, "name").strip()
    address = strict_address(_checked(person.address, "address")).address
    if not name:
        return address
    if name.isascii() and "=?" not in name:
        quoted = name if _PLAIN_NAME.fullmatch(name) else '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        return f"{quoted} <{address}>" if len(quoted) < 900 else address
    return f"{encode_words(name[:200]).replace(' ', chr(13) + chr(10) + ' ')} <{address}>"


def _date(date: datetime) -> str:
    if date.tzinfo is None:
        raise ValueError("The date has no time zone.")
    return format_datetime(date)


def _message_id(value: str) -> str:
    bare = value.strip().removeprefix("<").removesuffix(">")
    if len(bare) > 900 or not _ID.fullmatch(bare):
        raise ValueError(f"“{_CONTROL.sub('?', bare)[:100]}” is not a Message-ID.")
    return bare


def _threading(in_reply_to: str, references: Sequence[str]) -> list[str]:
    """In-Reply-To and References. Ids that came malformed from others are left out; control characters refused."""
    known = [_known_id(value) for value in references]
    chain = [value for value in dict.fromkeys(known) if value]
    if len(chain) > MAX_REFERENCES:
        chain = chain[:1] + chain[-MAX_REFERENCES + 1 :]
    parent = _known_id(in_reply_to)
    lines = [_line("In-Reply-To", [f"<{parent}>"])] if parent else []
    if parent and parent not in chain:
        chain.append(parent)
    return lines + ([_line("References", [f"<{value}>" for value in chain])] if chain else [])


def _known_id(value: str) -> str:
    bare = _checked(value, "Message-ID of the earlier letter").strip().removeprefix("<").removesuffix(">")
    # Whoever takes the letter apart and writes it anew may decode words where none belong (Python before 3.11.10
    # made header lines of them: CVE-2024-6923).
    usable = len(bare) < 900 and _ID.fullmatch(bare) and not hides_controls(bare)
    return bare if usable else ""


def _body(text: str | None, html: str | None, attachments: Sequence[OutgoingFile]) -> EmailMessage:
    if text is None:
        text = text_from_html(sanitize(html).html, links=True) if html else ""
    message = EmailMessage(policy=_POLICY)
    _set_text(message, text)
    inline = [file for file in attachments if file.content_id] if html else []
    if html:
        page = _alternative(message, html)
        for file in inline:
            _add(page, file, inline=True)
    for file in attachments:
        if file not in inline:
            _add(message, file, inline=False)
    for part in message.walk():
        if (
            part is not message
        ):  # it is the letter's own (RFC 2045 section 4); Python writes it into every part
            del part["MIME-Version"]
    return message


def _set_text(message: EmailMessage, text: str) -> None:
    text = _sendable(text)
    message.set_content(text, subtype="plain", charset="utf-8", cte=_transfer(text))


def _alternative(message: EmailMessage, html: str) -> MIMEPart:
    html = _sendable(html)
    message.add_alternative(html, subtype="html", charset="utf-8", cte=_transfer(html))
    *_, page = message.iter_parts()
    return page


def _sendable(text: str) -> str:
    """One kind of line end and no control characters: a lone CR or LF is read differently by different servers."""
    return _BODY_CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def _transfer(text: str) -> str:
    """7bit for plain short lines, base64 where quoted-printable would triple the text, else quoted-printable."""
    encoded = text.encode("utf-8")
    high = len(encoded) - len(encoded.translate(None, bytes(range(128, 256))))
    if not high and max(map(len, encoded.split(b"\n"))) <= 900:
        return "7bit"
    return "base64" if high * 3 > len(encoded) else "quoted-printable"


def _add(part: MIMEPart, file: OutgoingFile, *, inline: bool) -> None:
    name = safe_name(_checked(file.name, "file name")) or "attachment"
    kind = _TYPE.fullmatch(_checked(file.content_type, "file type").partition(";")[0].strip())
    main, sub = (kind[1].lower(), kind[2].lower()) if kind else ("application", "octet-stream")
    if main in ("multipart", "message"):  # these may not be sent in base64 (RFC 2046 5.2.1)
        main, sub = "application", "octet-stream"
    if inline:
        cid = f"<{_content_id(file.content_id)}>"
        part.add_related(file.data, main, sub, filename=name, cid=cid, disposition="inline")
    else:
        part.add_attachment(file.data, main, sub, filename=name)


def _content_id(value: str) -> str:
    bare = _checked(value, "Content-ID").strip().removeprefix("<").removesuffix(">")
    if len(bare) > 500 or not re.fullmatch(r"[!-;=?-~]+", bare) or hides_controls(bare):
        raise ValueError("The Content-ID of an inline image is malformed.")
    return bare
