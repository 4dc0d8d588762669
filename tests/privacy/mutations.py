"""Each check in the code that keeps somebody out, taken away in a scratch copy: some test must turn red (S-077).

`python -m tests.privacy.mutations [WORD ...]` prints the list with what killed each, those only whose file or text
contains a word; so does `./dev soak tests/privacy`. `.ci/run` tries a twelfth each time. The row policies have theirs
in test_policies.py. Every question that the code asks about a person is in candidates.py, found by reading it, with
what turns red without it in killers.py; here is what no such reading finds (SQL, roles, the order of things).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = "tests/privacy/test_matrix.py::test_the_query_layer_alone_holds"


@dataclass(frozen=True)
class Mutant:
    """A file of postern/, the text that goes, what stands there instead, and the tests that ought to notice."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    only: str = ""
    """pytest's -k."""

    def __str__(self) -> str:
        return f"{self.file}: {' '.join(self.old.split())[:70]} -> {' '.join(self.new.split())[:40]}"


ACCESS, CHECKS = "tests/mail/test_access.py", "tests/privacy/test_checks.py"
MESSAGE = "mail/models/message.py"
KEYS, MODEL = "mail/keys.py", ("tests/privacy/test_model.py",)
_OWN_MAILBOX = "EXISTS (SELECT FROM mailboxes_mailbox own WHERE own.owner_id = staff AND own.imap_ready)"
_OWN = "\n  keys bigint[] := ARRAY(\n    SELECT b.id"
_INCOMING, _CUSTOMERS = "(n < 2 OR NOT r.incoming_only)", "(n % 2 = 0 OR NOT r.customers_only)"
STAFF, _STAFF_TESTS = "mail/staffwall.py", ("tests/mail/test_staffwall.py",)
OUT, AUTHORS, SIGN_IN = (
    "mail/outwall.py",
    ("tests/outbox/test_authors.py",),
    ("tests/web/base/test_signin.py",),
)
ACTIONS, DELIVERY = "mail/actions.py", "outbox/models.py"
BEHALF = ("tests/outbox/test_behalf.py", "tests/outbox/test_behalf_endings.py", "tests/api/test_behalf.py")
MUTANTS = [
    Mutant(
        MESSAGE,
        "self.filter(wall_key__in=visible_keys(staff, outgoing=outgoing), deleted_at=None)",
        "self.filter(deleted_at=None)",
        (ACCESS,),
    ),
    Mutant(
        MESSAGE,
        "outgoing=outgoing), deleted_at=None)",
        "outgoing=outgoing))",
        (CHECKS,),
    ),
    Mutant(
        MESSAGE,
        "return self.filter(mailbox__owner=staff)",
        "return self.all()",
        (CHECKS,),
    ),
    Mutant(
        "outbox/fate.py",
        " or not _stands_for_itself(row)",
        "",
        ("tests/outbox/test_filed.py",),
    ),
    Mutant(
        "mail/filing.py",
        "(filing.owner_party or not judged)",
        "True",
        ("tests/privacy/test_pairing.py",),
    ),
    Mutant(
        "mail/pairing.py",
        "address.added_by, address.created_at = staff, datetime.now(UTC)",
        "pass",
        ("tests/privacy/test_over_time.py",),
    ),
    Mutant(
        "mail/pairing.py",
        "    rows.filter(added_by__in=readers).update(shared=True)\n",
        "",
        ("tests/privacy/test_over_time.py",),
    ),
    Mutant(
        "mail/pairing.py",
        "    rows.filter(shared=False).update(added_by=staff, created_at=datetime.now(UTC))\n",
        "",
        ("tests/privacy/test_over_time.py",),
    ),
    Mutant(
        "mail/pairing.py",
        "_put(taken.by, customer,",
        "_put(staff.pk, customer,",
        ("tests/privacy/test_over_time.py",),
    ),
    Mutant(
        "mail/sharing.py",
        "if messages is not None and messages <",
        "if messages is not None and -1 >",
        ("tests/mail/test_sharing.py",),
    ),
    Mutant("mail/access.py", "return message.mailbox.owner_id == staff.pk or", "return True or", BEHALF),
    Mutant(
        "mail/access.py",
        "set_viewer(None)\n            response",
        "response",
        (CHECKS,),
    ),
    Mutant(
        ACTIONS,
        'if message.mailbox.owner_id != staff.pk and key != "unread":',
        "if False:",
        (CHECKS,),
    ),
    Mutant(
        ACTIONS,
        ".filter(staff=staff, pk=action_id, undone_at=None)",
        ".filter(pk=action_id, undone_at=None)",
        (LOCK,),
        "undo",
    ),
    Mutant(
        ACTIONS,
        'pk=data["address"], added_by=staff)',
        'pk=data["address"])',
        (CHECKS,),
    ),
    Mutant(
        "mail/filing.py",
        "owners or still",
        "by_owner or owners or still",
        ("tests/privacy/test_pairing.py",),
    ),
    Mutant("mail/filing.py", "found.added_by not in self._readers and", "", (ACCESS,)),
    Mutant(
        "mail/raw.py",
        "raw if message.mailbox.owner_id == staff.pk else without_bcc(raw)",
        "raw",
        (LOCK,),
        "source",
    ),
    Mutant(DELIVERY, "self._current(staff) | unsent)", "~Q(pk=None))", (LOCK,), "deliver or draft"),
    Mutant(DELIVERY, "return self.filter(author=staff)", "return self.all()", (CHECKS,)),
    Mutant(
        "mailboxes/save.py",
        "rows = Mailbox.objects.filter(owner_id=staff.pk)",
        "rows = Mailbox.objects.all()",
        (CHECKS,),
    ),
    Mutant(
        "api/inbox.py",
        "Message.objects.visible_to(staff), staff).filter(pk=pk)",
        "Message.objects.all(), staff).filter(pk=pk)",
        (LOCK,),
        "get_message",
    ),
    Mutant(
        "api/inbox.py", "if message.mailbox.owner_id != staff.pk:", "if False:", (LOCK,), "suggest or act_on"
    ),
    Mutant(
        "api/mailboxes.py",
        "Mailbox.objects.filter(owner=who(request), pk=pk)",
        "Mailbox.objects.filter(pk=pk)",
        (LOCK,),
        "mailbox",
    ),
    Mutant("api/config.py", "if not who(request).is_super:", "if False:", (LOCK,), "administrator"),
    Mutant("web/config/views.py", "if not person(request).is_super:", "if False:", (LOCK,), "config"),
    Mutant(
        "web/inbox/content.py",
        "Message.objects.visible_to(person(request))",
        "Message.objects.all()",
        (LOCK,),
        "message-body or attachment",
    ),
    Mutant(
        "web/inbox/actions.py",
        "DenyEntry.objects.filter(mailbox__owner=person(request), pk=pk)",
        "DenyEntry.objects.filter(pk=pk)",
        (LOCK,),
        "unblock",
    ),
    Mutant(
        "web/profile/access.py",
        "Reader.objects.filter(mailbox__owner=staff, pk=pk)",
        "Reader.objects.filter(pk=pk)",
        (LOCK,),
        "access-remove",
    ),
    # Each condition of a grant and of a share by name, in the functions that both locks ask.
    Mutant(KEYS, " AND (r.ends_at IS NULL OR r.ends_at > statement_timestamp())", " AND true", MODEL),
    Mutant(KEYS, " AND (s.ends_at IS NULL OR s.ends_at > statement_timestamp())", " AND true", MODEL),
    Mutant(KEYS, "o.id = b.owner_id AND o.is_active = (r.handover_id IS NULL)", "o.id = b.owner_id", MODEL),
    Mutant(KEYS, "o.id = b.owner_id AND o.is_active\n", "o.id = b.owner_id\n", MODEL),
    Mutant(KEYS, f"AND {_OWN_MAILBOX};\nEND $$;\n\n-- Conv", ";\nEND $$;\n\n-- Conv", MODEL),
    Mutant(KEYS, f"AND {_OWN_MAILBOX};\nEND $$;\n\n-- Every", ";\nEND $$;\n\n-- Every", MODEL),
    Mutant(KEYS, f"WHERE {_INCOMING} AND {_CUSTOMERS});", f"WHERE {_CUSTOMERS});", MODEL),
    Mutant(KEYS, f"WHERE {_INCOMING} AND {_CUSTOMERS});", f"WHERE {_INCOMING});", MODEL),
    Mutant(KEYS, f"WHERE s.id = staff AND s.is_active);{_OWN}", f"WHERE s.id = staff);{_OWN}", MODEL),
    Mutant(KEYS, f"r.may_reply AND {_INCOMING} AND", f"{_INCOMING} AND", MODEL),
    Mutant(KEYS, f"r.may_reply AND {_INCOMING} AND", "r.may_reply AND", MODEL),
    Mutant(KEYS, f"r.may_reply AND {_INCOMING} AND {_CUSTOMERS}", f"r.may_reply AND {_INCOMING}", MODEL),
    Mutant(
        KEYS,
        "WHERE s.is_active AND s.id = v::bigint",
        "WHERE s.id = v::bigint",
        ("tests/privacy/test_context.py",),
    ),
    # Who makes an account and whose password ends, and who wrote what in whose name.
    Mutant(
        STAFF, "made bigint;\nBEGIN\n  IF NOT app.is_super() OR", "made bigint;\nBEGIN\n  IF", _STAFF_TESTS
    ),
    Mutant(STAFF, "IF EXISTS (SELECT FROM people_staff) THEN", "IF false THEN", _STAFF_TESTS),
    Mutant(STAFF, "BEGIN\n  IF NOT app.is_super() THEN", "BEGIN\n  IF false THEN", _STAFF_TESTS),
    Mutant(STAFF, "is_active AND must_change_password\n", "is_active\n", _STAFF_TESTS),
    Mutant(STAFF, "owner_id = who AND ground = 'password')", "false)", _STAFF_TESTS),
    Mutant(STAFF, "AND NOT EXISTS (SELECT FROM mailboxes_mailbox WHERE owner_id = who)", "", _STAFF_TESTS),
    Mutant(OUT, "IF (NEW.author_id, NEW.created_at) <> (OLD.author_id, OLD.created_at)", "IF false", AUTHORS),
    Mutant(OUT, "IF OLD.state IN ('sending', 'accepted') THEN", "IF false THEN", AUTHORS),
    Mutant(OUT, "ELSIF OLD.author_id IS DISTINCT FROM app.me() THEN", "ELSIF false THEN", AUTHORS),
    Mutant("web/base/signin.py", "one_time_ended(staff):", "not staff:", SIGN_IN),
    Mutant("web/base/first.py", "if one_time_ended(staff):", "if False:", SIGN_IN),
]


