"""How fast postern reads letters, beside the standard library's compat32 parser, in one process and one run.

    python bench/mime.py [--seconds 5]

Prints one JSON line. Both readers do the same work: find the parts; decode Subject, Date, the people and ids of every
address and threading header; tell text, html and files apart, with the files' names and Content-IDs; undo every
part's transfer encoding, files included; and decode the texts to characters with one kind of line end. Ours looks
for damage, embedded files and the better alternative besides. `ratio` is our letters per CPU second divided by
compat32's; they take turns, so that another program on the machine slows both. `intake_per_second` is `read`
alone, as intake calls it: there files are measured but not decoded.

The generated set is 2 to 30 KB a letter, one in ten with an attachment of 50 to 300 KB. compat32 raises on some of
the real letters, which saves it the rest of their work.
"""

import argparse
import email
import email.header
import email.utils
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from postern.mime.addresses import Mailaddr  # noqa: E402
from postern.mime.read import part_bytes, read  # noqa: E402
from postern.mime.write import OutgoingFile, write  # noqa: E402

WORDS = "the fibre line in Gröbming drops every evening we measured again tomorrow invoice router Ämter señal"


def generated(count: int) -> list[bytes]:
    """Letters of the shape an internet provider gets, always the same."""
    chance = random.Random(7)
    return [_letter(chance, number) for number in range(count)]


def _letter(chance: random.Random, number: int) -> bytes:
    text = "\n".join(" ".join(chance.choices(WORDS.split(), k=12)) for _ in range(chance.randint(10, 130)))
    html = "<div>" + text.replace("\n", "</div>\n<div>") + "</div>" if chance.random() < 0.7 else None
    files = []
    if number % 10 == 0:
        files = [
            OutgoingFile("Störung.pdf", "application/pdf", chance.randbytes(chance.randint(50_000, 300_000)))
        ]
    return write(
        sender=Mailaddr("Zoë Müller", f"zoe{number}@example.net"),
        to=[Mailaddr("Support", "support@example.org")],
        subject=" ".join(chance.choices(WORDS.split(), k=6)),
        text=text,
        html=html,
        attachments=files,
        message_id=f"{number}@example.net",
        date=datetime(2026, 1, 1, tzinfo=UTC),
        references=[f"{number - 1}@example.net"],
    )


def ours(raw: bytes) -> None:
    for part in read(raw).parts:
        part_bytes(raw, part)


def intake(raw: bytes) -> None:
    read(raw)


def compat32(raw: bytes) -> None:
    """The same answers from the standard library, as its documentation shows how to get them."""
    message = email.message_from_bytes(raw)
    _decoded(str(message.get("subject", "")))
    for name in ("from", "sender", "reply-to", "to", "cc", "bcc"):
        for display, _ in email.utils.getaddresses([str(value) for value in message.get_all(name, [])]):
            _decoded(display)
    for name in ("message-id", "in-reply-to", "references"):
        str(message.get(name, "")).split()
    email.utils.parsedate_tz(str(message.get("date", "")))
    texts: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    for part in message.walk():
        if part.is_multipart():
            continue
        data, kind = part.get_payload(decode=True), part.get_content_type()
        name = part.get_filename()
        if name or kind not in texts or part.get_content_disposition() == "attachment":
            _decoded(name or "")
            str(part.get("content-id", ""))
        elif isinstance(data, bytes):
            text = data.decode(part.get_content_charset() or "utf-8", "replace")
            texts[kind].append(text.replace("\r\n", "\n"))


def _decoded(value: str) -> str:
    return str(email.header.make_header(email.header.decode_header(value)))


def measure(
    readers: Sequence[Callable[[bytes], None]], letters: Sequence[bytes], seconds: float
) -> list[tuple[int, int]]:
    """For each reader (letters per CPU second, letters that raised in one round), the readers taking turns."""
    spent, raised, rounds = [0.0] * len(readers), [0] * len(readers), 0
    while rounds < 2 or sum(spent) < seconds * len(readers):
        rounds += 1
        for number, reader in enumerate(readers):
            begin = time.process_time()
            raised[number] = sum(_raises(reader, raw) for raw in letters)
            spent[number] += time.process_time() - begin
    return [(round(rounds * len(letters) / cost), bad) for cost, bad in zip(spent, raised, strict=True)]


def _raises(reader: Callable[[bytes], None], raw: bytes) -> bool:
    try:
        reader(raw)
    except Exception:
        return True
    return False


def compare(letters: Sequence[bytes], seconds: float) -> dict[str, object]:
    (our_rate, our_raised), (their_rate, their_raised), (intake_rate, _) = measure(
        (ours, compat32, intake), letters, seconds
    )
    return {
        "letters": len(letters),
        "mean_bytes": round(sum(map(len, letters)) / len(letters)),
        "ours_per_second": our_rate,
        "compat32_per_second": their_rate,
        "ratio": round(our_rate / their_rate, 2),
        "intake_per_second": intake_rate,
        "ours_raised": our_raised,
        "compat32_raised": their_raised,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="for each reader and each set")
    seconds = parser.parse_args().seconds
    report: dict[str, object] = {"bench": "mime", "generated": compare(generated(400), seconds)}
    folder = ROOT.parent / "shared" / "letters"
    if folder.is_dir():
        report["real"] = compare([path.read_bytes() for path in sorted(folder.rglob("*.eml"))], seconds)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
