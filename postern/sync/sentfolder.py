"""Whether the server lets the folder for sent letters be one: under a harmless name it may keep junk or drafts there."""

from postern.wire.errors import MailError
from postern.wire.imap import Session, sent_folder_refused

USED_OTHERWISE = "folder_used_otherwise"


async def require_sent_folder(session: Session, name: str) -> None:
    """Raise MailError with the code USED_OTHERWISE when the server says that the folder is for other letters.

    In Gmail's All Mail, and wherever else other letters lie, nothing tells the owner's from those of others (they may
    write from addresses that we do not know), so all would be taken for sent. The connection test says so too; settings
    may be saved untested, and a server may be set up anew. Costs one line. A server that refuses to list is not asked
    twice.
    """
    try:
        found = await session.folder(name)
    except MailError:
        if session.closed:
            raise
        return
    if refused := sent_folder_refused(name, [found] if found else []):
        raise MailError(
            USED_OTHERWISE,
            f"{refused} It is not read for sent messages, and none is put there; other mail is read.",
            "Press Load in My Profile → Email → IMAP settings, choose another, and save.",
            temporary=False,
        )
