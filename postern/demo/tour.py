"""`postern demo --once`: the tour of the demo through the API, without a browser. Says what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from postern.demo.accounts import ELENA, MARTA
from postern.demo.caller import Caller, Refused

if TYPE_CHECKING:
    from postern.demo.run import Session
    from postern.people.models import Staff

Found = TypeVar("Found")
PATIENCE = 20.0  # seconds for anything that happens by itself
PAUSE = 0.1


class Missed(Exception):
    """The tour did not see what it should; the text says what."""


def take(session: Session) -> int:
    """Take the tour, print a line for each thing seen; returns 0, or 1 at the first thing missed."""
    began = time.monotonic()
    tour = Tour(session)
    try:
        for stop in (tour.inbox, tour.arrival, tour.triage, tour.answer, tour.nobody_else, tour.sharing):
            stop()
    except (Missed, Refused, OSError) as error:
        reason = f"{error} ({error.status} {error.code})" if isinstance(error, Refused) else str(error)
        print(f"  MISSED  {reason}", flush=True)
        return 1
    print(f"All seen, in {time.monotonic() - began:.0f} seconds.", flush=True)
    return 0


class Tour:
    """Marta, Elena and Tom at the API, and what they see."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.post = session.post
        team = session.team
        self.marta, self.elena, self.tom = (self._caller(one) for one in (team.marta, team.elena, team.tom))

    def _caller(self, staff: Staff) -> Caller:
        from django.db import connections

        from postern.people.tokens import make_token

        _, token = make_token(staff=staff, name="Tour of the demo")
        connections.close_all()
        return Caller(self.session.place.url, token)

    # What is there

    def inbox(self) -> None:
        """A dozen letters, some of them from nobody we know."""
        told("Marta Lindqvist opens her inbox")
        letters = self.wait("a dozen letters in the inbox", lambda: self._at_least(self.marta, 12))
        unknown = [one for one in letters if not one["author_found"]]
        expect(3 <= len(unknown) < len(letters), "some letters are marked Author not found")
        saw(f"{len(letters)} letters, {len(unknown)} of them Author not found, newest first")
        for one in letters[:5]:
            print(f"            {_who(one):<44} {one['subject']}")
        expect(_descending([one["received_at"] for one in letters]), "the newest letter stands first")

    def arrival(self) -> None:
        """A letter appears by itself."""
        began = time.monotonic()
        letter = self.post.next_letter()
        found = self.wait(f"“{letter.subject}”", lambda: self.find(self.marta, letter.subject))
        saw(f"{_who(found)} wrote; it was here after {time.monotonic() - began:.1f} seconds")

    # Pair, add, block, delete and Undo

    def triage(self) -> None:
        """The four actions on senders nobody knows."""
        told("She sorts out who is who")
        self._pair()
        self._add()
        self._block()
        self._delete()

    def _pair(self) -> None:
        message = self.must_find(self.marta, "New office at Mill Lane 14: can you connect us?")
        best = self.marta.get(f"/messages/{message['id']}/suggestions")[0]
        customer = best["customer"]
        self.act(message, "pair", customer=customer["id"])
        paired = self.marta.get(f"/messages/{message['id']}")
        expect(paired["author_found"], "the paired sender is known")
        mail = self._conversations(self.marta, customer["id"])
        expect(len(mail) == 1, f"the letter is on {customer['name']}’s Communication")
        saw(f"paired Daniel Hoffmann to {customer['name']} ({', '.join(best['reasons']).lower()})")

    def _add(self) -> None:
        message = self.must_find(self.marta, "Is fibre available in Birch Street?")
        self.act(message, "add", kind="lead", name="Lena Voss")
        lead = self.marta.get("/customers", kind="lead", q="Lena Voss")["customers"][0]
        expect(lead["addresses"][0]["email"] == message["author"]["address"], "the new lead has the address")
        saw(f"added Lena Voss as lead {lead['number']}, with the address from her letter")

    def _block(self) -> None:
        message = self.must_find(self.marta, "Fax line offer")
        self.act(message, "block", what="domain")
        before = len(self._denied())
        self.post.say("Best Fax Lines <sales@fax-lines.example>", "Fax line offer, last chance")
        self.wait("the blocked letter in the ledger", lambda: len(self._denied()) > before)
        expect(self.find(self.marta, "Fax line offer, last chance") is None, "blocked mail is not stored")
        saw("blocked fax-lines.example; its next letter was not stored, the ledger says why")

    def _delete(self) -> None:
        subject = "Up to 40% off patch panels"
        done = self.act(self.must_find(self.marta, subject), "delete")
        expect(self.find(self.marta, subject) is None, "a deleted letter is gone")
        self.marta.post(f"/actions/{done['id']}/undo")
        self.must_find(self.marta, subject)
        saw("deleted the newsletter, and took it back")

    def _denied(self) -> list[Any]:
        return list(self.marta.get(f"/mailboxes/{self.mailbox()}/ledger", outcome="denied")["lines"])

    # Communication

    def answer(self) -> None:
        """An e-mail to a customer, and the answer beneath it."""
        told("She opens Brandt Bakery’s Communication and sends an e-mail")
        bakery = self.customer("Brandt Bakery")
        before = self._conversations(self.marta, bakery)
        saw(f"{len(before)} conversation, {sum(len(one['messages']) for one in before)} messages so far")
        subject, text = "Visit on Tuesday at 5:45", "Dear Greta,\n\ndoes Tuesday at 5:45 suit you?\n\nMarta\n"
        draft = self.marta.post("/deliveries", customer=bakery, subject=subject, text=text)
        began = time.monotonic()
        self.marta.post(f"/deliveries/{draft['id']}/send", undo_seconds=0)
        self.wait("the server’s acceptance", lambda: self._accepted(draft["id"]))
        saw(f"accepted by the mail server after {time.monotonic() - began:.1f} seconds")
        answered = self.wait("the customer’s answer", lambda: self._answered(bakery, subject))
        expect(not answered["messages"][-1]["outgoing"], "the answer stands beneath the letter")
        saw(f"the answer appeared beneath it after {time.monotonic() - began:.1f} seconds")
        copies = self.wait("a copy in Sent on the server", lambda: self._copies(subject))
        expect(copies == 1, "the letter is in the sent folder once")
        saw("the letter lies in the sent folder on the server, once")

    def _accepted(self, number: int) -> bool:
        row = self.marta.get(f"/deliveries/{number}")
        expect(row["state"] not in ("failed", "unknown"), f"the letter is accepted: {row['problem']}")
        return bool(row["state"] == "accepted")

    def _answered(self, customer: int, subject: str) -> Any:
        rows = self._conversations(self.marta, customer)
        return next((one for one in rows if one["subject"] == subject and len(one["messages"]) > 1), None)

    def _copies(self, subject: str) -> int:
        stored = self.post.run(self.post.server.letters(MARTA, "Sent"))
        return sum(f"Subject: {subject}".encode() in one.raw for one in stored)

    # Who sees it

    def nobody_else(self) -> None:
        """A colleague and the super-administrator see no trace."""
        told("Elena Ruiz and Tom Okafor look for it")
        letter = self.must_find(self.marta, "Visit on Tuesday at 5:45")
        for name, caller in (("Elena", self.elena), ("Tom, who is super-administrator,", self.tom)):
            expect(not self.letters(caller), f"{name} sees an empty inbox")
            expect(not self._conversations(caller, self.customer("Brandt Bakery")), f"{name} sees no mail")
            expect(not self.may_read(caller, letter["id"]), f"{name} cannot open Marta’s letter")
            saw(f"{name} sees no letter, no conversation, and 404 for the address of one")

    def sharing(self) -> None:
        """Access alone shows nothing; a mailbox of one's own opens it."""
        told("Marta gives Elena access")
        letter = self.must_find(self.marta, "Visit on Tuesday at 5:45")
        me = self.elena.get("/me")
        granted = self.marta.put(f"/mailboxes/{self.mailbox()}/readers/{me['id']}")
        saw(f"granted: {granted['in_words']}")
        expect(not self.letters(self.elena), "access alone shows nothing")
        expect(not self.may_read(self.elena, letter["id"]), "access alone opens nothing")
        me = self.elena.get("/me")
        expect(me["waits_for_own_mailbox"] and not me["shared_with_me"], "the API says why")
        saw("Elena still sees nothing: waits_for_own_mailbox is true, and whose mail it is stays untold")
        self._own_mailbox()
        expect(self.may_read(self.elena, letter["id"]), "Elena reads Marta’s letter now")
        expect(not self.letters(self.tom), "Tom still sees nothing")
        saw("Tom still sees nothing")

    def _own_mailbox(self) -> None:
        from postern.demo.people import mailbox_settings

        settings = mailbox_settings(ELENA, imap_port=self.post.imap_port, smtp_port=self.post.smtp_port)
        self.elena.post("/mailboxes", **settings)
        self.wait("Elena’s own letters", lambda: self._count(self.elena, own=True) >= 4)
        own, shared = self._count(self.elena, own=True), self._count(self.elena, own=False)
        expect(shared == len(self.letters(self.marta)), "Elena sees Marta’s whole inbox")
        saw(f"with a mailbox of her own she sees {own} letters of hers and {shared} that Marta shares")
        both = [one for one in self.letters(self.elena) if one["subject"].startswith("Key to the cabinet")]
        expect(len({one["mailbox"]["id"] for one in both}) == 2, "a letter to both is two copies")
        saw("the letter that both got is there twice, a copy in each mailbox")
        expect(self._count(self.marta, own=False) == 0, "Marta sees nothing of Elena’s")
        saw("Marta sees nothing of Elena’s mailbox")

    # Small things

    def wait(self, what: str, look: Callable[[], Found]) -> Found:
        """Look again until there is something; the processes are tended meanwhile. Raises Missed in the end."""
        deadline = time.monotonic() + PATIENCE
        while not (found := look()):
            if time.monotonic() > deadline:
                raise Missed(f"waited {PATIENCE:.0f} seconds for {what}")
            if self.session.stop.seen:
                raise Missed("stopped")
            self.session.tree.tend()
            time.sleep(PAUSE)
        return found

    def letters(self, caller: Caller) -> list[Any]:
        """The person's inbox."""
        return list(caller.get("/inbox", limit=200)["messages"])

    def _at_least(self, caller: Caller, number: int) -> list[Any]:
        found = self.letters(caller)
        return found if len(found) >= number else []

    def _count(self, caller: Caller, *, own: bool) -> int:
        return sum(one["mailbox"]["own"] is own for one in self.letters(caller))

    def find(self, caller: Caller, subject: str) -> Any:
        """A letter of the inbox or the sent ones by its subject, None when it is not there."""
        rows = self.letters(caller) + list(caller.get("/sent")["messages"])
        return next((one for one in rows if one["subject"] == subject), None)

    def must_find(self, caller: Caller, subject: str) -> Any:
        """Likewise; raises Missed."""
        found = self.find(caller, subject)
        expect(found is not None, f"“{subject}” is there")
        return found

    def may_read(self, caller: Caller, message: int) -> bool:
        """False when the message is not there for this person."""
        try:
            caller.get(f"/messages/{message}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return False
        return True

    def act(self, message: Any, key: str, **data: Any) -> Any:
        """Take an action as Marta."""
        return self.marta.post(f"/messages/{message['id']}/actions/{key}", **data)

    def mailbox(self) -> int:
        """The number of Marta's mailbox."""
        return int(self.marta.get("/mailboxes")[0]["id"])

    def customer(self, name: str) -> int:
        """The number of a customer, by name."""
        return int(self.marta.get("/customers", q=name)["customers"][0]["id"])

    def _conversations(self, caller: Caller, customer: int) -> list[Any]:
        return list(caller.get(f"/customers/{customer}/communication")["conversations"])


def told(line: str) -> None:
    """Print a heading with the time."""
    print(f"{datetime.now(UTC):%H:%M:%S}  {line}", flush=True)


def saw(line: str) -> None:
    """Print something that was seen."""
    print(f"      seen  {line}", flush=True)


def expect(true: bool, what: str) -> None:
    """Raise Missed unless it is so."""
    if not true:
        raise Missed(what)


def _who(message: Any) -> str:
    author = message["author"]
    return author["name"] or str(author["address"])


def _descending(values: list[str]) -> bool:
    return values == sorted(values, reverse=True)
