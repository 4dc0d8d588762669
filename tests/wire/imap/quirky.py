"""What the transcripts of quirks.py's rows share: a letter, the commands that ask for it, and refusals."""

from datetime import UTC, datetime

import pytest

from postern.wire.errors import MailError
from postern.wire.imap import Fetched, Session
from tests.wire.imap.scripted import play, transcript

JAN = datetime(2024, 1, 1, tzinfo=UTC)
WHEN = '"01-Jan-2024 00:00:00 +0000"'
NONE: frozenset[str] = frozenset()
FETCH = "C: UID FETCH 5 (UID FLAGS INTERNALDATE BODY.PEEK[])"
HEADERS = "C: UID FETCH 5 (UID FLAGS INTERNALDATE RFC822.SIZE)"


async def letters(session: Session, *uids: int) -> list[Fetched]:
    """All that comes."""
    return [one async for one in session.uid_fetch_bodies(uids)]


async def code_of(session: Session) -> str:
    """The code of the refusal that the next command meets."""
    with pytest.raises(MailError) as caught:
        await session.noop()
    return caught.value.code


def refused_sign_in(answer: str) -> MailError:
    with pytest.raises(MailError) as caught:
        play(transcript(f"S: * OK [CAPABILITY IMAP4rev1] ready\nC: LOGIN…\nS: {answer}"))
    return caught.value
