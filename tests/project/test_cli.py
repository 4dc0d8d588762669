"""`postern --help` answers a new user's first questions; commands refuse in one line, not with a trace."""

import io
import re
import subprocess
import sys
from argparse import Namespace
from datetime import timedelta
from pathlib import Path

import pytest

from postern.project import cli
from postern.project.commands import VERBS

ROOT = Path(__file__).parents[2]


def verbs() -> set[str]:
    """Every command the parser knows."""
    return set(cli.parser()._subparsers._group_actions[0].choices)  # type: ignore[union-attr, arg-type]


def test_every_command_of_the_parser_is_carried_out_by_something():
    assert verbs() == set(VERBS)


def test_the_commands_that_set_django_up_themselves_can_be_read_before():
    """`postern up` cannot start where one of them touches a model while it is read."""
    alone = ("migrate", "backup", "demo")
    reading = "; ".join(f"import postern.project.commands.{name}" for name in alone)
    done = subprocess.run([sys.executable, "-c", reading], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("argument", [[], ["--help"]])
def test_help_names_each_command_and_where_things_are(argument, capsys):
    with pytest.raises(SystemExit) if argument else _nothing():
        cli.main(argument)
    text = capsys.readouterr().out
    internal = {"sync", "send", "file-mail", "version"}
    for verb in verbs() - internal:
        assert f"postern {verb}" in text
    for word in (
        "POSTERN_DATA_DIR",
        "key file",
        "POSTERN_LISTEN",
        "POSTERN_DATABASE_URL",
        "docs/settings.md",
    ):
        assert word in text


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["frobnicate"])
    assert ended.value.code == 2
    assert "frobnicate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "command", "says"),
    [
        ({"POSTERN_LISTEN": "0.0.0.0:8000"}, ["up"], "plain HTTP"),
        ({"POSTERN_LISTEN": "somewhere"}, ["up"], "POSTERN_LISTEN"),
        ({}, ["worker"], "POSTERN_DATABASE_URL"),
    ],
)
def test_a_start_that_cannot_be_is_one_line(environment, command, says, monkeypatch, capsys):
    monkeypatch.delenv("POSTERN_DATABASE_URL", raising=False)
    monkeypatch.delenv("POSTERN_ROLE", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert says in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "docs/settings.md"])
def test_every_command_the_pages_name_exists(page):
    text = (ROOT / page).read_text()
    named = set(re.findall(r"(?:^|`)(?:\./dev )?postern ([a-z][a-z-]+)", text, re.M))
    assert named <= verbs() and (named or page == "docs/settings.md")
    script = (ROOT / "dev").read_text()
    for verb in set(re.findall(r"\./dev ([a-z]+)", text)):
        assert re.search(rf"^    (?:\w+ \| )*{verb}(?: \| \w+)*\)", script, re.M), f"./dev {verb}"


def admin(email: str = "ada@example.com", role: str = "super") -> Namespace:
    """What the parser makes of `create-admin EMAIL --password-stdin`."""
    return Namespace(email=email, name="Ada", role=role, password_stdin=True, one_time=False, hours=None)


def test_create_admin_makes_one_who_can_sign_in(db, monkeypatch, capsys, acting_as):
    from postern.people.models import Staff
    from postern.project.commands.create_admin import create_admin

    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    with acting_as("owner"):
        assert create_admin(admin("Ada@Example.com")) == 0
    staff = Staff.objects.get(email="ada@example.com")
    assert staff.is_super and staff.check_password("correct horse battery")
    assert "correct horse" not in capsys.readouterr().out


def test_create_admin_makes_a_password_to_be_changed(db, capsys, acting_as):
    from postern.people.models import Staff
    from postern.project.cli import parser
    from postern.project.commands.create_admin import create_admin

    with acting_as("owner"):
        assert create_admin(parser().parse_args(["create-admin", "Ada@example.com", "--one-time"])) == 0
    said = capsys.readouterr()
    ada = Staff.objects.get()
    assert ada.check_password(said.out.strip()) and ada.must_change_password and ada.is_super
    assert "within 72 hours" in said.err
    assert abs(ada.one_time_until - ada.created_at - timedelta(hours=72)) < timedelta(minutes=1)
    for email, says in (("ada@example.com", "already has an account"), ("ada", "address")):
        with acting_as("owner"):
            assert create_admin(parser().parse_args(["create-admin", email, "--one-time"])) == 1
        assert says in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["0", "721", "-1", "x", "1.5"])
def test_a_one_time_password_always_ends(typed, capsys):
    from postern.project.cli import parser

    for verb in ("password", "create-admin"):
        with pytest.raises(SystemExit):
            parser().parse_args([verb, "ada@example.com", "--hours", typed])
        assert "--hours" in capsys.readouterr().err
        assert parser().parse_args([verb, "ada@example.com", "--hours", "720"]).hours == 720


@pytest.mark.parametrize(
    ("email", "password", "says"),
    [("ada@example.com", "short", "short"), ("ada", "correct horse battery", "address")],
)
def test_create_admin_refuses_what_cannot_be(db, monkeypatch, capsys, acting_as, email, password, says):
    from postern.people.models import Staff
    from postern.project.commands.create_admin import create_admin

    monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
    with acting_as("owner"):
        assert create_admin(admin(email)) == 1
    assert says in capsys.readouterr().err
    assert not Staff.objects.exists()


