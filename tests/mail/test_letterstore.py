"""Letters outside the database: durable before they are believed, private, and missed when missing."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from postern.mail import letterstore
from postern.mail.letterstore import BadLetters, LetterMissing, LetterStoreDown, files, name_of
from postern.mail.letterstore.files import Files
from tests.servers.bucket import Objects, bucket

NAME = name_of(7, bytes(range(32)))


def test_what_was_put_comes_back_and_goes(tmp_path: Path) -> None:
    store = Files(tmp_path / "letters")
    store.put(NAME, b"packed")
    store.put(NAME, b"packed")
    assert store.get(NAME) == b"packed"
    assert [name for name, _ in store.names()] == [NAME]
    store.remove(NAME)
    store.remove(NAME)
    with pytest.raises(LetterMissing, match="is not below"):
        store.get(NAME)


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    store = Files(tmp_path / "letters")
    store.put(NAME, b"packed")
    path = tmp_path / "letters" / NAME
    for place, mode in ((path, 0o600), (path.parent, 0o700), (tmp_path / "letters", 0o700)):
        assert stat.S_IMODE(place.stat().st_mode) == mode


@pytest.mark.rule("R-010")
def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, happened = Files(tmp_path), []
    flush, rename = os.fsync, Path.replace
    final = tmp_path / NAME

    def noting_flush(handle: int) -> None:
        what = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        happened.append((what, final.exists()))
        flush(handle)

    def noting_rename(self: Path, target: Path) -> Path:
        happened.append(("rename", final.exists()))
        return rename(self, target)

    monkeypatch.setattr(files.os, "fsync", noting_flush)
    monkeypatch.setattr(files.Path, "replace", noting_rename)
    store.put(NAME, b"packed")
    assert happened[-3:] == [("file", False), ("rename", False), ("folder", True)]
    assert happened[:-3] == [("folder", False)] * 3  # the store's own place, and its two new folders
    happened.clear()
    store.put(NAME, b"packed")
    assert [what for what, _ in happened] == ["file", "rename", "folder"], "known to be certain by now"


@pytest.mark.rule("R-009")
def test_a_full_disk_leaves_no_letter_under_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Files(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(LetterStoreDown, match="No space left"):
        store.put(NAME, b"packed")
    monkeypatch.undo()
    with pytest.raises(LetterMissing):
        store.get(NAME)
    store.put(NAME, b"packed")
    assert store.get(NAME) == b"packed"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "7/../x.zst", "", "7/00/" + "0" * 63 + ".zst", "/7/00/a"]
)
def test_a_name_that_leaves_the_folder_is_no_name(tmp_path: Path, name: str) -> None:
    store = Files(tmp_path)
    for refused in (store.get, store.remove, lambda n: store.put(n, b"x")):
        with pytest.raises(LetterMissing, match="no letter's name"):
            refused(name)


@pytest.mark.parametrize(
    ("setting", "message"), [("ftp:/x", "POSTERN_LETTERS may be"), ("s3://", "names no bucket")]
)
def test_a_setting_that_makes_no_sense_says_what_may_be(settings_letters, setting: str, message: str) -> None:
    settings_letters(setting)
    with pytest.raises(BadLetters, match=message):
        letterstore.put(1, b"\0" * 32, b"x")


def test_a_letter_stays_readable_after_the_setting_changes(tmp_path: Path, settings_letters) -> None:
    settings_letters("files")
    place = letterstore.put(7, bytes(range(32)), b"packed")
    assert place == f"files:{NAME}"
    settings_letters("database")
    assert letterstore.put(7, bytes(range(32)), b"packed") == ""
    assert letterstore.get(place) == b"packed"


@pytest.fixture
def settings_letters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Set POSTERN_LETTERS for one test."""
    from django.conf import settings

    monkeypatch.setattr(settings, "LETTERS_DIR", tmp_path)

    def to(value: str) -> None:
        monkeypatch.setattr(settings, "LETTERS", value)

    letterstore._open.cache_clear()
    yield to
    letterstore._open.cache_clear()


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    """A bucket on loopback, named in the variables S3 programs share."""
    with bucket() as objects:
        monkeypatch.setenv("AWS_ENDPOINT_URL", objects.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a secret")
        monkeypatch.setenv("AWS_REGION", "eu-test-1")
        yield objects


def test_a_bucket_keeps_gives_lists_and_removes(objects: Objects, settings_letters) -> None:
    settings_letters("s3://letters/of/postern")
    place = letterstore.put(7, bytes(range(32)), b"packed")
    assert place == f"s3:{NAME}"
    assert objects == {f"of/postern/{NAME}": b"packed"}
    assert letterstore.get(place) == b"packed"
    store = letterstore.holding("s3")
    assert [name for name, _ in store.names()] == [NAME]
    store.remove(NAME)
    assert objects == {}
    with pytest.raises(LetterMissing, match="not in the bucket"):
        store.get(NAME)


@pytest.mark.parametrize("status", [403, 507])
def test_a_bucket_that_refuses_is_down_and_nothing_counts_as_kept(
    objects: Objects, settings_letters, status: int
) -> None:
    settings_letters("s3://letters")
    objects.refuse = status
    with pytest.raises(LetterStoreDown, match="did not take a letter"):
        letterstore.put(7, bytes(range(32)), b"packed")
    with pytest.raises(LetterStoreDown, match="did not give a letter"):
        letterstore.get(f"s3:{NAME}")
    assert objects == {}
