"""Rows of the table of scenarios: mail from before Postern came."""

from __future__ import annotations

from tests.reliability.scenarios import days_ago, scenario
from tests.reliability.world import World


@scenario("in d2 d5 d8")
def history_by_the_date_of_arrival(w: World) -> None:
    w.settings(historic=True, historic_since=days_ago(10))
    for days in (30, 8, 11, 2, 5):
        w.put(f"d{days}", days=days)
    w.sync(2)


@scenario("in d2 d20 new")
def the_date_is_moved_back(w: World) -> None:
    for days in (30, 20, 2):
        w.put(f"d{days}", days=days)
    w.settings(historic=True, historic_since=days_ago(10))
    w.sync()
    w.put("new")
    w.settings(historic_since=days_ago(25))
    w.sync(2)


@scenario("in d2 | skipped 1 | seen d3")
def history_of_unread_mail(w: World) -> None:
    w.put("d3", days=3, flags=("\\Seen",))
    w.put("d2", days=2)
    w.settings(historic=True, historic_since=days_ago(10), process="unread")
    w.sync(2)


@scenario("in d2 | out s2")
def history_of_both_folders(w: World) -> None:
    for name, folder in (("d", "INBOX"), ("s", "Sent")):
        w.put(f"{name}20", folder, days=20)
        w.put(f"{name}2", folder, days=2)
    w.settings(historic=True, historic_since=days_ago(10))
    w.sync(2)


@scenario("in d2 d3 | gone d4")
def history_of_which_some_leaves(w: World) -> None:
    for days in (4, 3, 2):
        w.put(f"d{days}", days=days)
    w.settings(historic=True, historic_since=days_ago(10))
    w.sync()
    w.expunge("d4")
    w.sync(2)


@scenario("in one two")
def history_switched_on_late_doubles_nothing(w: World) -> None:
    w.put("one", days=1)
    w.sync()
    w.put("two")
    w.sync()
    w.settings(historic=True, historic_since=days_ago(10))
    w.sync(2)


@scenario("in (60)")
def a_long_history(w: World) -> None:
    w.put_many(60)
    w.settings(historic=True, historic_since=days_ago(10))
    w.sync(2)
