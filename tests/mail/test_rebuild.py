"""The raw letters are the truth: everything else can be made from them again, and decisions stay."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from postern.mail import letterstore, preparing
from postern.mail.intake import record_sent
from postern.mail.models import (
    Attachment,
    Bcc,
    Body,
    Conversation,
    Message,
    MessageRead,
    MessageSearch,
    Party,
    Raw,
    Reference,
)
from postern.mail.rebuild import heal, rebuild, reread
from postern.mail.scan import scan
from postern.mail.storing import DESCRIBED
from postern.people.models import Customer
from tests.world import NOON, World, arrive, letter, make_world

WITH_FILE = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html

<p>Hello <b>there</b></p>
--b
Content-Disposition: attachment; filename=plan.pdf
Content-Type: application/pdf

%PDF
--b--
"""


@pytest.fixture
def world(db: None, acting_as: Any) -> World:
    """Some mail of every kind: a thread that only its third letter joins, a file, a stranger, our own."""
    world = make_world(acting_as)
    arrive(acting_as, world.inbox, letter(mid="a@x.example"), letter(mid="b@x.example"))
    joining = letter(mid="c@x.example", headers="References: <a@x.example> <b@x.example>\r\n")
    arrive(acting_as, world.inbox, joining, letter(sender="who@else.example", subject="Ärger"))
    head, _, body = WITH_FILE.replace("\n", "\r\n").partition("\r\n\r\n")
    arrive(acting_as, world.inbox, letter(subject="With a file", headers=head + "\r\n", body=body))
    from postern.mail.access import at_mailbox

    with acting_as("sync"), at_mailbox(world.mailbox.pk):
        sent = letter(sender="owner@isp.example", to="greta@brandt-bakery.example", mid="own@isp.example")
        record_sent(mailbox=world.mailbox, raw=sent, sent_at=NOON, bcc=[["", "hidden@isp.example"]])
    return world


def derived(acting_as: Any) -> list[Any]:
    """Everything that is made from raw letters, numbers of conversations included."""
    with acting_as("superuser"):
        words = dict(MessageSearch.objects.extra(select={"t": "tsv::text"}).values_list("message_id", "t"))
        return [
            (
                [getattr(m, name) for name in (*DESCRIBED, "known", "owner_party", "conversation_id")],
                (m.body.text, m.body.html),
                list(m.attachments.values_list("index", "name", "content_type", "size")),
                sorted(m.parties.values_list("customer", "by_hand")),
                words[m.pk],
            )
            for m in Message.objects.select_related("body").order_by("pk")
        ]


def rebuilt(acting_as: Any, world: World) -> str:
    with acting_as("sync"):
        return str(rebuild(world.mailbox.pk))


@pytest.mark.rule("R-055")
def test_what_was_dropped_comes_back_as_it_was(world: World, acting_as: Any) -> None:
    before = derived(acting_as)
    assert len({row[0][-1] for row in before}) == 4  # six letters, three of them one conversation
    with acting_as("superuser"):
        for model in (Body, Attachment, MessageSearch, Party, Reference):
            model._default_manager.all().delete()
        Message.objects.update(subject="", preview="", from_address="", defects=["?"])
    assert derived_is_broken(acting_as)
    assert rebuilt(acting_as, world) == "6 letters read anew"
    assert derived(acting_as) == before
    assert rebuilt(acting_as, world) == "6 letters read anew"
    assert derived(acting_as) == before
    with acting_as("superuser"):
        assert Conversation.objects.count() == 4


def derived_is_broken(acting_as: Any) -> bool:
    with acting_as("superuser"):
        return not Body.objects.exists() and not Message.objects.exclude(subject="").exists()


def test_threads_still_grow_after_it(world: World, acting_as: Any) -> None:
    rebuilt(acting_as, world)
    (answer,) = arrive(acting_as, world.inbox, letter(headers="References: <b@x.example>\r\n"))
    with acting_as("superuser"):
        assert answer.conversation_id == Message.objects.get(message_id="a@x.example").conversation_id


@pytest.mark.rule("R-055")
def test_decisions_stay(world: World, acting_as: Any) -> None:
    with acting_as("superuser"):
        other = Customer.objects.create(name="Kestrel Dental")
        stranger = Message.objects.get(subject="Ärger")
        Party.objects.create(message=stranger, mailbox=world.mailbox, customer=other, by_hand=True)
        Message.objects.filter(pk=stranger.pk).update(known=True, owner_party=True)
        Message.objects.filter(message_id="a@x.example").update(deleted_at=NOON)
        Message.objects.filter(message_id="b@x.example").update(gone_at=NOON)
        MessageRead.objects.create(message=stranger, staff=world.owner, mailbox=world.mailbox)
    before = derived(acting_as)
    rebuilt(acting_as, world)
    assert derived(acting_as) == before
    with acting_as("superuser"):
        assert Party.objects.get(message=stranger).by_hand
        assert Message.objects.get(message_id="a@x.example").deleted_at == NOON
        assert Message.objects.get(message_id="b@x.example").gone_at == NOON
        assert MessageRead.objects.filter(message=stranger).exists()
        assert Bcc.objects.get().addresses == [["", "hidden@isp.example"]]


