"""Ten lines that say who may see which letter, and everywhere a person looks, compared with them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction

from postern.mail import lists
from postern.mail.access import answerable_keys, viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Folder, Mailbox
from postern.people.models import Address, Customer, Staff
from tests.api.caller import Caller
from tests.web.browser import Browser
from tests.world import make_folder, make_mailbox

WORD = "fjord"
"""Is in every letter."""


@dataclass(eq=False)
class Person:
    """An administrator, and the mailbox that is theirs."""

    staff: Staff
    box: Mailbox
    inbox: Folder
    sent: Folder
    active: bool = True
    has_mailbox: bool = True
    deny: set[str] = field(default_factory=set)
    browser: Browser = field(default_factory=Browser)
    program: Caller = field(default_factory=Caller)


def enter(name: str, place: str) -> Person:
    """Somebody new with a mailbox of their own, signed in; dora is a super-administrator. The caller is the superuser."""
    role = "super" if name == "dora" else "admin"
    staff = Staff.objects.create_staff(
        email=f"{name}@{place}.isp.example", name=name.title(), password=None, role=role
    )
    box = make_mailbox(staff)
    person = Person(staff, box, make_folder(box), make_folder(box, Folder.Role.SENT))
    person.browser.force_login(staff)
    person.program = Caller(staff)
    return person


@dataclass(eq=False)
class Grant:
    """What an owner lets a reader see."""

    incoming_only: bool
    customers_only: bool
    may_reply: bool
    over: bool = False


@dataclass(eq=False)
class Letter:
    """A letter in somebody's mailbox. `customer`: by its address; `by_hand`: where its owner filed it besides.

    `by_address`: it belongs to a customer by its address, as far as its owner is concerned.
    """

    owner: Person
    party: str
    outgoing: bool
    customer: Customer | None
    by_address: bool
    pk: int
    token: str
    at: datetime
    deleted: bool = False
    by_hand: Customer | None = None
    read: set[Person] = field(default_factory=set)
    shared: dict[Person, bool] = field(default_factory=dict)
    """With whom its conversation is shared by name, and whether that is still in force."""

    @property
    def counts(self) -> bool:
        """For grants that show customers' conversations only."""
        return self.by_address or self.by_hand is not None

    @property
    def customers(self) -> set[Customer]:
        """Under whom it is filed."""
        return {one for one in (self.customer, self.by_hand) if one is not None}


@dataclass(eq=False)
class Entry:
    """An address on a customer."""

    row: Address
    customer: Customer
    by: Person | None


def may_see(person: Person, letter: Letter, given: Grant | None, shared: bool = False) -> bool:
    """The reference: all that this product promises about who reads what."""
    if letter.deleted or not person.active:
        return False
    if letter.owner is person:
        return True
    if shared and letter.owner.active and person.has_mailbox:
        return True
    return (
        given is not None
        and not given.over
        and letter.owner.active
        and person.has_mailbox
        and not (given.incoming_only and letter.outgoing)
        and not (given.customers_only and not letter.counts)
    )


