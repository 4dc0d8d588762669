"""The command `postern`. Each verb's work is in postern/project/commands or the room it belongs to."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HELP = """\
Personal e-mail for administrators, inside their CRM: each administrator connects
a mailbox of their own; Postern shows their customers' mail to them alone.

start
  postern demo            look at everything with invented people and mail; nothing to set up
  postern up              run Postern on this machine; then open the address it prints,
                          make the first super-administrator there, and set up a mailbox
                          under My Profile, Email
several machines (with POSTERN_DATABASE_URL)
  postern migrate         create or update the tables, once per version
  postern web             the pages and the API
  postern worker          read and send mail (sync and send in one)
look after it
  postern check           is this installation sound? says what is wrong and what to do
  postern backup FILE                    all data in one file, while everything runs
  postern restore FILE                   put a backup in place, with Postern stopped
  postern rotate-keys                    a new key for the saved passwords, while everything runs
  postern create-admin EMAIL             make an administrator or super-administrator
  postern import-customers FILE.csv      customers and leads from a CSV file
  postern password EMAIL                 a one-time password for who forgot theirs; they are told
  postern token EMAIL                    a token for the API; its person is told
  postern mailbox list                   the mailboxes and how they are
  postern mailbox sync ID                read a mailbox now
  postern mailbox reconcile ID           prove that nothing on the server is missing here
  postern letters scan                   is every raw letter there, byte for byte?
  postern rebuild [ID]                   make all that is made from raw letters anew
  postern letter FILE...                 what Postern makes of raw letters, as JSON
"""
EPILOG = """\
Where is everything?  Data in POSTERN_DATA_DIR (now {data}), its own PostgreSQL included.
                      The key file is {key}: back it up apart from the data.
Other address or port?  POSTERN_LISTEN=127.0.0.1:9000 postern up
Own PostgreSQL?         POSTERN_DATABASE_URL=postgresql://user:password@host/name
Mail server in the house?  POSTERN_MAIL_HOSTS=mail.lan,localhost:1143
Measurements?          in a clone: ./dev bench
All settings: docs/settings.md. Running it: docs/operations.md.
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    from postern.project.database import data_dir
    from postern.project.keyfile import key_file

    top = argparse.ArgumentParser(
        prog="postern",
        usage="postern COMMAND [options]   (postern COMMAND --help says more)",
        description=HELP,
        epilog=EPILOG.format(data=data_dir(), key=key_file()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(dest="verb", metavar="COMMAND", help=argparse.SUPPRESS)
    for verb, text in {
        "up": "run everything on this machine",
        "web": "serve the pages and the API in this process",
        "sync": "read the mailboxes in this process",
        "send": "send mail and do background jobs in this process",
        "worker": "read and send mail, for a further machine",
        "check": "is this installation sound?",
        "file-mail": "file the mail about customers whose ids come on standard input",
        "version": "print the version",
    }.items():
        verbs.add_parser(verb, help=text, description=text)
    backup = verbs.add_parser("backup", help="all data in one file; the key file is never in it")
    backup.add_argument("file", type=Path)
    restore = verbs.add_parser("restore", help="put a backup in place of an empty database")
    restore.add_argument("file", type=Path)
    restore.add_argument("--force", action="store_true", help="replace what the database holds")
    rotate = verbs.add_parser("rotate-keys", help="a new key for the saved passwords, while everything runs")
    rotate.add_argument(
        "--only",
        choices=["add", "use", "drop"],
        help="one step, for several machines; copy the key file to all of them after each (docs/operations.md)",
    )
    migrate = verbs.add_parser("migrate", help="create or update the tables")
    migrate.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to do")
    demo = verbs.add_parser("demo", help="everything with invented people and mail")
    demo.add_argument("--once", action="store_true", help="take the tour without a browser; end with 0 or 1")
    demo.add_argument("--keep", action="store_true", help="leave the data where it is at the end")
    demo.add_argument("--port", type=int, help="port of the pages")
    admin = verbs.add_parser("create-admin", help="make an administrator; asks for the password")
    admin.add_argument("email")
    admin.add_argument("--name", default="", help="the name colleagues see")
    admin.add_argument("--role", choices=["super", "admin"], default="super")
    admin.add_argument("--one-time", action="store_true", help="print a one-time password instead of asking")
    admin.add_argument("--hours", type=_hours, help="how long that works; 72 unless told")
    admin.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
    customers = verbs.add_parser("import-customers", help="customers and leads from a CSV file")
    customers.add_argument("file", type=Path)
    password = verbs.add_parser("password", help="a one-time password for somebody, who is told; shown once")
    password.add_argument("email", help="who forgot theirs: their sign-ins and API tokens end")
    password.add_argument("--hours", type=_hours, help="how long it works; 72 unless told")
    token = verbs.add_parser("token", help="a token for the API, shown once")
    token.add_argument("email", help="whose token: it can do what this administrator can")
    token.add_argument("--name", default="command line", help="what it is for")
    mailbox = verbs.add_parser("mailbox", help="look after mailboxes")
    mailbox.add_argument("action", choices=["list", "sync", "reconcile"])
    mailbox.add_argument("id", type=int, nargs="?")
    letters = verbs.add_parser("letters", help="are the raw letters what they were?")
    letters.add_argument("action", choices=["scan"])
    letters.add_argument("--remove", action="store_true", help="delete bytes that belong to no letter")
    rebuild = verbs.add_parser("rebuild", help="make all that is made from raw letters anew")
    rebuild.add_argument("id", type=int, nargs="?", help="one mailbox; without it, all")
    letter = verbs.add_parser("letter", help="what Postern makes of raw letters, one JSON object a line")
    letter.add_argument("files", type=Path, nargs="+", metavar="FILE")
    return top


def _hours(typed: str) -> int:
    """Return how long a one-time password works; it always ends."""
    hours = int(typed)
    if not 1 <= hours <= 720:
        raise argparse.ArgumentTypeError("choose from 1 to 720 hours")
    return hours


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Known troubles are one line on standard error, never a trace."""
    try:
        return _main(parser().parse_args(arguments))
    except KeyboardInterrupt:  # also in the second in which everything is imported
        return 130
    except BrokenPipeError:  # `postern letter … | head`: whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _main(chosen: argparse.Namespace) -> int:
    from postern.project.database import DatabaseError, data_dir
    from postern.project.keyfile import key_file
    from postern.project.pgbinaries import BinariesMissing
    from postern.project.processes import Refused

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    if chosen.verb is None:
        parser().print_help()
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postern.project.settings")
    if chosen.verb != "demo":  # the demo has a place of its own and never touches real data
        os.environ.setdefault("POSTERN_DATA_DIR", str(data_dir()))
        os.environ.setdefault("POSTERN_SECRET_KEY_FILE", str(key_file()))
    try:
        return run(chosen)
    except (Refused, DatabaseError, BinariesMissing) as error:
        print(f"postern: {error}", file=sys.stderr)
        return 1


def run(chosen: argparse.Namespace) -> int:
    """Hand a parsed command to the room that does it; imports only what that command needs."""
    from postern.project import commands

    done: int | None = commands.VERBS[chosen.verb](chosen)
    return done or 0


if __name__ == "__main__":
    sys.exit(main())
