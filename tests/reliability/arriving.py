"""Rows of the table of scenarios: letters arrive, are filed, refused, read and marked."""

from __future__ import annotations

from tests.reliability.scenarios import scenario
from tests.reliability.world import World

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
