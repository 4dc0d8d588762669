"""The people of a story: administrators at the pages, customers with a mail program, and their real mailboxes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.servers.dovecot import Dovecot
from tests.servers.postfix import Postfix
from tests.stories.browser import Browser, Page, Row, plain
from tests.stories.outsider import Outsider, letter
from tests.stories.product import BOSS, BOSS_PASSWORD, Product, wait_for

NAMES = ["Marta", "Elena", "Tomas", "Greta", "Jonas", "Aylin", "Pavel", "Ingrid", "Rosa", "Henrik"]
POOL = 200
"""How many accounts each kind of person has on the servers, made before they start: enough for all stories."""
_COPY = """
INSERT INTO people_staff SELECT one.* FROM people_staff first, jsonb_populate_record(first, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('people_staff', 'id')), 'email', %s::text, 'name', %s::text, 'is_active', true
)) one WHERE first.id = %s
"""


def accounts() -> dict[str, str]:
    """The accounts of the private servers: administrators at isp.test, customers at client.test."""
    found = {f"admin{n:03}@isp.test": f"admin-secret-{n:03}" for n in range(POOL)}
    found |= {f"client{n:03}@client.test": f"client-secret-{n:03}" for n in range(POOL)}
    return found | {
        "office@isp.test": "office-secret",
        "relay@isp.test": "relay-secret",
        "x@example.test": "x",
    }


class Admin(Browser):
    """An administrator at the pages, with a real mailbox of their own at the provider."""

    def __init__(self, office: Office, name: str, sign_in: str, account: str) -> None:
        super().__init__(office.product.url)
        self.office, self.name, self.sign_in_address, self.address = office, name, sign_in, account
        self.staff_id = 0
        self._token = ""

    def api(
        self,
        method: str,
        path: str,
        data: Any = None,
        files: Mapping[str, tuple[str, str, bytes]] | None = None,
    ) -> Page:
        """Call the API with a token of one's own, made in My Profile at the first call."""
        if not self._token:
            made = self.post("/profile/tokens/", {"name": "a story"})
            found = re.search(r"postern_[\w-]{40,}", made.text)
            assert found, made.main
            self._token = found[0]
        return self.call(method, "/api/v1" + path, data, token=self._token, files=files)

    # The mailbox at the provider, looked at by imaplib

    @property
    def imap(self) -> Dovecot:
        """The real server behind the mailbox."""
        return self.office.imap

    @property
    def phone(self) -> Outsider:
        """The same person with another mail program."""
        return Outsider(self.address, self.office.imap, self.office.smtp)

    def gets(self, subject: str, sender: str = "", **options: Any) -> bytes:
        """Let a letter arrive in the INBOX on the server; returns its bytes."""
        date = options.pop("date", None)
        sender = sender or f"Guest <guest{uuid.uuid4().hex[:8]}@elsewhere.test>"
        raw = letter(sender, self.address, subject, **options)
        self.imap.deliver(self.address, raw, date=date)
        return raw

    # My Profile → Email

    def settings(self, **changes: Any) -> dict[str, Any]:
        """What the form holds for an ordinary mailbox; None leaves a field (or an unticked box) out."""
        return {
            "address": self.address,
            "imap_username": self.address,
            "imap_password": self.imap.passwords[self.address],
            "sent_folder": "Sent",
            "tracking": "on",
            "process": "all",
            "historic_since": "",
            "deny_list": "",
            "sending": "on",
            "reply_to": "",
            "smtp_auth": "auto",
            "smtp_username": "",
            "smtp_password": "",
            **self.office.servers(),
            **changes,
        }

    def saves(self, **changes: Any) -> Page:
        """Save the settings with some changes; the page that follows, refused or not."""
        return self.post("/profile/email/", self.settings(**changes))

    def connects(self, **changes: Any) -> Admin:
        """Save the settings and wait until the mailbox is in sync."""
        page = self.saves(**changes)
        assert page.status == 200 and "Saved" in page.toast, f"{page.status} {page.main[:600]}"
        self.until_health("In sync")
        return self

    def reads_notices(self) -> str:
        """Read what must be read before any other page, say so, and return its words."""
        page = self.get("/messages/inbox/")
        assert "/notices/" in page.url, "there is nothing to be read"
        [upto] = re.findall(r'name="upto" value="(\d+)"', page.text)
        assert "/notices/" not in self.post("/notices/", {"upto": upto}).url
        return page.words

    @property
    def mailbox(self) -> int:
        """The mailbox's number."""
        return int(
            self.office.product.sql("SELECT id FROM mailboxes_mailbox WHERE owner_id = %s", self.staff_id)[0][
                0
            ]
        )

    def health(self) -> str:
        """What the page says of the mailbox."""
        found = re.search(
            r'<section class="banner[^"]*" id="health-words".*?</section>',
            self.get("/profile/email/").text,
            re.S,
        )
        return plain(found[0]) if found else ""

    def until_health(self, words: str, *, seconds: float = 30) -> str:
        """Wait until the page says so of the mailbox (and the worker has the settings of now)."""
        self.until_state({"Needs attention": "failed"}.get(words, words.lower().replace(" ", "_")), seconds)
        said = self.health()
        assert words in said
        return said

    def until_state(self, state: str, seconds: float = 30) -> None:
        """Wait until the worker says so of the mailbox, with the settings of now."""

        def look() -> bool:
            ours = self.office.product.sql(
                "SELECT h.settings_version = m.settings_version AND h.state = %s FROM mailboxes_mailbox m"
                " JOIN mailboxes_mailboxhealth h ON h.mailbox_id = m.id WHERE m.owner_id = %s",
                state,
                self.staff_id,
            )
            return bool(ours and ours[0][0])

        wait_for(look, f"“{state}” of {self.address} (before: {self.health()})", seconds=seconds)

    def tests(self, kind: str, **changes: Any) -> Page:
        """Press Load, Test connection or Send; wait for the end and return the last fragment."""
        recipient = changes.pop("recipient", "")
        data = self.settings(**changes) | {"probe": kind, "recipient": recipient}
        page = self.post("/profile/email/test/", data, headers={"HX-Request": "true"})
        if page.status == 422:
            return page
        number = page.number(r"/profile/email/test/(\d+)/")
        wait_for(lambda: self._over(number), f"the end of test {number}", seconds=60)
        return self.get(f"/profile/email/test/{number}/")

    def _over(self, number: int) -> bool:
        rows = self.office.product.sql("SELECT state FROM mailboxes_probe WHERE id = %s", number)
        return rows[0][0] in ("works", "failed")

    def probe(self) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        """State, steps and result of the person's latest test, as stored."""
        rows = self.office.product.sql(
            "SELECT state, steps, result FROM mailboxes_probe WHERE staff_id = %s ORDER BY id DESC LIMIT 1",
            self.staff_id,
        )
        return rows[0][0], rows[0][1], rows[0][2]

    def shares(self, reader: Admin, **narrowing: str) -> Page:
        """Give a colleague access."""
        return self.post("/profile/email/access/", {"reader": reader.staff_id, **narrowing})

    def takes_back(self, reader: Admin) -> Page:
        """Revoke a colleague's access."""
        rows = self.office.product.sql(
            "SELECT id FROM mailboxes_reader WHERE mailbox_id = %s AND staff_id = %s",
            self.mailbox,
            reader.staff_id,
        )
        return self.post(f"/profile/email/access/{rows[0][0]}/remove/")

    # Messages

    def inbox(self, query: str = "") -> list[Row]:
        """The rows of Messages → Inbox."""
        return self.get("/messages/inbox/" + query).rows

    def subjects(self, query: str = "") -> list[str]:
        """Their subjects, newest first."""
        return [row.subject for row in self.inbox(query)]

    def sent(self) -> list[Row]:
        """The rows of Messages → Sent."""
        return self.get("/messages/sent/").rows

    def sees(self, subject: str, *, seconds: float = 20) -> Row:
        """Wait until a message with this subject is in the inbox."""

        def look() -> Row | None:
            return next((row for row in self.inbox() if row.subject == subject), None)

        found = wait_for(look, f"“{subject}” in the inbox of {self.name}", seconds=seconds)
        assert found is not None
        return found

    def opens(self, row: Row | int) -> Page:
        """Open a message."""
        return self.get(f"/messages/inbox/{row if isinstance(row, int) else row.pk}/")

    def does(self, key: str, row: Row | int, **data: Any) -> Page:
        """Do one of the actions."""
        pk = row if isinstance(row, int) else row.pk
        return self.post(f"/messages/{pk}/do/{key}/", data)

    # Customers

    def adds_customer(self, name: str, address: str = "", kind: str = "customer", **fields: str) -> int:
        """Add a customer or lead with an address; returns the number of its page."""
        data = {
            "kind": kind,
            "name": name,
            "email": address,
            "number": "",
            "status": "active",
            "phone": "",
            "notes": "",
        }
        page = self.post("/customers/new/", data | fields)
        assert page.status == 200, page.main
        return page.number(r"/customers/(\d+)/")

    def communication(self, customer: int) -> Page:
        """The Communication tab."""
        return self.get(f"/customers/{customer}/communication/")

    def sends(self, *, to: str, subject: str, text: str = "Hello.", **fields: Any) -> Page:
        """Write a letter in the composer and press Send."""
        files = fields.pop("files", None)
        data = {"to": to, "subject": subject, "text": text, "do": "send", "key": uuid.uuid4().hex} | fields
        return self.post("/compose/", data, files=files)

    def sends_at_once(self, *, to: str, subject: str, text: str = "Hello.", **fields: Any) -> int:
        """The same through the API, without the ten seconds of Undo; returns the number of the delivery."""
        made = self.api("POST", "/deliveries", {"to": to, "subject": subject, "text": text, **fields})
        assert made.status == 201, made.text
        number = int(made.json()["id"])
        sent = self.api("POST", f"/deliveries/{number}/send", {"undo_seconds": 0})
        assert sent.status == 200, sent.text
        return number

    def delivery(self, subject: str) -> dict[str, Any]:
        """What became of the letter with this subject, as stored."""
        names = ("id", "state", "code", "problem", "server_text", "message_id", "accepted")
        rows = self.office.product.sql(
            f"SELECT {', '.join(names)} FROM outbox_delivery WHERE author_id = %s AND subject = %s ORDER BY id DESC",
            self.staff_id,
            subject,
        )
        return dict(zip(names, rows[0], strict=True)) if rows else {}

    def until_delivery(self, subject: str, state: str = "accepted", *, seconds: float = 40) -> dict[str, Any]:
        """Wait for the fate of a letter."""

        def look() -> dict[str, Any]:
            found = self.delivery(subject)
            return found if found.get("state") == state else {}

        return wait_for(look, f"{state} of “{subject}” (now: {self.delivery(subject)})", seconds=seconds)