_OURS = ("POSTERN_TEST_DATABASE_URL", "PYTEST_XDIST_WORKER", "POSTERN_SHARE", "PYTEST_ADDOPTS")
"""What would lead the run of a mutant to the database of the tests that started it, or to a part of its tests."""


def scratch() -> Path:
    """A copy of the program and its tests, to be damaged."""
    place = Path(tempfile.mkdtemp(prefix="postern-mutants-"))
    for name in ("postern", "tests"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    place.chmod(0o755)
    return place


def killer(place: Path, mutant: Mutant) -> str:
    """Return the first test that turns red without that check, '' for none. The copy is whole again afterwards."""
    file = place / "postern" / mutant.file
    whole = file.read_text()
    file.write_text(whole.replace(mutant.old, mutant.new, 1))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        *mutant.tests,
    ]
    command += ["-k", mutant.only or "not each_listed"]
    try:
        kept = {name: value for name, value in os.environ.items() if name not in _OURS}
        environment = kept | {"POSTERN_SOAK": "0.01", "PYTHONPATH": str(place)}
        ran = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    finally:
        file.write_text(whole)
    red = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.stdout, re.MULTILINE)
    if ran.returncode == 1 and red:
        return red[1]
    if ran.returncode != 0:  # nothing was collected, or the text that was put there is no Python
        raise RuntimeError(f"{mutant}: pytest ended with {ran.returncode}: {ran.stdout[-600:]}")
    return ""


def main(words: list[str]) -> int:
    """Print every mutant with the test that kills it; 1 when one survives."""
    place, survived = scratch(), 0
    try:
        for mutant in MUTANTS:
            if not words or any(word in str(mutant) for word in words):
                red = killer(place, mutant)
                survived += not red
                print(f"{mutant}\n    {red or 'SURVIVED'}", flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
