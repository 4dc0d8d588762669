"""What comes in while the demo runs, and what customers answer. Data, and two small choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count

from postern.demo.files import pdf
from postern.demo.inboxes import AMELIE, GRETA, NADIA, PETER, RUTH
from postern.demo.letters import Letter, person
from postern.mime.write import OutgoingFile

ARRIVALS = (
    Letter(
        "ken-slow", "Ken Ito <ken@ito-violins.example>", "Upload very slow since noon",
        "Good afternoon,\n\nsince noon my uploads crawl at 2 Mbit/s while downloads are fine. I have a recording to "
        "send tonight.\n\nKen Ito\nIto Violins\n",
    ),
    Letter(
        "paula-move", "Paula Renner <paula.renner@post.example>", "Moving to Orchard Row in January",
        "Hello,\n\nwe move to Orchard Row 22 in January. Is there fibre already, or how long would it take?\n\n"
        "Paula Renner\n",
    ),
    Letter(
        "books-invoice", "Bellweather Books <hello@bellweather-books.example>", "Which invoice is right?",
        "Dear Marta,\n\nwe got two invoices for November. Attached is the one we think is right.\n\nBellweather Books\n",
        files=(OutgoingFile("November.pdf", "application/pdf", pdf("Invoice 2026-1203", ["EUR 49.00"])),),
    ),
    Letter(
        "nadia-ip-3", NADIA, "Re: Static IP for the X-ray workstation",
        "One more thing: the archive says port 11112 now, not 104. Sorry.\n\nNadia\n", thread=("nadia-ip-1", "nadia-ip-2"),
    ),
    Letter(
        "chidi-router", "Chidi Okonkwo <chidi.okonkwo@post.example>", "New router?",
        "Hi,\n\nour router is seven years old. Do you send a new one, and does it cost anything?\n\nChidi\n",
    ),
    Letter(
        "mill-lane-7", "Mill Lane Property Management <desk@mill-lane-homes.example>", "Flat 7: key handed over",
        "Dear Northlink team,\n\nthe tenant of flat 7 has the key; your fitter may come any morning.\n\nMill Lane\n",
    ),
    Letter(
        "hoffmann-follow", "Daniel Hoffmann <d.hoffmann@tiling-hoffmann.example>",
        "Re: New office at Mill Lane 14: can you connect us?",
        "The landlord says the duct from the street is free. Does that help?\n\nDaniel Hoffmann\n0555 010 288\n",
        thread=("hoffmann-office",),
    ),
    Letter(
        "peter-filter-3", PETER, "Re: Content filter exceptions for the lab",
        "All sites work, the first lesson was a success. Thank you.\n\nPeter\n",
        thread=("peter-filter-1", "peter-filter-2"),
    ),
)  # fmt: skip
"""Come in one after the other, and then again from the first."""

ANSWERS = {
    GRETA: (
        "Tuesday before the ovens suits me well. I put coffee and a roll aside.",
        "Thank you. I let you know how tomorrow morning goes.",
    ),
    NADIA: ("Thank you, the archive answers now.", "That suits us. Please ask for me at the reception."),
    PETER: ("Wonderful, I tell the teachers.",),
    RUTH: ("Thank you for the clear answer. I take it to the residents’ meeting on Thursday.",),
    AMELIE: ("Merci! Tuesday morning is perfect, we are closed then.",),
}
PLAIN_ANSWERS = (
    "Thank you for the quick answer. That works for me.",
    "Thanks, understood. One question: does it cost anything?",
    "Great, I look forward to it.",
)


class Words:
    """What the person at an address answers; the next time it is something else."""

    def __init__(self) -> None:
        self._given: Counter[str] = Counter()
        self._known = {person(who).address: (person(who).name, answers) for who, answers in ANSWERS.items()}

    def __call__(self, address: str, _: str) -> str:
        name, choice = self._known.get(address, ("", PLAIN_ANSWERS))
        self._given[address] += 1
        first = name.split(" ")[0]
        return choice[(self._given[address] - 1) % len(choice)] + (f"\n\n{first}" if first else "")


words = Words()
"""What MailServer asks."""


def arriving() -> Iterator[tuple[Letter, str]]:
    """Endlessly give the next letter to arrive, and what makes its Message-ID differ from the last round's."""
    for round_ in count(1):
        for letter in ARRIVALS:
            yield letter, "" if round_ == 1 else f".{round_}"
