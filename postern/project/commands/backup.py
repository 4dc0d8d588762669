"""`postern backup FILE` and `postern restore FILE`."""

import os
from argparse import Namespace

import django
from django.conf import settings

from postern.project import backup as archive
from postern.project.check import wall_findings
from postern.project.database import Server, data_dir, external_url, prepare
from postern.project.keyfile import key_file
from postern.project.processes import Refused, migrate_in_child
from postern.project.schema import require_known


def backup(chosen: Namespace) -> int:
    """Write the backup and say what is not in it. Refuses to make one that row security would thin out.

    Tables of an older version are copied as they are: who updates may think of the backup last.
    """
    require_known("owner")
    if faults := [finding.what for finding in wall_findings() if finding.advice]:
        raise Refused(f"{faults[0]}: run `postern migrate` first, a backup could be incomplete")
    size = archive.dump(chosen.file)
    print(f"{chosen.file}: {size / 1_000_000:.1f} MB, readable by you alone.")
    if settings.LETTERS != "database":
        print(f"Raw letters kept in {settings.LETTERS} are not in it: back them up beside it.")
    print(f"The key file is not in it: keep a copy of {key_file()} in another place.")
    print("Without that key the saved mail passwords must be typed again after a restore.")
    return 0


def restore(chosen: Namespace) -> int:
    """Restore with Postern stopped, bring the tables up to date and say what needs a look afterwards."""
    contents = archive.read(chosen.file)
    os.environ["POSTERN_ROLE"] = "owner"
    django.setup()
    archive.refuse_newer(contents)
    if external_url():
        prepare()
        _replace(chosen)
        return 0
    with Server(data_dir()) as server:
        prepare(server)
        _replace(chosen)
    return 0


def _replace(chosen: Namespace) -> None:
    archive.restore(chosen.file, force=chosen.force)
    migrate_in_child()
    print(f"Restored from {chosen.file}. Everybody signs in anew.")
    print("Letters that were waiting to be sent are held: their authors find them under Drafts.")
    _say_about_the_key()


def _say_about_the_key() -> None:
    """Compare the key file with what the passwords were sealed with, while its copy is still easy to bring."""
    from postern.mailboxes.secrets import SecretError, key_ids

    try:
        ours = key_ids()
    except SecretError:
        ours = set()
    if archive.sealing_keys() - ours:
        print(
            f"The saved passwords were sealed with another key. Put your copy of the key file at {key_file()}; "
            "without it, each mailbox's password must be typed again."
        )
