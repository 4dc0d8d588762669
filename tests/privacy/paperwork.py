"""What administrators do with customers and their addresses, and how letters are filed: rules of the state machine.

It is played by test_model.py, and looked at by reference.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from postern.mail.access import viewing_as
from postern.mail.actions import ActionRefused, perform, undo
from postern.mail.models import Message
from postern.mail.pairing import add_address, file_by_hand, file_mail, follow, remove_address
from postern.people.csvimport import import_customers
from postern.people.models import Address, Customer
from tests.privacy.reference import Entry, Everybody, Letter, Person

MAYBE = st.booleans()


class Paperwork(Everybody):
    """Pairing, filing by hand, importing, moving and removing addresses, and taking back what one did."""

    parties: list[str]
    book: dict[str, Entry]
    done: list[tuple[Person, int, Any]]

    def one(self, data: st.DataObject, some: list[Any]) -> Any:
        return data.draw(st.sampled_from(some))

    def _counts(self, one: Letter) -> bool:
        """An address counts if nobody in particular or the owner put it there; else if before, and by no reader."""
        entry = self.book.get(one.party)
        if entry is None or entry.by in (None, one.owner):
            return entry is not None
        return entry.row.created_at <= one.at and (one.owner, entry.by) not in self.grants

    def _can_act(self, chosen: Letter) -> bool:
        return chosen.owner.active and not chosen.deleted

    @precondition(lambda self: self.letters)
    @rule(data=st.data(), add=MAYBE)
    def an_owner_pairs(self, data: st.DataObject, add: bool) -> None:
        some = [one for one in self.letters if self._can_act(one) and not one.outgoing and not one.customers]
        if not some:
            return
        chosen, customer = self.one(data, some), self.one(data, self.customers)
        with viewing_as(chosen.owner.staff):
            message = Message.objects.visible_to(chosen.owner.staff).get(pk=chosen.pk)
            told = {"name": "New", "kind": "lead"} if add else {"customer": customer.pk}
            row = perform(staff=chosen.owner.staff, key="add" if add else "pair", message=message, data=told)
            address = Address.objects.select_related("customer").get(email=chosen.party)
        self.done.append((chosen.owner, row.pk, ("unpair", address.pk, chosen.party, address.customer)))
        self._filed(chosen.party, Entry(address, address.customer, chosen.owner))

    @rule(data=st.data(), imported=MAYBE)
    def somebody_adds_an_address(self, data: st.DataObject, imported: bool) -> None:
        """Any administrator, and an address that may be on the customer already."""
        person, email = self.one(data, self.people), self.one(data, self.parties)
        before = self.book.get(email)
        customer = before.customer if before else self.one(data, self.customers)
        if imported and not before:
            self._imported(email, customer)
        elif person.active:
            self._adds(person, email, customer)

    def _adds(self, person: Person, email: str, customer: Customer) -> None:
        before = self.book.get(email)
        with viewing_as(person.staff):
            row = add_address(staff=person.staff, customer=customer, email=email)
        self._filed(email, Entry(row, customer, before.by if before else person), by=person)

    def _imported(self, email: str, customer: Customer) -> None:
        with self.acting_as("superuser"):
            row = Address.objects.create(customer=customer, email=email)
        self._filed(email, Entry(row, customer, None), job_only=True)

    @precondition(lambda self: self.book)
    @rule(data=st.data())
    def somebody_removes_an_address(self, data: st.DataObject) -> None:
        person, email = self.one(data, self.people), self.one(data, sorted(self.book))
        if person.active:
            with viewing_as(person.staff):
                remove_address(staff=person.staff, address=Address.objects.get(email=email))
            self._unfiled(email)

    @precondition(lambda self: self.book)
    @rule(data=st.data())
    def somebody_moves_an_address(self, data: st.DataObject) -> None:
        """To the other customer, before the worker comes to anybody else's mail."""
        person, email = self.one(data, self.people), self.one(data, sorted(self.book))
        before = self.book[email]
        customer = self.one(data, [one for one in self.customers if one != before.customer])
        if not person.active:
            return
        with viewing_as(person.staff):
            remove_address(staff=person.staff, address=Address.objects.get(email=email))
            row = add_address(staff=person.staff, customer=customer, email=email)
        for one in self.letters:
            if one.party == email and one.owner is not person:
                one.by_address = False
        self._filed(email, Entry(row, customer, person))
        self._work(before.customer)

    @rule(data=st.data())
    def somebody_imports_a_file(self, data: st.DataObject) -> None:
        """A customer with an address that may be there already, or be another's: then its line is refused."""
        person, email = self.one(data, self.people), self.one(data, self.parties)
        before, customer = self.book.get(email), self.one(data, self.customers)
        if not person.active:
            return
        told = f"name,number,email\n{customer.name},{customer.number},{email}\n".encode()
        with viewing_as(person.staff):
            report = import_customers(told, staff=person.staff)
            follow(staff=person.staff, customer_ids=report.customers)
        if before and before.customer != customer:
            assert report.broken and not report.customers
            return
        by = before.by if before else person
        with self.acting_as("superuser"):
            row = Address.objects.get(email=email)
        self._filed(email, Entry(row, customer, by), by=person, job_only=by is not person)

    def _filed(self, email: str, entry: Entry, *, by: Person | None = None, job_only: bool = False) -> None:
        self.book[email] = entry
        actor = None if job_only else by or entry.by
        for one in self.letters:
            if one.party == email:
                one.customer = entry.customer
                one.by_address = one.by_address or one.owner is actor
        self._work(entry.customer)

    def _unfiled(self, email: str) -> None:
        entry = self.book.pop(email)
        for one in self.letters:
            if one.party == email:
                one.customer, one.by_address = None, False
        self._work(entry.customer)

    def _work(self, customer: Customer) -> None:
        with self.acting_as("send"):
            file_mail([customer.pk])

    @precondition(lambda self: any(not one.by_hand for one in self.letters))
    @rule(data=st.data())
    def an_owner_files_by_hand(self, data: st.DataObject) -> None:
        chosen = self.one(data, [one for one in self.letters if not one.by_hand])
        customer = self.one(data, self.customers)
        if self._can_act(chosen):
            self._files(chosen, customer)

    def _files(self, chosen: Letter, customer: Customer) -> None:
        with viewing_as(chosen.owner.staff):
            file_by_hand(message=Message.objects.get(pk=chosen.pk), customer=customer)
        chosen.by_hand = customer

    @precondition(lambda self: any(one.customers for one in self.letters))
    @rule(data=st.data())
    def an_owner_unpairs(self, data: st.DataObject) -> None:
        """What was filed by hand is taken off; else the address goes, and with it all its letters."""
        some = [one for one in self.letters if self._can_act(one) and one.customers]
        some = [one for one in some if one.by_hand or not one.outgoing]
        if some:
            self._unpairs(self.one(data, some))

    def _unpairs(self, chosen: Letter) -> None:
        owner, by_hand, entry = chosen.owner, chosen.by_hand, self.book.get(chosen.party)
        with viewing_as(owner.staff):
            message = Message.objects.select_related("mailbox").get(pk=chosen.pk)
            row = perform(staff=owner.staff, key="unpair", message=message, data={})
        if by_hand:
            chosen.by_hand, chosen.by_address = None, self._counts(chosen)
            self.done.append((owner, row.pk, ("by hand", chosen, by_hand)))
            return
        assert entry is not None
        own = [one for one in self.letters if one.owner is owner and one.party == chosen.party]
        counted = [one for one in own if one.by_address and not one.by_hand]
        self.done.append((owner, row.pk, ("put back", chosen.party, entry, counted)))
        self._unfiled(chosen.party)

    def _pairing_undone(self, owner: Person, made: int, paired: str, customer: Customer) -> None:
        for email, entry in list(self.book.items()):
            if entry.row.pk == made:
                self._unfiled(email)
            elif email == paired and entry.customer == customer:  # it is another's by now
                for one in self.letters:
                    if one.owner is owner and one.party == email:
                        one.by_address = one.by_address and self._counts(one)

    def _put_back(self, owner: Person, number: int, email: str, before: Entry, counted: list[Letter]) -> None:
        """The address is whose it was; letters of the owner count as they did, nobody else's."""
        now = self.book.get(email)
        with viewing_as(owner.staff):
            if now and now.customer != before.customer:
                with pytest.raises(ActionRefused):
                    undo(staff=owner.staff, action_id=number)
                return
            undo(staff=owner.staff, action_id=number)
            row = Address.objects.get(email=email)
        by = now.by if now else before.by
        self._filed(email, Entry(row, before.customer, by), by=by, job_only=by is not owner)
        for one in counted:
            one.by_address = True