def test_create_admin_refuses_an_address_in_use(db, monkeypatch, capsys, acting_as):
    from postern.people.models import Staff
    from postern.project.commands.create_admin import create_admin

    for wanted in (0, 1):
        monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
        with acting_as("owner"):
            assert create_admin(admin()) == wanted
    assert "already has an account" in capsys.readouterr().err
    assert Staff.objects.count() == 1


def test_a_token_is_printed_once_and_only_its_digest_stays(db, capsys, acting_as):
    import hashlib

    from postern.people.models import Token
    from postern.project.commands.token import token
    from tests.roles import hire

    hire(email="ada@example.com", name="Ada", password=None)
    with acting_as("owner"):
        assert token(Namespace(email="ADA@example.com", name="backup")) == 0
        printed = capsys.readouterr().out.strip()
        assert Token.objects.get().digest == hashlib.sha256(printed.encode()).hexdigest()
        assert token(Namespace(email="nobody@example.com", name="x")) == 1
        assert Token.objects.count() == 1


def test_a_one_time_password_is_printed_alone_and_only_its_hash_stays(db, capsys, acting_as):
    from postern.people.models import Staff
    from postern.project.commands.password import password
    from tests.roles import hire

    hire(email="ada@example.com", name="Ada", password="a long pass phrase")
    with acting_as("owner"):
        assert password(Namespace(email="ADA@example.com", hours=None)) == 0
        said = capsys.readouterr()
        ada = Staff.objects.get()
        assert ada.check_password(said.out.strip()) and not ada.check_password("a long pass phrase")
        assert "Ada is told at the next sign-in" in said.err and said.out.strip() not in said.err
        assert password(Namespace(email="nobody@example.com", hours=None)) == 1
        Staff.objects.update(is_active=False)
        assert password(Namespace(email="ada@example.com")) == 1
    assert capsys.readouterr().out == ""


def test_import_customers_saves_the_good_rows_and_names_the_broken_ones(db, place, capsys):
    from postern.people.models import Customer
    from postern.project.commands.customers import import_customers

    file = place / "customers.csv"
    file.write_text("name,email\nAda,ada@example.com\n,nobody@example.com\nBob,not an address\n")
    assert import_customers(Namespace(file=file)) == 1
    said = capsys.readouterr()
    assert "1 added, 0 updated, 2 broken" in said.out
    assert "line 3" in said.err and "line 4" in said.err
    assert [c.name for c in Customer.objects.all()] == ["Ada"]


def test_import_customers_files_the_mail_that_is_already_here(db, acting_as, place, capsys):
    from postern.mail.models import Party
    from postern.project.commands.customers import import_customers
    from tests.world import arrive, letter, make_world

    world = make_world(acting_as)
    (message,) = arrive(acting_as, world.inbox, letter(sender="nina@new.example"))
    file = place / "customers.csv"
    file.write_text("name,email\nNina,nina@new.example\n")
    assert import_customers(Namespace(file=file)) == 0
    assert "1 added, 0 updated, 0 broken" in capsys.readouterr().out
    with acting_as("superuser"):
        assert Party.objects.get(message=message).customer.name == "Nina"
        message.refresh_from_db()
        assert message.known


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"\0\0", "not a CSV"), (b"a,b\n1,2\n", "name")]
)
def test_import_customers_refuses_what_is_no_csv(db, place, capsys, content, says):
    from postern.project.commands.customers import import_customers

    file = place / "customers.csv"
    if content is not None:
        file.write_bytes(content)
    assert import_customers(Namespace(file=file)) == 1
    assert says in capsys.readouterr().err


def test_mailbox_list_says_how_they_are_and_sync_wakes_the_supervisor(db, acting_as, capsys):
    import psycopg

    from postern.mailboxes.models import Mailbox
    from postern.project.commands.mailbox import mailbox
    from postern.project.database import libpq
    from tests.roles import hire

    with acting_as("sync"):
        assert mailbox(Namespace(action="list", id=None)) == 0
        assert "No mailbox" in capsys.readouterr().out
    with acting_as("superuser"):
        ada = hire(email="ada@example.com", name="Ada", password=None)
        box = Mailbox.objects.create(owner=ada)
    with acting_as("sync"), psycopg.connect(**libpq("sync"), autocommit=True) as listener:
        listener.execute("LISTEN postern_mailboxes")
        assert mailbox(Namespace(action="list", id=None)) == 0
        assert f"{box.pk}  ada@example.com" in capsys.readouterr().out
        assert mailbox(Namespace(action="sync", id=box.pk)) == 0
        heard = next(iter(listener.notifies(timeout=5, stop_after=1)))
        assert f'"mailbox": {box.pk}' in heard.payload
        for unknown in (None, box.pk + 1):
            assert mailbox(Namespace(action="sync", id=unknown)) == 1
    assert "mailbox list" in capsys.readouterr().err


@pytest.mark.skipif(
    not (ROOT / ".venv" / "bin" / "python").exists(), reason="only in a clone that ./dev made"
)
def test_dev_takes_a_commands_files_from_where_it_was_called(tmp_path):
    (tmp_path / "letter.eml").write_bytes(b"Subject: From here\r\n\r\nHello\r\n")
    done = subprocess.run(
        [ROOT / "dev", "postern", "letter", "letter.eml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0 and '"subject": "From here"' in done.stdout, done.stderr
