"""The power may be cut at any moment: no row without the bytes of its letter (R-010)."""

from itertools import count
from pathlib import Path

import pytest
from django.conf import settings

from postern.mail import letterstore, rawstore
from postern.mail.letterstore import LetterStoreDown, files
from postern.mail.models import Raw
from tests.mail.powercut import Tape, recording
from tests.world import arrive, letter, make_world

pytestmark = pytest.mark.rule("R-010")
_bodies = count(1)


@pytest.fixture
def folder(db, acting_as):
    return make_world(acting_as).inbox


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A disk on which the folder of letters is not made yet."""
    monkeypatch.setattr(settings, "LETTERS", f"files:{tmp_path / 'letters'}")
    letterstore._open.cache_clear()
    yield tmp_path
    letterstore._open.cache_clear()


def some(number: int = 6) -> list[bytes]:
    return [letter(body=f"letter {next(_bodies)}\r\n" * 20) for _ in range(number)]


def lost(tape: Tape) -> list[tuple[str, str]]:
    """(after what, which letter) for each moment at which a committed row would be without its bytes."""
    assert sum(one.what == "committed" for one in tape.moments) >= 2
    return [(one.what, place) for one in tape.moments for place in one.lost()]


def two_batches(folder, acting_as) -> None:
    arrive(acting_as, folder, *some())
    again = some(3)
    arrive(acting_as, folder, *some(), *again)
    arrive(acting_as, folder, *again)  # known already: nothing new


def test_whenever_the_power_is_cut_each_committed_letter_is_there_whole(folder, root, acting_as, monkeypatch):
    with recording(root, "letters", monkeypatch) as tape:
        two_batches(folder, acting_as)
    assert {one.what for one in tape.moments} >= {
        "opened",
        "renamed",
        "file flushed",
        "folder flushed",
        "folder made",
    }
    assert len(tape.moments[-1].promised) == 15 and len(tape.moments) > 60
    assert lost(tape) == []
    with acting_as("superuser"):
        assert sum(row.letter().startswith(b"From:") for row in Raw.objects.all()) == 15


@pytest.mark.parametrize("forget", ["file", "folder"])
def test_without_flushing_letters_would_be_lost(folder, root, acting_as, monkeypatch, forget):
    """The test can fail: it is red as soon as a flush of files, or of folders, is left out."""
    with recording(root, "letters", monkeypatch, forget=forget) as tape:
        two_batches(folder, acting_as)
    assert len({place for _, place in lost(tape)}) == 15


def test_without_waiting_for_the_flush_letters_would_be_lost(folder, root, acting_as, monkeypatch):
    """Red as well when the row does not wait: here each letter is put only after the next commit began."""
    put, late = letterstore.put, []

    def later(mailbox_id, sha256, packed):
        late.append((mailbox_id, sha256, packed))
        return f"files:{letterstore.name_of(mailbox_id, sha256)}"

    monkeypatch.setattr(rawstore.letterstore, "put", later)
    with recording(root, "letters", monkeypatch) as tape:
        for _ in range(2):
            arrive(acting_as, folder, *some(2))
            for one in late:
                put(*one)
    assert {what for what, _ in lost(tape)} >= {"committed", "commit begins"}


def test_a_process_that_was_killed_between_making_a_folder_and_flushing_it(
    folder, root, acting_as, monkeypatch
):
    """The next process finds the folder there, and must not take it for certain."""

    class Killed(BaseException):
        pass

    def killed(_: Path) -> None:
        raise Killed

    first = some()
    with recording(root, "letters", monkeypatch) as tape:
        with monkeypatch.context() as dying:
            dying.setattr(files, "_flush", killed)
            with pytest.raises(Killed):
                arrive(acting_as, folder, *first)
        letterstore._open.cache_clear()  # another process
        arrive(acting_as, folder, *first)
        arrive(acting_as, folder, *some())
    assert lost(tape) == [] and len(tape.moments[-1].promised) == 12


def test_a_disk_that_was_full_for_a_moment(folder, root, acting_as, monkeypatch):
    first = some()
    with recording(root, "letters", monkeypatch) as tape:
        with monkeypatch.context() as full:

            def no_space(_: Path) -> None:
                raise OSError(28, "No space left on device")

            full.setattr(files, "_flush", no_space)
            with pytest.raises(LetterStoreDown, match="No space left"):
                arrive(acting_as, folder, *first)
        arrive(acting_as, folder, *first)
        arrive(acting_as, folder, *some())
    assert lost(tape) == [] and len(tape.moments[-1].promised) == 12
