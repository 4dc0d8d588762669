"""Two other readers are asked as well. Where they say something else, the reason is listed here, or a test fails."""

import email
import email.header
import email.utils
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message
from pathlib import Path

import pytest
from fast_mail_parser import ParseError, parse_email

from postern.mime.read import Letter, part_bytes, read

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "letters"
LETTERS = sorted(FOLDER.rglob("*.eml"))
NAMES = [f"{path.parent.name}/{path.name}" for path in LETTERS]
absent = pytest.mark.skipif(
    not LETTERS, reason=f"the real letters are not here: {FOLDER.name} beside the repository"
)
# Ours is right, or both guess: (letter, what) -> why they differ.
PACKED = "winmail.dat is opened: what was inside is listed instead"
DAMAGED = "damaged base64, which they leave encoded"
REASONS = {
    ("cpython/msg_14.eml", "files2"): "Content-Type `text` alone is our text",
    ("enmime/bad-header-start.raw.eml", "authors"): "an indented first header; they miss it",
    (
        "enmime/bad-header-wrap.raw.eml",
        "files",
    ): "a header folded without a blank; they read the rest as the body",
    ("imap_tools/raw_email11.eml", "files2"): "text/enriched is one more form of the text, no file",
    (
        "mikel-mail/mime_emails_raw_email11.eml",
        "files2",
    ): "text/enriched is one more form of the text, no file",
    ("james-mime4j/multi-frag.eml", "files"): "junk where a boundary should end the file",
    ("james-mime4j/obsolete.eml", "subject"): "a blank before the colon; they miss the header",
    ("james-mime4j/obsolete.eml", "subject2"): "a blank before the colon; they miss the header",
    ("james-mime4j/twopart.eml", "files"): DAMAGED,
    ("james-mime4j/twopart.eml", "files2"): DAMAGED,
    ("laminas/maildir.tar.eml", "subject2"): "a tar file, no letter",
    (
        "mikel-mail/error_emails_bad_encoded_subject.eml",
        "subject2",
    ): "charset NONE: the word is decoded all the same",
    ("mikel-mail/plain_emails_mix_caps_content_type.eml", "authors"): "`Name a@b` without brackets",
    (
        "mikel-mail/plain_emails_raw_email_incorrect_header.eml",
        "subject",
    ): "a broken header line; they stop there",
    (
        "mikel-mail/plain_emails_raw_email_incorrect_header.eml",
        "authors",
    ): "a broken header line; they stop there",
    ("mikel-mail/plain_emails_raw_email_multiple_from.eml", "authors"): "two addresses without a comma",
    ("mimekit/mbox_content-length.mbox.txt_007.eml", "authors"): "a UUCP path with two @",
    (
        "mimekit/mbox_unmunged.mbox.txt_000.eml",
        "subject",
    ): "a byte order mark and mbox's line; they stop there",
    (
        "mimekit/mbox_unmunged.mbox.txt_000.eml",
        "authors",
    ): "a byte order mark and mbox's line; they stop there",
    (
        "mimekit/mbox_unmunged.mbox.txt_000.eml",
        "subject2",
    ): "a byte order mark and mbox's line; they stop there",
    ("mimekit/messages_disposition-notification.anonymized.eml", "date"): "a comment before the offset",
    ("mimekit/messages_disposition-notification.eml", "date"): "a comment before the offset",
    ("mimekit/messages_feedback-report.eml", "subject"): "a byte order mark; they miss the first header",
    ("mimekit/messages_feedback-report.eml", "authors"): "a byte order mark; they miss the first header",
    ("mimekit/messages_issue358.eml", "authors"): "a name that looks like an address",
    ("mimekit/tnef_rich-text.eml", "files"): PACKED,
    ("mimekit/tnef_rich-text.eml", "files2"): PACKED,
    ("mimekit/tnef_ukr.eml", "files"): PACKED,
    ("mimekit/tnef_ukr.eml", "files2"): PACKED,
    (
        "nodemailer-mailparser/nodemailer.eml",
        "files2",
    ): "text/watch-html is one more form of the text, no file",
    ("php-mime-mail-parser/m0018.eml", "files"): "damaged base64: both guess",
    ("zbateson/m3007.eml", "files2"): "uuencode; they do not undo it",
}


def words(text: str) -> str:
    """Without the blanks that readers keep or drop as they like."""
    return "".join(text.split())


def their_subject(message: Message) -> str | None:
    """The standard library's; None where it raises or gives up characters."""
    try:
        text = str(email.header.make_header(email.header.decode_header(str(message.get("subject", "")))))
    except (email.header.HeaderParseError, LookupError, ValueError):
        return None
    return None if "\ufffd" in text else words(text)


def their_authors(message: Message) -> list[str] | None:
    value = str(message.get("from", ""))
    return None if not value.isascii() else [a for _, a in email.utils.getaddresses([value]) if a]


def their_date(message: Message) -> datetime | None:
    try:
        found = email.utils.parsedate_to_datetime(str(message.get("date", "")))
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def their_files(message: Message) -> Iterator[bytes]:
    """Every leaf that is no text; what lies inside an enclosed letter belongs to that letter."""
    if message.get_content_maintype() == "message":
        return
    if message.is_multipart():
        for part in message.get_payload():
            assert isinstance(part, Message)
            yield from their_files(part)
    elif message.get_content_maintype() not in ("text", "multipart"):
        data = message.get_payload(decode=True)
        yield data if isinstance(data, bytes) else b""


def our_files(letter: Letter) -> Counter[bytes]:
    return Counter(trimmed(part_bytes(letter.raw, part)) for part in letter.parts)


def trimmed(data: bytes) -> bytes:
    """One kind of line end: readers differ about the one before a boundary."""
    return data.replace(b"\r\n", b"\n").rstrip(b"\n")


def told(name: str) -> dict[str, tuple[object, object]]:
    """What the two others say of a letter and we do not: subject, authors, date, files (2: fast-mail-parser)."""
    raw = (FOLDER / name).read_bytes()
    letter, theirs = read(raw), email.message_from_bytes(raw)
    subject, ours = words(letter.subject), our_files(letter)
    pairs: dict[str, tuple[object, object]] = {
        "subject": (their_subject(theirs), subject),
        "authors": (their_authors(theirs), [person.address for person in letter.from_ if person.address]),
        "date": (their_date(theirs), letter.date),
        "files": (Counter(map(trimmed, their_files(theirs))) - ours or None, None),
    }
    try:
        flat = parse_email(raw)
    except ParseError:
        return pairs
    if "\ufffd" not in flat.subject:
        pairs["subject2"] = (words(flat.subject), subject)
    missing = Counter(trimmed(bytes(file.content)) for file in flat.attachments if file.content) - ours
    pairs["files2"] = (missing or None, None)
    return pairs


@absent
@pytest.mark.parametrize("name", NAMES)
def test_readers_agree_or_the_reason_is_listed(name: str) -> None:
    for what, (theirs, ours) in told(name).items():
        if (name, what) not in REASONS:
            assert theirs is None or theirs == ours, what


@absent
@pytest.mark.parametrize(("name", "what"), REASONS)
def test_every_listed_reason_is_still_needed(name: str, what: str) -> None:
    theirs, ours = told(name)[what]
    assert theirs is not None and theirs != ours
