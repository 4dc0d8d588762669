"""`postern rotate-keys`: a new key for the saved passwords, while everything runs.

The key file itself says how far it came: a key that is prepared stands behind `next:`, one in use stands first,
older ones below it. So a run that was killed is gone on with by running it again.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable

from django.db import connection

from postern.mailboxes.keylines import KeyLines
from postern.mailboxes.rotation import Report, exchange, reseal
from postern.project.keyfile import key_file, new_key, read_keys, write_keys
from postern.project.processes import Refused

ROTATION_LOCK = 70_230
MOST_ROUNDS = 10


def rotate_keys(chosen: Namespace) -> int:
    """Add a key, use it for everything, drop the old; or one of these steps. 0 when done."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [ROTATION_LOCK])
        if not cursor.fetchone()[0]:
            raise Refused("another `postern rotate-keys` is running on this database")
        for step in [chosen.only] if chosen.only else ["add", "use", "drop"]:
            STEPS[step](whole=not chosen.only)
    return 0


def _add(*, whole: bool) -> None:
    """Prepare a key, unless one is prepared, or a run that was killed already uses its own."""
    keys = _keys()
    if keys.coming or (whole and keys.older):
        print("Goes on with the new key that is in the key file already.")
        return
    _write(KeyLines(keys.current, keys.older, new_key()))
    if not whole:
        print(
            f"A new key is prepared. Copy {key_file()} to every machine, then: postern rotate-keys --only use"
        )


def _use(*, whole: bool) -> None:
    """Make the prepared key the current one, and encrypt everything with it."""
    keys = _keys()
    if keys.coming:
        exchange(lambda: _write(KeyLines(keys.coming, (keys.current, *keys.older))))
    elif not keys.older:
        raise Refused("no new key is prepared: run `postern rotate-keys --only add` first")
    _told(reseal())
    if not whole:
        print(f"Copy {key_file()} to every machine again, then: postern rotate-keys --only drop")


def _drop(*, whole: bool) -> None:
    """Take the old keys out of the file, once nothing that opens is encrypted with them."""
    keys = _keys()
    if keys.coming:
        raise Refused("the new key is not used yet: run `postern rotate-keys --only use` first")
    for _ in range(MOST_ROUNDS):
        report = reseal()
        if exchange(lambda: _write(KeyLines(keys.current)), after=report):
            break
    else:
        raise Refused("somebody still encrypts with the old key: does every machine have the new key file?")
    for owner in report.unreadable:
        print(f"Opens with no key, so it must be typed again: the password of {owner}")
    print(f"The old key is no longer in {key_file()}: keep a copy of the new file in another place.")
    print("Backups made until now open with the old key only. At the next restart everybody signs in anew.")


STEPS: dict[str, Callable[..., None]] = {"add": _add, "use": _use, "drop": _drop}


def _told(report: Report) -> None:
    print(f"{report.done} saved password{'' if report.done == 1 else 's'} encrypted with the new key.")


def _keys() -> KeyLines:
    try:
        return read_keys(key_file())
    except (OSError, ValueError) as error:
        raise Refused(f"{key_file()} is missing or damaged; bring back your copy of it first") from error


def _write(keys: KeyLines) -> None:
    try:
        write_keys(key_file(), keys)
    except OSError as error:
        raise Refused(
            f"{key_file()} cannot be exchanged ({error.strerror}): run this as the user who owns it and its folder"
        ) from error
