"""What a daily digest says. Pure: lines of the reader log in, subject and text out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import tzinfo
from itertools import groupby

from postern.mail.models import Opening
from postern.mail.visibility import scope_in_words

MOST_MESSAGES = 20
"""Messages that are named for each reader; the rest is a number."""
_LONGEST = 120
_WHAT = {
    Opening.What.FILE: "attachment",
    Opening.What.SOURCE: "source",
    Opening.What.REPLY: "quoted in an answer",
}


def words(lines: Sequence[Opening], *, address: str, zone: tzinfo) -> tuple[str, str]:
    """Return (subject, text) for lines about one mailbox (at least one); moments are told in `zone`."""
    readers = _by_reader(lines)
    number = sum(len({line.message_id for line in own}) for own in readers)
    people = "one person" if len(readers) == 1 else f"{len(readers)} people"
    subject = f"Reader log: {_counted(number)} opened by {people}"
    begin = f"Since the last digest, others opened messages of {address}."
    end = "Everything is in Postern: My Profile, Reader log. There you also switch this digest off."
    return subject, "\n\n".join([begin, *(_of_reader(own, zone) for own in readers), end]) + "\n"


def _by_reader(lines: Sequence[Opening]) -> list[list[Opening]]:
    rows = sorted(lines, key=lambda line: (line.reader_id, line.pk))
    groups = [list(own) for _, own in groupby(rows, key=lambda line: line.reader_id)]
    return sorted(groups, key=lambda own: (own[-1].reader_name, own[-1].reader_id))


def _of_reader(lines: Sequence[Opening], zone: tzinfo) -> str:
    messages: dict[int, list[Opening]] = {}
    for line in lines:
        messages.setdefault(line.message_id, []).append(line)
    doors = " and ".join(_doors(lines))
    told = [f"{plain(lines[-1].reader_name)}: {_counted(len(messages))}, {doors}"]
    told += [f"  through: {through}" for through in _grants(lines)]
    newest = sorted(messages.values(), key=lambda own: own[-1].pk, reverse=True)
    told += [_of_message(own, zone) for own in newest[:MOST_MESSAGES]]
    if len(newest) > MOST_MESSAGES:
        told.append(f"  and {len(newest) - MOST_MESSAGES:,} more")
    return "\n".join(told)


def _of_message(lines: Sequence[Opening], zone: tzinfo) -> str:
    last = lines[-1]
    extras = [_extra(line) for line in lines if line.what in _WHAT]
    kinds = "".join(f", {extra}" for extra in dict.fromkeys(extras))
    who = f"to others, by {plain(last.author)}" if last.outgoing else f"from {plain(last.author)}"
    when = last.at.astimezone(zone)
    return f"  - {plain(last.subject) or '(no subject)'} ({who}; {when:%-d %b %H:%M}{kinds})"


def _extra(line: Opening) -> str:
    name = plain(line.part_name)
    word = _WHAT[Opening.What(line.what)]
    return f"{word} “{name}”" if line.what == Opening.What.FILE and name else word


def _doors(lines: Sequence[Opening]) -> list[str]:
    used = {line.door for line in lines}
    return [
        words
        for door, words in ((Opening.Door.PAGE, "on pages"), (Opening.Door.API, "by the API"))
        if door in used
    ]


def _grants(lines: Sequence[Opening]) -> list[str]:
    given = [scope_in_words(line) if line.grant_id else "access that has ended since" for line in lines]
    return list(dict.fromkeys(given))


def _counted(number: int) -> str:
    return "1 message" if number == 1 else f"{number:,} messages"


def plain(text: str) -> str:
    """One line of text written by strangers: no line break, no character that turns the direction of what follows."""
    clean = "".join(" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    clean = "".join(char for char in clean if unicodedata.category(char) not in ("Cf", "Cs"))
    line = " ".join(clean.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
