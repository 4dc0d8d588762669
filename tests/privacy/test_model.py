"""Who may see which letter: everything that changes it, in random order, against ten lines that say what is right.

After each step every administrator's inbox, sent mail, communication tabs, search and counts show what `may_see` says
and nothing else; so do pages and API for one administrator a step in turn, and for all at the end. `./dev test` plays
a few short lives, the same each time, `./dev soak` more and longer ones. Each begins with all that `may_see` asks for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from time import monotonic
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from postern.mail import sharing
from postern.mail.access import viewing_as
from postern.mail.actions import ActionRefused, perform, undo
from postern.mail.models import ConversationShare, Message
from postern.mailboxes.models import Mailbox, Reader
from postern.mailboxes.readers import grant, revoke
from postern.people.models import Customer, Staff
from tests.privacy.paperwork import MAYBE, Paperwork
from tests.privacy.reference import WORD, Entry, Grant, Letter, Person, enter
from tests.reliability.scale import SOAK, amount
from tests.world import arrive, letter

DULL = 2
"""Hypothesis begins with its simplest cases: one rule over and over, and a life that breaks off. Nobody looks at them."""
LIVES, STEPS = amount(3, 50), amount(10, 30)
MOST_SECONDS = 720
"""After them no further life is looked at, however slow the machine; the figure says how many were."""
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

_lives = count(1)


def tomorrow() -> datetime:
    """An end that does not come in these lives by itself."""
    return datetime.now(UTC) + timedelta(days=1)


class Life(Paperwork, RuleBasedStateMachine):
    """Four administrators, one without a mailbox at first, one of them a super-administrator; two customers."""

    played = taken = steps = 0
    until = 0.0

    @initialize()
    def begin(self) -> None:
        number = next(_lives)
        self.life, self.dull = f"life{number}", number <= DULL or monotonic() > self.until
        with self.acting_as("superuser"):
            self.people = [enter(name, self.life) for name in ("anna", "ben", "cara", "dora")]
            self.customers = [Customer.objects.create(name=f"{self.life} {n}") for n in ("One", "Two")]
        self.numbers = count(1)
        self.letters: list[Letter] = []
        self.grants: dict[tuple[Person, Person], Grant] = {}
        self.book: dict[str, Entry] = {}
        self.done: list[tuple[Person, int, Any]] = []
        self.parties = [f"{name}@{self.life}.example" for name in ("kim", "lee", "max")]
        self._something_to_see()
        self._time_passes()
        self._taken_back()

    def _something_to_see(self) -> None:
        """Letters, and every kind of access to them."""
        anna, ben, cara, dora = self.people
        self._set_up(dora, False)
        self._imported(self.parties[1], self.customers[0])
        for owner, party in ((anna, 0), (anna, 1), (ben, 0), (dora, 0)):
            for outgoing in (False, True):
                self._comes(owner, self.parties[party], outgoing=outgoing, old=False)
        self._grants(anna, ben, Grant(incoming_only=True, customers_only=False, may_reply=True))
        self._grants(anna, cara, Grant(incoming_only=False, customers_only=True, may_reply=True))
        for owner, reader in ((ben, anna), (ben, cara), (anna, dora), (dora, ben)):
            self._grants(owner, reader, Grant(False, False, may_reply=reader is not cara), tomorrow())
        of_anna, _, _, answer, of_ben, _, of_dora, _ = self.letters
        for chosen, colleague in ((of_anna, cara), (answer, ben), (of_anna, dora), (of_ben, dora)):
            self._shares(chosen, colleague, tomorrow())
        self._shares(of_dora, cara, None)

    def _time_passes(self) -> None:
        """One grant and one share come to their end; the super-administrator was away, and is back."""
        anna, ben, cara, dora = self.people
        for _ in ("away", "back"):
            self._turn(dora)
            self._look()
        self._passes(ben, anna)
        self._share_passes(self.letters[0], cara)

    def _taken_back(self) -> None:
        """A reader of customers' mail puts somebody on a customer, whose letter its owner files and unpairs, and back."""
        anna, _, cara, _ = self.people
        mole = f"mole@{self.life}.example"
        self._comes(anna, mole, outgoing=False, old=False)
        chosen = self.letters[-1]
        self._adds(cara, mole, self.customers[1])
        self._files(chosen, self.customers[0])
        for _ in ("by hand", "by its address"):
            self._unpairs(chosen)
            self._look()
        self._undoes(self.done[-1])

    def pair_of(self, data: st.DataObject) -> tuple[Person, Person]:
        owner, other = data.draw(st.permutations(range(4)))[:2]
        return self.people[owner], self.people[other]

    # Letters

    @rule(data=st.data(), outgoing=MAYBE, old=MAYBE)
    def a_letter_comes(self, data: st.DataObject, outgoing: bool, old: bool) -> None:
        self._comes(self.one(data, self.people), self.one(data, self.parties), outgoing=outgoing, old=old)

    def _comes(self, owner: Person, party: str, *, outgoing: bool, old: bool) -> None:
        token = f"token{next(self.numbers)}of{self.life}x"
        sender, to = (owner.box.address, party) if outgoing else (party, owner.box.address)
        raw = letter(
            sender=sender, to=to, subject=token, body=f"{WORD} {token}\r\n", mid=f"{token}@x.example"
        )
        at = LONG_AGO if old else datetime.now(UTC)
        new = arrive(self.acting_as, owner.sent if outgoing else owner.inbox, raw, at=at)
        denied = not outgoing and party in owner.deny
        assert len(new) == (0 if denied else 1)
        if new:
            entry = self.book.get(party)
            customer = entry.customer if entry else None
            one = Letter(owner, party, outgoing, customer, False, new[0].pk, token, at)
            one.by_address = self._counts(one)
            self.letters.append(one)

    @precondition(lambda self: self.letters)
    @rule(data=st.data())
    def somebody_opens_a_letter(self, data: st.DataObject) -> None:
        person, chosen = self.one(data, self.people), self.one(data, self.letters)
        page = "sent" if chosen.outgoing else "inbox"
        status = person.browser.get(f"/messages/{page}/{chosen.pk}/").status_code
        if not person.active:
            assert status == 302
        elif self.sees(person, chosen):
            assert status == 200
            chosen.read.add(person)
        else:
            assert status == 404

    # Owners' actions, and taking them back

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), block=MAYBE)
    def an_owner_deletes_or_blocks(self, data: st.DataObject, block: bool) -> None:
        some = [one for one in self.letters if self._can_act(one) and not (block and one.outgoing)]
        if not some:
            return
        chosen = self.one(data, some)
        owner = chosen.owner
        with viewing_as(owner.staff):
            message = Message.objects.visible_to(owner.staff).get(pk=chosen.pk)
            told = {"what": "address", "remove": True} if block else {}
            row = perform(staff=owner.staff, key="block" if block else "delete", message=message, data=told)
        hidden = [chosen]
        if block:
            same = (one for one in self.letters if one.owner is owner and one.party == chosen.party)
            hidden = [one for one in same if not one.outgoing and not one.deleted]
        for one in hidden:
            one.deleted = True
        fresh = block and chosen.party not in owner.deny
        if fresh:
            owner.deny.add(chosen.party)
        self.done.append((owner, row.pk, ("show", hidden, chosen.party if fresh else "")))

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def somebody_undoes(self, data: st.DataObject) -> None:
        """Their own step, in any order; nobody else can."""
        self._undoes(self.one(data, self.done))

    def _undoes(self, step: tuple[Person, int, Any]) -> None:
        owner, number, (what, *told) = step
        stranger = self.people[(self.people.index(owner) + 1) % 4]
        with pytest.raises(ActionRefused), viewing_as(stranger.staff):
            undo(staff=stranger.staff, action_id=number)
        if not owner.active or (what == "by hand" and told[0].by_hand):
            return
        self.done.remove(step)
        if what == "put back":
            self._put_back(owner, number, *told)
            return
        with viewing_as(owner.staff):
            undo(staff=owner.staff, action_id=number)
        if what == "by hand":
            told[0].by_hand = told[1]
            return
        if what == "show":
            for one in told[0]:
                one.deleted = False
            owner.deny.discard(told[1])
            return
        self._pairing_undone(owner, *told)

    # Who may read whose mail

    @rule(data=st.data(), incoming=MAYBE, customers=MAYBE, reply=MAYBE, ends=MAYBE)
    def an_owner_grants(
        self, data: st.DataObject, incoming: bool, customers: bool, reply: bool, ends: bool
    ) -> None:
        owner, reader = self.pair_of(data)
        if owner.active and reader.active:
            self._grants(owner, reader, Grant(incoming, customers, reply), tomorrow() if ends else None)

    def _grants(self, owner: Person, reader: Person, given: Grant, until: datetime | None = None) -> None:
        scope = {key: getattr(given, key) for key in ("incoming_only", "customers_only", "may_reply")}
        with viewing_as(owner.staff):
            grant(staff=owner.staff, mailbox=owner.box, reader=reader.staff, ends_at=until, **scope)
        self.grants[owner, reader] = given

    @precondition(lambda self: self.grants)
    @rule(data=st.data(), expires=MAYBE)
    def a_grant_ends(self, data: st.DataObject, expires: bool) -> None:
        owner, reader = self.one(data, list(self.grants))
        if expires:
            self._passes(owner, reader)
        elif owner.active:
            with viewing_as(owner.staff):
                revoke(staff=owner.staff, mailbox=owner.box, reader=reader.staff)
            del self.grants[owner, reader]

    def _passes(self, owner: Person, reader: Person) -> None:
        with self.acting_as("superuser"):
            rows = Reader.objects.filter(mailbox=owner.box, staff=reader.staff)
            rows.update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
        self.grants[owner, reader].over = True

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), ends=MAYBE)
    def an_owner_shares_a_conversation(self, data: st.DataObject, ends: bool) -> None:
        chosen, colleague = self.one(data, self.letters), self.one(data, self.people)
        if self._can_act(chosen) and colleague.active and colleague is not chosen.owner:
            self._shares(chosen, colleague, tomorrow() if ends else None)

    def _shares(self, chosen: Letter, colleague: Person, until: datetime | None) -> None:
        place = {"staff": chosen.owner.staff, "conversation": self._thread(chosen)}
        with viewing_as(chosen.owner.staff):
            sharing.share(**place, colleague=colleague.staff, ends_at=until)
        chosen.shared[colleague] = True

    @precondition(lambda self: any(one.shared for one in self.letters))
    @rule(data=st.data(), expires=MAYBE)
    def a_share_ends(self, data: st.DataObject, expires: bool) -> None:
        chosen = self.one(data, [one for one in self.letters if one.shared])
        colleague = self.one(data, list(chosen.shared))
        if expires:
            self._share_passes(chosen, colleague)
        elif chosen.owner.active:
            place = {"staff": chosen.owner.staff, "conversation": self._thread(chosen)}
            with viewing_as(chosen.owner.staff):
                sharing.take_back(**place, colleague=colleague.staff.pk)
            del chosen.shared[colleague]

    def _share_passes(self, chosen: Letter, colleague: Person) -> None:
        thread = self._thread(chosen)
        with self.acting_as("superuser"):
            rows = ConversationShare.objects.filter(conversation=thread, staff=colleague.staff)
            rows.update(ends_at=datetime.now(UTC) - timedelta(seconds=1))
        chosen.shared[colleague] = False

    def _thread(self, chosen: Letter) -> int:
        with self.acting_as("superuser"):
            return Message.objects.get(pk=chosen.pk).conversation_id

    @rule(data=st.data())
    def somebody_sets_up_their_mailbox_or_clears_it(self, data: st.DataObject) -> None:
        person = self.one(data, self.people)
        self._set_up(person, not person.has_mailbox)

    def _set_up(self, person: Person, ready: bool) -> None:
        person.has_mailbox = ready
        with self.acting_as("superuser"):
            Mailbox.objects.filter(pk=person.box.pk).update(has_imap_secret=ready)

    @rule(data=st.data())
    def somebody_is_disabled_or_comes_back(self, data: st.DataObject) -> None:
        self._turn(self.one(data, self.people))

    def _turn(self, person: Person) -> None:
        person.active = not person.active
        with self.acting_as("superuser"):
            Staff.objects.filter(pk=person.staff.pk).update(is_active=person.active)

    # What each of them sees

    @invariant()
    def everybody_sees_what_is_theirs(self) -> None:
        self.steps += 1
        self._look(everywhere=True)

    def _look(self, *, everywhere: bool = False) -> None:
        if self.dull:
            return
        for number, person in enumerate(self.people):
            self.through_the_locks(person)
            self.in_the_lists(person)
            if everywhere and self.steps % 4 == number:
                self.everywhere(person)

    def teardown(self) -> None:
        if getattr(self, "dull", True):
            return
        type(self).played += 1
        type(self).taken += self.steps
        for person in self.people if self.steps > 4 else ():  # else it broke off
            self.everywhere(person)


@pytest.mark.rule("S-054")
def test_whoever_does_what_everybody_sees_what_the_model_says(db, acting_as, record_property):
    Life.acting_as, Life.until = staticmethod(acting_as), monotonic() + MOST_SECONDS
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=DULL + LIVES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, *((Phase.shrink,) if SOAK >= 1 else ())),
            suppress_health_check=list(HealthCheck),
        ),
    )
    record_property("figure", f"who may see: {Life.played} lives, {Life.taken} steps")
