"""What others did with the letters of a folder, found in the ledger and written there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from django.db import connection

from postern.mail.access import at_mailbox
from postern.mail.events import tell
from postern.mail.models import Sighting
from postern.mailboxes.models import Folder
from postern.sync.plan import Remembered
from postern.sync.store.folders import remember
from postern.sync.store.letters import FEW, mark_messages


def here_among(folder: Folder, uidvalidity: int, ranges: Sequence[tuple[int, int]]) -> tuple[list[int], bool]:
    """Return which UIDs of the ledger's present letters lie in `ranges`, and whether any lies elsewhere.

    Costs what is found, not what the folder holds: each range is one look into the index.
    """
    lows, highs = [low for low, _ in ranges], [high for _, high in ranges]
    with at_mailbox(folder.mailbox_id), connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.uid FROM unnest(%s::bigint[], %s::bigint[]) r(low, high) CROSS JOIN LATERAL"
            " (SELECT uid FROM mail_sighting WHERE folder_id = %s AND uidvalidity = %s"
            "   AND uid BETWEEN r.low AND r.high AND gone_at IS NULL) s ORDER BY s.uid",
            [lows, highs, folder.pk, uidvalidity],
        )
        found = [uid for (uid,) in cursor.fetchall()]
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM mail_sighting WHERE folder_id = %s AND uidvalidity = %s"
            " AND gone_at IS NULL LIMIT %s) x",
            [folder.pk, uidvalidity, len(found) + 1],
        )
        (some,) = cursor.fetchone()
    return found, some > len(found)


def count_here(folder: Folder, uidvalidity: int) -> int:
    """Return how many letters of a folder are on the server as far as we know."""
    with at_mailbox(folder.mailbox_id):
        return Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity, gone_at=None).count()


def window(folder: Folder, uidvalidity: int, letters: int) -> int | None:
    """Return the lowest UID of the newest `letters` present, None where there are none."""
    with at_mailbox(folder.mailbox_id):
        rows = Sighting.objects.filter(folder=folder, uidvalidity=uidvalidity, gone_at=None)
        uids = list(rows.order_by("-uid").values_list("uid", flat=True)[:letters])
    return min(uids, default=None)


def _note_flags(folder: Folder, state: Remembered, flags: Mapping[int, str]) -> None:
    if not flags:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE mail_sighting s SET flags = told.flags FROM unnest(%s::bigint[], %s::text[]) told(uid, flags)"
            " WHERE s.folder_id = %s AND s.uidvalidity = %s AND s.uid = told.uid AND s.flags <> told.flags",
            [list(flags), list(flags.values()), folder.pk, state.uidvalidity],
        )


def follow(
    folder: Folder,
    state: Remembered,
    *,
    gone: Collection[int] = (),
    back: Collection[int] = (),
    flags: Mapping[int, str] | None = None,
) -> None:
    """Note which letters left, came back and changed their flags, with the state that these rows are of.

    Nothing is deleted (row 25).
    """
    with at_mailbox(folder.mailbox_id):
        rows = Sighting.objects.filter(folder=folder, uidvalidity=state.uidvalidity or 0)
        changed: list[int] = []
        for uids, moment in ((sorted(gone), datetime.now(UTC)), (sorted(back), None)):
            for start in range(0, len(uids), FEW):
                some = rows.filter(uid__in=uids[start : start + FEW])
                changed += [pk for pk in some.values_list("message_id", flat=True) if pk is not None]
                some.update(gone_at=moment)
        mark_messages(changed)
        _note_flags(folder, state, flags or {})
        remember(folder, state)
        for pk in changed[:200]:
            tell("message", mailbox=folder.mailbox_id, id=pk)
