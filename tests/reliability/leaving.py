"""Rows of the table of scenarios: letters leave a folder, and some come back."""

from __future__ import annotations

from tests.reliability.scenarios import scenario
from tests.reliability.world import World


@scenario("in stays | gone goes")
def deleted_for_good(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("goes")
    w.sync()
    w.expunge("goes")
    w.sync(2)


@scenario("in one")
def marked_deleted_is_still_there(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync()
    w.flag("one", "\\Deleted")
    w.sync(2)


@scenario("in one")
def undeleted(w: World) -> None:
    w.sync()
    w.put("one")
    w.flag("one", "\\Deleted")
    w.sync()
    w.flag("one", remove="\\Deleted")
    w.sync()


@scenario("in stays | gone goes")
def moved_to_trash(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("goes")
    w.sync()
    w.move("goes", "INBOX", "Trash")
    w.sync(2)


@scenario("in one stays")
def moved_to_trash_and_back(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("one")
    w.sync()
    w.move("one", "INBOX", "Trash")
    w.sync(2)
    w.move("one", "Trash", "INBOX")
    w.sync(2)


@scenario("in one stays")
def moved_there_and_back_between_two_visits(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("one")
    w.sync()
    w.move("one", "INBOX", "Trash")
    w.move("one", "Trash", "INBOX")
    w.sync(2)


@scenario("in one")
def copied_elsewhere(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync()
    w.copy("one", "INBOX", "Trash")
    w.sync()


@scenario("in one")
def copied_within_the_folder(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync()
    w.copy("one", "INBOX", "INBOX")
    w.sync(2)


@scenario("in one stays")
def one_of_two_copies_deleted(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("one")
    w.copy("one", "INBOX", "INBOX")
    w.sync()
    w.expunge("one")
    w.sync(2)


@scenario("gone one two")
def everything_deleted(w: World) -> None:
    w.sync()
    w.put("one")
    w.put("two")
    w.sync()
    w.expunge("one")
    w.expunge("two")
    w.sync(3)


@scenario("in new stays | gone goes")
def one_leaves_as_another_comes(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("goes")
    w.sync()
    w.expunge("goes")
    w.put("new")
    w.sync(2)


@scenario("in c d e | gone a b")
def two_leave_as_three_come(w: World) -> None:
    w.sync()
    w.put("a")
    w.put("b")
    w.sync()
    for subject in ("c", "d", "e"):
        w.put(subject)
    w.expunge("a")
    w.expunge("b")
    w.sync(3)


@scenario("in stays")
def came_and_left_between_two_visits(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("flash")
    w.expunge("flash")
    w.sync(2)


@scenario("in (30) | gone (20)")
def a_great_clearing(w: World) -> None:
    w.sync()
    w.put_many(50)
    w.sync()
    with w.look.session(w.user, "INBOX", readonly=False) as link:
        link.store("11:30", "+FLAGS.SILENT", "(\\Deleted)")
        link.expunge()
    w.sync(2)


@scenario("in stays | deleted goes")
def deleted_here_and_moved_to_trash_there(w: World) -> None:
    w.sync()
    w.put("stays")
    w.put("goes")
    w.sync()
    w.to_trash("goes")
    w.sync(2)
    assert w.where("goes") == []
    assert len(w.where("goes", "Trash")) == 1


@scenario("deleted goes")
def deleted_here_never_comes_back(w: World) -> None:
    w.sync()
    raw = w.put("goes")
    w.sync()
    w.to_trash("goes")
    w.sync(2)
    w.put("goes", raw=raw)
    w.sync(2)