class Everybody:
    """Some people with letters, customers and grants; each looks everywhere, and sees what `may_see` says."""

    acting_as: Any
    people: list[Person]
    customers: list[Customer]
    letters: list[Letter]
    grants: dict[tuple[Person, Person], Grant]

    def sees(self, person: Person, one: Letter) -> bool:
        """What the reference says of a person and a letter."""
        return may_see(person, one, self.grants.get((one.owner, person)), one.shared.get(person, False))

    def everywhere(self, person: Person) -> None:
        """The API and the pages."""
        with transaction.atomic():
            self._by_the_api(person)
            self._on_the_pages(person)
            transaction.set_rollback(True)  # looking at a conversation marks it read

    def _all(self, person: Person, **wanted: Any) -> list[str]:
        """The tokens of what the model lets a person see, narrowed."""
        some = [one for one in self.letters if self.sees(person, one)]
        if under := wanted.pop("customer", None):
            some = [one for one in some if under in one.customers]
        some = [one for one in some if all(getattr(one, key) == value for key, value in wanted.items())]
        return sorted(one.token for one in some)

    def _numbers_of(self, person: Person) -> dict[str, int]:
        some = [one for one in self.letters if self.sees(person, one) and not one.outgoing]
        unread = sum(person not in one.read for one in some)
        return {"unread": unread, "unknown": sum(not one.customers for one in some)}

    def through_the_locks(self, person: Person) -> None:
        """Each lock alone: the policies without the query layer, and the query layer without the policies."""
        mine = {one.token for one in self.letters if one.owner is person and person.active}
        with viewing_as(person.staff):
            policies = set(Message.objects.filter(deleted_at=None).values_list("subject", flat=True))
            answers = set(answerable_keys(person.staff))
            keys = dict(Message.objects.values_list("subject", "wall_key"))
        assert policies == set(self._all(person))
        assert mine <= set(keys)
        may = {one.token for one in self.letters if self._may_answer(person, one)}
        assert {token for token in policies if keys[token] in answers} == may
        with self.acting_as("superuser"):
            seen = Message.objects.visible_to(person.staff).values_list("subject", flat=True)
            assert sorted(seen) == self._all(person)

    def _may_answer(self, person: Person, one: Letter) -> bool:
        given = self.grants.get((one.owner, person))
        by_grant = one.owner is not person and given is not None and given.may_reply
        return by_grant and may_see(person, one, given)  # a share by name is to read

    def in_the_lists(self, person: Person) -> None:
        """What pages and API are made of."""
        staff = person.staff
        with viewing_as(staff):
            incoming, outgoing = self._all(person, outgoing=False), self._all(person, outgoing=True)
            assert subjects(lists.inbox_page(staff, lists.Filter()).messages) == incoming
            assert subjects(lists.inbox_page(staff, lists.Filter(text=WORD)).messages) == incoming
            assert subjects(lists.sent(staff)) == outgoing
            for customer in self.customers:
                shown = [one for thread in lists.communication(staff, customer) for one in thread.messages]
                assert subjects(shown) == self._all(person, customer=customer)
            assert lists.counts(staff) == self._numbers_of(person) | {"all": len(incoming)}

    def _on_the_pages(self, person: Person) -> None:
        def page(path: str) -> str:
            response = person.browser.get(path)
            assert response.status_code == (200 if person.active else 302), path
            return response.content.decode()

        inbox = page("/messages/inbox/")
        assert tokens(inbox) == self._all(person, outgoing=False)
        assert tokens(page("/messages/sent/")) == self._all(person, outgoing=True)
        assert tokens(page(f"/messages/inbox/?q={WORD}")) == self._all(person, outgoing=False)
        if person.active:
            numbers = self._numbers_of(person)
            assert badges(inbox) == {"inbox": numbers["unread"], "unknown": numbers["unknown"]}
        for customer in self.customers:
            shown = page(f"/customers/{customer.pk}/communication/")
            assert tokens(shown) == self._all(person, customer=customer)

    def _by_the_api(self, person: Person) -> None:
        if not person.active:  # 429 after many calls with a token that does not work
            assert person.program.get("/inbox").status_code in (401, 429)
            return

        def told(path: str) -> Any:
            response = person.program.get(path)
            assert response.status_code == 200, path
            return response

        for path, wanted in (
            ("/inbox?limit=200", {"outgoing": False}),
            (f"/inbox?limit=200&q={WORD}", {"outgoing": False}),
            ("/sent?limit=200", {"outgoing": True}),
            *((f"/customers/{one.pk}/communication", {"customer": one}) for one in self.customers),
        ):
            assert tokens(told(path).content.decode()) == self._all(person, **wanted), path
        assert told("/counts").json() == self._numbers_of(person)


def subjects(messages: Iterable[Message]) -> list[str]:
    """Whose subjects are the tokens."""
    return sorted(message.subject for message in messages)


def tokens(text: str) -> list[str]:
    """The letters that a page or an answer names, each once."""
    return sorted(set(re.findall(r"token\d+of\w+?x", text)))


def badges(page: str) -> dict[str, int]:
    """The sidebar's numbers."""
    found = re.findall(r'id="side-(inbox|unknown)"[^>]*>(\d+)<', page)
    return {key: int(number) for key, number in found}
