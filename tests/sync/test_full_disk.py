"""A volume that is really full: sync pauses, the cursor waits, the page says so, and it heals by itself (R-009)."""

import asyncio
import contextlib
import os
import random
from pathlib import Path

import pytest
from django.db import connection

from postern.mailboxes.health import in_words
from postern.mailboxes.models import Folder
from postern.sync.reconcile import reconcile
from tests.volume import Filler, mounted

from .box import USER, letter
from .test_supervisor import supervising
from .test_watcher import in_sync, until

pytestmark = [pytest.mark.dovecot, pytest.mark.rule("R-009")]


@pytest.fixture
def volume(tmp_path_factory):
    """Three megabytes."""
    with mounted(tmp_path_factory.mktemp("volume"), 3) as place:
        yield place


@contextlib.contextmanager
def letters_in_files(volume, monkeypatch, acting_as):
    from django.conf import settings

    monkeypatch.setattr(settings, "LETTERS", f"files:{volume}")
    yield


@contextlib.contextmanager
def letters_in_the_database(volume, monkeypatch, acting_as):
    """The table of raw letters lies on the volume."""
    if os.environ.get("POSTERN_TEST_DATABASE_URL"):
        pytest.skip("the database's disk may be another machine's")
    place = volume / "table"
    place.mkdir()
    owner = next(Path(os.environ["POSTERN_DATA_DIR"]).glob("**/PG_VERSION")).stat()
    os.chown(place, owner.st_uid, owner.st_gid)

    def move(*statements):
        with acting_as("superuser", everywhere=False), connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    # The tests' server writes to disk only now and then: a page has its room when the table grows.
    move(f"CREATE TABLESPACE small LOCATION '{place}'", "ALTER TABLE mail_raw SET TABLESPACE small")
    try:
        yield
    finally:
        connection.close()
        move("ALTER TABLE mail_raw SET TABLESPACE pg_default", "DROP TABLESPACE small")


@pytest.mark.parametrize(
    "where", [letters_in_files, pytest.param(letters_in_the_database, marks=pytest.mark.soak)]
)
def test_a_full_volume_is_told_keeps_the_cursor_and_heals(
    box, dovecot, monkeypatch, volume, acting_as, where
):
    monkeypatch.setattr("postern.sync.backoff.FIRST_SECONDS", 0.3)
    filler = Filler(volume)
    noise = random.Random(9).randbytes(200_000).hex()  # 200 KB however well it is packed

    def cursor():
        return Folder.objects.get(mailbox=box.mailbox, role=Folder.Role.INBOX).next_uid

    async def story():
        async with supervising():
            await until(in_sync(box))
            dovecot.deliver(USER, letter("while there was room"))
            await until(lambda: box.subjects() == ["while there was room"])
            await until(in_sync(box))
            before = await asyncio.to_thread(cursor)
            filler.fill(leave=32 * 1024)
            dovecot.deliver(USER, letter("too much", body=noise))
            dovecot.deliver(USER, letter("behind it"))
            await until(lambda: box.health.code == "store_failed", 30)
            words = await asyncio.to_thread(lambda: in_words(box.health))
            assert "No space left on device" in words.sentence
            assert words.tone == "warning"
            await asyncio.sleep(1)
            assert await asyncio.to_thread(cursor) == before
            assert await asyncio.to_thread(box.subjects) == ["while there was room"]
            filler.free()
            await until(lambda: len(box.subjects()) == 3, 30)
            await until(in_sync(box))

    with where(volume, monkeypatch, acting_as):
        asyncio.run(story())
        assert sorted(box.subjects()) == ["behind it", "too much", "while there was room"]
        assert reconcile(box.mailbox.pk).complete