@dataclass
class Office:
    """One installation with its servers, and everybody who was hired or came along in a story."""

    product: Product
    imap: Dovecot
    smtp: Postfix
    boss: Admin = field(init=False)
    hired: list[Admin] = field(default_factory=list)
    _first: int = 0
    _password: str = ""

    def __post_init__(self) -> None:
        self._numbers: Iterator[int] = count()
        self._clients: Iterator[int] = count()
        self.boss = Admin(self, "Bo Boss", BOSS, "office@isp.test")
        assert self.boss.sign_in(BOSS, BOSS_PASSWORD).url.endswith("/messages/inbox/")
        self.boss.staff_id = self._staff_id(BOSS)

    def servers(self) -> dict[str, Any]:
        """Where the mail servers are, as the form asks."""
        return {
            "imap_host": "localhost",
            "imap_port": self.imap.tls_port,
            "imap_security": "ssl",
            "smtp_host": "localhost",
            "smtp_port": self.smtp.port,
            "smtp_security": "starttls",
        }

    def hire(self, *, sign_in: str = "") -> Admin:
        """Add an administrator and sign them in; their mailbox is not set up yet.

        The first one comes in through Config, as everybody does. The others' rows are like that one's, with the
        same password: hashing two new ones for each took a sixth of the time of all stories.
        """
        number = next(self._numbers)
        name = f"{NAMES[number % len(NAMES)]} {number:03}"
        one = Admin(self, name, sign_in or f"person{number:03}@staff.test", f"admin{number:03}@isp.test")
        if self._password:
            self.product.sql(_COPY, one.sign_in_address, name, self._first)
            assert "/sign-in/" not in one.sign_in(one.sign_in_address, self._password).url
        else:
            self._password = self._invite(one)
            self._first = self._staff_id(one.sign_in_address)
        one.staff_id = self._staff_id(one.sign_in_address)
        self.hired.append(one)
        return one

    def _invite(self, one: Admin) -> str:
        """Add somebody in Config; they sign in with the first password and choose their own, which is returned."""
        data = {"name": one.name, "email": one.sign_in_address, "role": "admin"}
        page = self.boss.post("/config/administrators/", data)
        first = re.search(r'<code class="mono">([^<]+)</code>', page.text)
        assert first, page.main[:500]
        assert one.sign_in(one.sign_in_address, first[1]).status == 200
        own = f"{first[1]} of my own"
        page = one.post("/first-password/", {"new_password1": own, "new_password2": own})
        assert page.status == 200 and "/first-password/" not in page.url
        return own

    def allows_unchecked(self, yes: bool = True) -> None:
        """Say in Config whether owners may skip the check of a server's certificate."""
        done = self.boss.api("PATCH", "/config/email", {"unchecked_certificates": yes})
        assert done.status == 200, done.text

    def client(self) -> Outsider:
        """A customer-to-be with a mailbox of their own on the servers."""
        return Outsider(f"client{next(self._clients):03}@client.test", self.imap, self.smtp)

    def dismiss_everybody(self) -> None:
        """End the sessions and watchers of a story's people, so that the next story has the servers to itself."""
        ids = [one.staff_id for one in self.hired]
        self.hired.clear()
        if ids:
            self.product.sql("UPDATE people_staff SET is_active = false WHERE id = ANY(%s)", ids)
            self.product.sql(
                "SELECT pg_notify('postern_mailboxes', json_build_object('mailbox', id, 'id', id)::text)"
                " FROM mailboxes_mailbox WHERE owner_id = ANY(%s)",
                ids,
            )

    def _staff_id(self, address: str) -> int:
        return int(self.product.sql("SELECT id FROM people_staff WHERE email = %s", address)[0][0])


class PocketOffice(Office):
    """The same beside the demo's in-process server, without encryption; its customers answer by themselves."""

    def __init__(self, product: Product, server: Any) -> None:
        super().__init__(product, server, server)

    def servers(self) -> dict[str, Any]:
        """Where the pocket server is."""
        return {
            "imap_host": "127.0.0.1",
            "imap_port": self.imap.port,
            "imap_security": "none",
            "smtp_host": "127.0.0.1",
            "smtp_port": self.imap.smtp_port,
            "smtp_security": "none",
        }