def test_another_mailbox_is_not_touched(world: World, acting_as: Any) -> None:
    before = derived(acting_as)
    with acting_as("sync"):
        assert str(rebuild(world.colleague_mailbox.pk)) == "0 letters read anew"
    assert derived(acting_as) == before


def test_a_letter_in_quarantine_is_read_when_the_reader_can(
    world: World, acting_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = preparing.read

    def fails(raw: bytes) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr(preparing, "read", fails)
    (message,) = arrive(acting_as, world.inbox, letter(subject="Deep"))
    with acting_as("sync"):
        assert str(reread(world.mailbox.pk, [message.pk])) == (
            "1 letters read anew, 1 cannot be read and stay in quarantine"
        )
    monkeypatch.setattr(preparing, "read", real)
    with acting_as("send"):
        assert str(heal()) == "1 letters read anew, 1 that could not be read before can be read now"
        assert heal().letters == 0
    with acting_as("superuser"):
        row = Message.objects.get(pk=message.pk)
        assert (row.subject, row.quarantined, row.known) == ("Deep", "", True)
        assert row.body.text.startswith("Hello")


def test_what_was_cleaned_by_older_rules_is_cleaned_by_the_newer(world: World, acting_as: Any) -> None:
    before = derived(acting_as)
    with acting_as("superuser"):
        Body.objects.filter(message__message_id="a@x.example").update(html="<p>old</p>", sanitizer_version=0)
    with acting_as("send"):
        assert str(heal()) == "1 letters read anew"
    assert derived(acting_as) == before


@pytest.fixture
def in_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Letters go to files below this folder."""
    from django.conf import settings

    monkeypatch.setattr(settings, "LETTERS", f"files:{tmp_path}")
    return tmp_path


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*/*.zst"))


@pytest.mark.rule("R-010")
def test_letters_in_files_are_the_same_product(in_files: Path, world: World, acting_as: Any) -> None:
    assert len(files(in_files)) == 6
    with acting_as("superuser"):
        assert {bytes(row.data or b"") for row in Raw.objects.all()} == {b""}
        assert all(row.letter().startswith(b"From:") for row in Raw.objects.all())
    before = derived(acting_as)
    rebuilt(acting_as, world)
    assert derived(acting_as) == before
    with acting_as("sync"):
        found = scan()
    assert (found.letters, found.sound, found.orphans) == (6, True, [])


@pytest.mark.rule("R-010")
@pytest.mark.parametrize(
    ("harm", "wrong"),
    [
        (lambda path: path.unlink(), "is not below"),
        (lambda path: path.write_bytes(path.read_bytes()[:40]), "the packed letter is damaged"),
        (lambda path: path.write_bytes(preparing.pack(b"another")), "not the letter that was stored"),
    ],
)
def test_a_letter_that_is_lost_or_harmed_is_found_and_left_as_it_is(
    harm: Callable[[Path], Any], wrong: str, in_files: Path, world: World, acting_as: Any
) -> None:
    harm(files(in_files)[0])
    with acting_as("sync"):
        ((mailbox, _, said),) = scan().missing
    assert mailbox == world.mailbox.pk
    assert wrong in said
    before = derived(acting_as)
    assert "without their raw letter were left as they are" in rebuilt(acting_as, world)
    assert derived(acting_as) == before


def test_a_harmed_letter_in_the_database_is_found_too(world: World, acting_as: Any) -> None:
    with acting_as("superuser"):
        Raw.objects.filter(message__message_id="a@x.example").update(data=b"no zstd")
        Raw.objects.filter(message__message_id="b@x.example").delete()
    with acting_as("sync"):
        assert sorted(said for _, _, said in scan().missing) == [
            "no raw letter",
            "the packed letter is damaged",
        ]


def test_bytes_without_a_letter_are_found_and_removed_when_they_are_old(
    in_files: Path, world: World, acting_as: Any
) -> None:
    for age, name in ((0, "fresh"), (2 * 86400, "old")):
        place = letterstore.name_of(world.mailbox.pk, name.encode().ljust(32))
        path = in_files / place
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - age))
    old = f"files:{letterstore.name_of(world.mailbox.pk, b'old'.ljust(32))}"
    with acting_as("sync"):
        assert scan().orphans == [old]
        assert scan(remove=True).orphans == [old]
        assert scan().orphans == []
    assert len(files(in_files)) == 7


def test_a_store_that_is_down_keeps_the_cursor_and_stores_nothing(
    in_files: Path, world: World, acting_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from postern.mail.letterstore import LetterStoreDown
    from postern.mail.letterstore.files import Files
    from postern.mailboxes.models import Folder

    def full(*_: object) -> None:
        raise LetterStoreDown("no letter can be written: No space left on device")

    monkeypatch.setattr(Files, "put", full)
    before = len(derived(acting_as))
    with pytest.raises(LetterStoreDown, match="No space left"):
        arrive(acting_as, world.inbox, letter(), next_uid=99)
    assert len(derived(acting_as)) == before
    with acting_as("superuser"):
        assert Folder.objects.get(pk=world.inbox.pk).next_uid < 99
    monkeypatch.undo()
