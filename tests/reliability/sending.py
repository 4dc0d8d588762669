"""Rows of the table of scenarios: sent mail, and sent folders that are made anew."""

from __future__ import annotations

from tests.reliability.scenarios import anew, days_ago, scenario, wait_a_second
from tests.reliability.world import World, letter

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
