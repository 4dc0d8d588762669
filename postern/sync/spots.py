"""Opens a folder at letters that were seen in it."""

from __future__ import annotations

from collections.abc import Sequence

from postern.sync.store import Spot
from postern.wire.errors import MailError
from postern.wire.imap import Session


async def where_they_still_are(
    session: Session, spots: Sequence[Spot], *, readonly: bool = False
) -> list[list[Spot]]:
    """Open the one folder of `spots`; the spots in it that its UIDVALIDITY still proves.

    Raises a temporary MailError when the folder was numbered anew: those UIDs are other letters now.
    """
    if not spots:
        return []
    selected = await session.select(spots[0].folder, readonly=readonly)
    here = [spot for spot in spots if spot.uidvalidity == selected.uidvalidity]
    if not here:
        raise MailError(
            "server_busy",
            "The server has numbered the letters of the folder anew; they are being found again.",
            temporary=True,
        )
    return [here]
