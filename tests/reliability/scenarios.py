"""What happens to mailboxes, as a table: what is done, and what must be in Postern afterwards, on any server.

Each is run on Dovecot, Cyrus, Courier and the demo's server; the digests must be equal (R-025). The words after
`then` are World.short(): who reads a row sees what Postern promises.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.reliability.world import World, letter

Do = Callable[[World], None]


@dataclass(frozen=True)
class Scenario:
    """One row. `name` is unique."""

    name: str
    then: str
    do: Do


ALL: list[Scenario] = []


def scenario(then: str) -> Callable[[Do], Do]:
    """Add a function to the table; its name is the row's."""

    def add(do: Do) -> Do:
        ALL.append(Scenario(do.__name__.strip("_").replace("_", " "), then, do))
        return do

    return add


# Arriving


@scenario("")
def an_empty_mailbox(w: World) -> None:
    w.sync(2)


@scenario("in one")
def one_new_letter(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync(2)


@scenario("in one three two")
def three_at_once(w: World) -> None:
    w.sync()
    for subject in ("one", "two", "three"):
        w.put(subject)
    w.sync()


@scenario("in five four one three two")
def one_at_each_visit(w: World) -> None:
    w.sync()
    for subject in ("one", "two", "three", "four", "five"):
        w.put(subject)
        w.sync()


@scenario("in new")
def what_was_there_before_is_left_alone(w: World) -> None:
    w.put("old")
    w.sync()
    w.put("new")
    w.sync()


@scenario("in (200)")
def two_hundred_letters(w: World) -> None:
    w.sync()
    w.put_many(200)
    w.sync()


@scenario("in one two")
def processes_that_remember_nothing(w: World) -> None:
    w.sync_afresh()
    w.put("one")
    w.sync_afresh()
    w.put("two")
    w.sync_afresh()
    w.sync_afresh()


@scenario("in answer question")
def an_answer_joins_its_question(w: World) -> None:
    w.sync()
    w.put("question", mid="<q@brandt.example>")
    w.sync()
    w.put("answer", In_Reply_To="<q@brandt.example>", References="<q@brandt.example>")
    w.sync()


@scenario("in answer question")
def an_answer_before_its_question(w: World) -> None:
    w.sync()
    w.put("answer", In_Reply_To="<q@brandt.example>", References="<q@brandt.example>")
    w.put("question", mid="<q@brandt.example>")
    w.sync()


@scenario("in stranger theirs")
def a_customers_letter_is_filed(w: World) -> None:
    w.customer("greta@brandt.example")
    w.sync()
    w.put("theirs")
    w.put("stranger", From="somebody@else.example")
    w.sync()


@scenario("in from-the-future from-the-past")
def dates_that_cannot_be(w: World) -> None:
    w.sync()
    w.put("from-the-past", Date="Thu, 01 Jan 1970 00:00:00 +0000", days=-2)
    w.put("from-the-future", Date="Mon, 30 Feb 2099 25:61:00 +9900", days=4000)
    w.sync()


# Flags


@scenario("in read | seen read")
def read_elsewhere_before_we_came(w: World) -> None:
    w.sync()
    w.put("read", flags=("\\Seen",))
    w.sync()


@scenario("in starred")
def flags_and_keywords_are_not_touched(w: World) -> None:
    w.sync()
    w.put("starred", flags=("\\Flagged", "\\Answered"))
    w.sync(2)
    ((_, flags),) = w.there().values()
    assert flags == {"\\Flagged", "\\Answered"}


@scenario("in one | seen one")
def read_on_a_phone_afterwards(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync()
    w.flag("one", "\\Seen \\Flagged")
    w.sync(2)


@scenario("in one")
def unread_again(w: World) -> None:
    w.sync()
    w.put("one", flags=("\\Seen",))
    w.sync()
    w.flag("one", remove="\\Seen")
    w.sync()


@scenario("in unread | skipped 1 | seen read")
def unread_only(w: World) -> None:
    w.settings(process="unread")
    w.sync()
    w.put("read", flags=("\\Seen",))
    w.put("unread")
    w.sync(2)


@scenario("in unread | seen unread")
def unread_only_read_after_import(w: World) -> None:
    w.settings(process="unread")
    w.sync()
    w.put("unread")
    w.sync()
    w.flag("unread", "\\Seen")
    w.sync(2)


@scenario("out sent")
def unread_only_does_not_concern_sent_mail(w: World) -> None:
    w.settings(process="unread")
    w.sync()
    w.put("sent", "Sent", flags=("\\Seen",))
    w.sync()


@scenario("in one two | seen one two")
def mark_as_read(w: World) -> None:
    w.settings(mark_as_read=True)
    w.sync()
    w.put("one")
    w.put("two")
    w.sync(2)


@scenario("in one | out mine | seen one")
def mark_as_read_leaves_sent_mail_alone(w: World) -> None:
    w.settings(mark_as_read=True)
    w.sync()
    w.put("one")
    w.put("mine", "Sent")
    w.sync(2)
    ((_, flags),) = w.there("Sent").values()
    assert flags == set()


@scenario("gone one")
def mark_as_read_of_a_letter_that_left(w: World) -> None:
    w.sync()
    w.put("one")
    w.sync()
    w.settings(mark_as_read=True)
    w.box.errand("seen", "one")
    w.put("two")
    w.expunge("one")
    w.expunge("two")
    w.sync(3)


# Leaving and coming back


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


# Sent mail


@scenario("out mine")
def sent_from_a_phone(w: World) -> None:
    w.sync()
    w.put("mine", "Sent", flags=("\\Seen",))
    w.sync()


@scenario("out mine")
def our_own_letter_comes_back(w: World) -> None:
    w.sync()
    raw = letter("mine", From="marta@example.test", To="greta@brandt.example")
    w.sent(raw)
    w.put("mine", "Sent", raw=raw, flags=("\\Seen",))
    w.sync(2)


@scenario("out mine")
def our_own_letter_comes_back_rewritten(w: World) -> None:
    w.sync()
    raw = letter("mine", From="marta@example.test", To="greta@brandt.example")
    w.sent(raw)
    w.put("mine", "Sent", raw=b"Received: by the provider\r\n" + raw, flags=("\\Seen",))
    w.sync(2)


@scenario("out mine")
def we_file_our_own_letter(w: World) -> None:
    w.sync()
    w.sent(letter("mine", From="marta@example.test", To="greta@brandt.example"), errand=True)
    w.sync(3)
    ((_, flags),) = w.there("Sent").values()
    assert flags == {"\\Seen"}


@scenario("out mine")
def the_provider_has_filed_it_already(w: World) -> None:
    w.sync()
    raw = letter("mine", From="marta@example.test", To="greta@brandt.example")
    w.sent(raw, errand=True)
    w.put("mine", "Sent", raw=raw, flags=("\\Seen",))
    w.sync(2)
    assert len(w.where("mine", "Sent")) == 1


@scenario("in note")
def a_letter_to_oneself(w: World) -> None:
    w.sync()
    raw = letter("note", From="marta@example.test", To="marta@example.test")
    w.put("note", raw=raw)
    w.put("note", "Sent", raw=raw, flags=("\\Seen",))
    w.sync(2)


@scenario("in one")
def without_the_sent_folder(w: World) -> None:
    w.settings(sent_folder="No such folder")
    w.sync()
    w.put("one")
    w.sync()


@scenario("in one | out mine")
def no_sent_folder_at_all(w: World) -> None:
    w.sync()
    w.put("mine", "Sent")
    w.sync()
    w.settings(sent_folder="")
    w.put("one")
    w.put("unseen", "Sent")
    w.sync()


@scenario("out mine")
def a_sent_folder_of_eight_bits(w: World) -> None:
    name = "Gesendet &APw-ber alles &- mehr"  # modified UTF-7, as it goes over the line
    w.make(name)
    w.settings(sent_folder=w.at("Gesendet über alles & mehr"))
    w.sync()
    w.put("mine", name)
    w.sync()


@scenario("out mine")
def a_sent_folder_in_another(w: World) -> None:
    slash = "." if w.kind == "courier" else "/"
    w.make("Archive")
    w.make(f"Archive{slash}Sent")
    w.settings(sent_folder=w.at(f"Archive{slash}Sent"))
    w.sync()
    w.put("mine", f"Archive{slash}Sent")
    w.sync()


# Folders made anew


@scenario("out first second third")
def the_sent_folder_is_made_anew_with_its_letters(w: World) -> None:
    w.make("Ours")
    w.settings(sent_folder=w.at("Ours"))
    w.sync()
    letters = [w.put(subject, "Ours") for subject in ("first", "second")]
    w.sync()
    anew(w, "Ours")
    for raw in letters:
        w.put("", "Ours", raw=raw)
    w.put("third", "Ours")
    w.sync(3)


@scenario("out second | gone first")
def the_sent_folder_is_made_anew_with_half_of_its_letters(w: World) -> None:
    w.make("Ours")
    w.settings(sent_folder=w.at("Ours"))
    w.sync()
    w.put("first", "Ours")
    raw = w.put("second", "Ours")
    w.sync()
    anew(w, "Ours")
    w.put("second", "Ours", raw=raw)
    w.sync(3)


@scenario("out first second")
def the_sent_folder_goes_and_returns(w: World) -> None:
    w.make("Ours")
    w.settings(sent_folder=w.at("Ours"))
    w.sync()
    raw = w.put("first", "Ours")
    w.sync()
    w.remove("Ours")
    w.sync(2)
    wait_a_second()
    w.make("Ours")
    w.put("first", "Ours", raw=raw)
    w.put("second", "Ours")
    w.sync(3)


@scenario("out first second")
def the_sent_folder_is_renamed_and_the_setting_follows(w: World) -> None:
    w.make("Ours")
    w.settings(sent_folder=w.at("Ours"))
    w.sync()
    w.put("first", "Ours")
    w.sync()
    w.rename("Ours", "Theirs")
    w.put("second", "Theirs")
    w.settings(sent_folder=w.at("Theirs"), historic=True, historic_since=days_ago(5))
    w.sync(3)


# History


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


# Refused senders


@scenario("in other | denied 1")
def a_denied_address(w: World) -> None:
    w.deny("greta@brandt.example")
    w.sync()
    w.put("theirs")
    w.put("other", From="somebody@else.example")
    w.sync(2)


@scenario("denied 2")
def a_denied_domain_stays_unread(w: World) -> None:
    w.deny("brandt.example")
    w.settings(mark_as_read=True)
    w.sync()
    w.put("one")
    w.put("two", From="Other <other@sub.brandt.example>")
    w.sync(2)


@scenario("in first | denied 1")
def denied_from_now_on(w: World) -> None:
    w.sync()
    w.put("first")
    w.sync()
    w.deny("greta@brandt.example")
    w.put("second")
    w.sync(2)


@scenario("out mine")
def the_deny_list_does_not_concern_sent_mail(w: World) -> None:
    w.deny("brandt.example")
    w.sync()
    w.put("mine", "Sent")
    w.sync()


def days_ago(days: int) -> object:
    """A day as the settings hold it."""
    return (datetime.now(UTC) - timedelta(days=days)).date()


def wait_a_second() -> None:
    """Courier and Cyrus take a new folder's UIDVALIDITY from the clock: never the same one twice."""
    import time

    time.sleep(1.1)


def anew(w: World, folder: str) -> None:
    """Delete a folder and make it again."""
    w.remove(folder)
    wait_a_second()
    w.make(folder)
