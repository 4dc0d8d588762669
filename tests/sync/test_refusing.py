"""A folder or a letter that the server withholds waits with its reason, while everything else goes on."""

import asyncio

import pytest

from postern.mailboxes.health import in_words

from .box import letter, quick
from .teller import Teller
from .test_watcher import in_sync, until


@pytest.mark.rule("R-016")
def test_a_sent_folder_at_which_the_connection_ends_is_parked_and_keeps_nothing_else(story):
    server = Teller()
    server.tells = server.honestly

    async def scene(box, watcher):
        await until(in_sync(box))
        server.drops.add("Sent")
        server.add(letter("sent meanwhile"), "Sent")
        watcher.wake.set()
        await until(lambda: box.health.code == "connection_lost" and server.asked["LOGIN"] == 6)
        for n in range(2):
            server.add(letter(f"number {n}"))
            await until(lambda n=n: f"number {n}" in box.subjects(), 3)
        assert server.asked["LOGIN"] == 6, "INBOX goes on over one connection"
        server.drops.clear()
        for memory in watcher._memories.folders.values():
            memory.parked_until = 0.0  # a quarter of an hour later
        watcher.wake.set()
        await until(lambda: "sent meanwhile" in box.subjects(), 3)
        await until(in_sync(box), 3)

    story(server, scene, backoff=quick())


@pytest.mark.rule("R-016")
@pytest.mark.parametrize(
    ("use", "says"),
    [
        (b"\\Junk", "“Sent” is the folder for junk."),
        (b"\\Trash", "“Sent” is the folder for deleted letters."),
        (b"\\HasNoChildren \\Drafts", "“Sent” is the folder for drafts."),
        (b"\\All \\HasNoChildren", "“Sent” is the folder for all letters."),
        (b"\\Sent \\All", "“Sent” is the folder for all letters."),
        (b"\\Sent \\Trash", "“Sent” is the folder for deleted letters."),
    ],
)
def test_a_sent_folder_that_the_server_uses_otherwise_is_neither_read_nor_filled(story, use, says):
    """Its settings were saved untested: the connection test would have said so."""
    server = Teller(uses={"Sent": use})
    server.tells = server.honestly
    server.add(letter("none of ours"), "Sent")

    async def scene(box, watcher):
        await until(lambda: box.health.code == "folder_used_otherwise")
        words = in_words(await asyncio.to_thread(lambda: box.health))
        assert words.sentence.startswith(says) and "other mail is read" in words.sentence
        assert "Press Load" in words.fix
        server.add(letter("sent once"))
        await until(lambda: box.subjects() == ["sent once"], 3)
        await asyncio.to_thread(box.errand, "append", "sent once")
        watcher.wake.set()
        await until(lambda: [one.failed_at is not None for one in box.errands()] == [True], 3)
        assert says in (await asyncio.to_thread(box.errands))[0].error
        assert server.asked["APPEND"] == server.asked["STATUS"] == 0 and server.opened == {"INBOX"}
        assert server.asked["LIST"] == 2, "once for the look, once for the copy"
        server.uses.clear()
        for memory in watcher._memories.folders.values():
            memory.parked_until = 0.0  # a quarter of an hour later
        watcher.wake.set()
        await until(in_sync(box), 3)
        server.add(letter("ours"), "Sent")
        watcher.wake.set()
        await until(lambda: "ours" in box.subjects(), 3)

    story(server, scene)


@pytest.mark.parametrize(
    "server",
    [
        Teller(uses={"Sent": b"\\Sent"}),
        Teller(uses={"Sent": b"\\Archive"}),
        Teller(uses={"Sent": b"\\Sent \\HasNoChildren"}),
        Teller(b"IMAP4rev1 IDLE LIST-EXTENDED SPECIAL-USE"),
        Teller(refused={"LIST": b"NO not now"}),
        Teller(refused={"LIST": b"BAD what is LIST?"}),
    ],
    ids=[
        "for sent letters",
        "for all old letters",
        "with other flags",
        "for nothing",
        "not told",
        "not known",
    ],
)
def test_any_other_sent_folder_is_read(story, server):
    server.tells = server.honestly

    async def scene(box, watcher):
        await until(in_sync(box))
        server.add(letter("sent"), "Sent")
        watcher.wake.set()
        await until(lambda: box.subjects() == ["sent"], 3)
        assert server.asked["LIST"] == 1, "once a connection"

    story(server, scene)


@pytest.mark.rule("R-016")
def test_a_sent_folder_that_brings_letters_between_breaks_is_not_parked(story, monkeypatch):
    """A bad line, not a bad folder: whatever comes counts."""
    monkeypatch.setattr("postern.sync.visit.PARKED_AFTER", 2)
    server = Teller()

    async def scene(box, watcher):
        await until(in_sync(box))
        for n in range(6):
            server.add(letter(f"number {n}"), "Sent")
        server.breaks_after = 1
        watcher.wake.set()
        await until(lambda: len(box.subjects()) == 6)
        assert server.asked["LOGIN"] >= 6

    story(server, scene, backoff=quick())


@pytest.mark.rule("R-022")
@pytest.mark.parametrize(
    ("withheld", "outcome"), [(b"BODY.PEEK[]", "imported"), (b"BODY.PEEK[", "skipped")], ids=["body", "all"]
)
def test_a_letter_that_the_server_refuses_to_hand_over_holds_no_other_up(story, withheld, outcome):
    """Gmail, 2026 as for years: “NO Some messages could not be FETCHed”; the connection lives on."""
    server = Teller(withholds={2: withheld})
    server.tells = server.honestly

    async def scene(box, watcher):
        await until(in_sync(box))
        for n in range(1, 5):
            server.add(letter(f"number {n}"))
        watcher.wake.set()
        await until(lambda: len(box.ledger()) == 4)
        await until(in_sync(box))
        assert await asyncio.to_thread(box.ledger) == {
            1: "imported",
            2: outcome,
            3: "imported",
            4: "imported",
        }
        assert watcher.backoff.failures <= 4

    story(server, scene, backoff=quick())


@pytest.mark.parametrize("words", [b"BAD what is EXAMINE?", b"NO not here"])
def test_a_server_without_examine_is_asked_by_select(story, words):
    server = Teller(refused={"EXAMINE": words})
    server.tells = server.honestly

    async def scene(box, watcher):
        await until(in_sync(box))
        assert server.asked["EXAMINE"] == 2, "once for each folder of a connection"
        server.add(letter("in"))
        server.add(letter("out"), "Sent")
        watcher.wake.set()
        await until(lambda: sorted(box.subjects()) == ["in", "out"])
        assert server.asked["EXAMINE"] == 2
        assert watcher.backoff.failures == 0

    story(server, scene)


def test_a_folder_that_opens_neither_way_is_told(story):
    server = Teller(refused={"EXAMINE": b"NO not here", "SELECT": b"NO nor so"})

    async def scene(box, watcher):
        await until(lambda: box.health.code == "server_refused")
        assert (await asyncio.to_thread(lambda: box.health.server_text)) == "nor so"

    story(server, scene)
