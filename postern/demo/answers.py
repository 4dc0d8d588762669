"""A simulated customer's answer to a letter: the right thread, the letter quoted below, as mail programs do."""

from __future__ import annotations

from datetime import datetime
from email.utils import make_msgid

from postern.mime.addresses import Mailaddr, domain_of, normalise
from postern.mime.read import Letter
from postern.mime.write import write


def answer(letter: Letter, *, person: str, words: str, now: datetime, name: str = "") -> bytes:
    """Return the bytes of `person`'s answer to `letter`, with `words` above the quoted letter.

    It goes where an answer should: to Reply-To, else to From. `person` is one of the recipients' addresses,
    `name` how they call themselves; without it, as the letter calls them.
    """
    me = next(
        (one for one in (*letter.to, *letter.cc) if normalise(one.address) == normalise(person)),
        Mailaddr("", person),
    )
    subject = letter.subject
    return write(
        sender=Mailaddr(name or me.name or name_from(person), person),
        to=list(letter.reply_to or letter.from_),
        subject=subject if subject.lower().startswith("re:") else f"Re: {subject}",
        text=f"{words}\n\n{quoted(letter)}",
        html=None,
        message_id=make_msgid(domain=domain_of(person) or "answers.example").strip("<>"),
        date=now,
        in_reply_to=letter.message_id,
        references=[*letter.references, *([letter.message_id] if letter.message_id else [])],
    )


def quoted(letter: Letter) -> str:
    """Return the letter's text as a quotation with the usual line of introduction."""
    writer = letter.from_[0] if letter.from_ else Mailaddr("", "somebody")
    when = f"On {letter.date:%a, %d %b %Y at %H:%M}, " if letter.date else ""
    lines = "\n".join(f"> {line}".rstrip() for line in letter.text.strip().splitlines())
    return f"{when}{writer.name or writer.address} <{writer.address}> wrote:\n{lines}\n"


def name_from(address: str) -> str:
    """Return a likely name for an address: greta.brandt@... is Greta Brandt."""
    words = address.partition("@")[0].replace(".", " ").replace("_", " ").replace("-", " ").split()
    return " ".join(word.capitalize() for word in words)
