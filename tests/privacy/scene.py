"""The owner's private things, marked by words that nothing else contains, and a way to ask as each actor.

ZEBRA stands in the mail: the owner's and their readers'. OKAPI stands in what is the owner's alone.
QUAGGA stands in the draft of an answer in the owner's name, SERVAL in such answers that were sent off.
GIRAFFE stands in a conversation of the owner's that is shared by name with somebody who is none of the actors.
"""

from __future__ import annotations

import json
import re
from copy import copy
from datetime import UTC, datetime, timedelta
from functools import cache
from http.cookies import SimpleCookie
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from postern.mail.access import viewing_as
from postern.mail.models import Action, Bcc, ConversationShare, Opening, Sighting
from postern.mail.sharing import add_aside
from postern.mailboxes.models import DenyEntry, Mailbox, MailboxHealth, Probe, Reader
from postern.outbox.models import Delivery, OutgoingFile
from postern.people.models import Customer, Staff, Token
from postern.people.tokens import make_token
from tests.privacy.matrix import ACTORS, Row
from tests.web.browser import Browser
from tests.world import World, arrive, letter, make_mailbox, make_world

ZEBRA, OKAPI, QUAGGA, SERVAL, GIRAFFE = "zebra", "okapi", "quagga", "serval", "giraffe"
MISSING = 999_999
_CHANGING = [
    (rb'(name="csrfmiddlewaretoken" value=")\w+', rb"\1"),
    (rb'(nonce=")[^"]+', rb"\1"),
    (rb'("X-CSRFToken": ?")\w+', rb"\1"),
]
# Counting tries and noting the use of a token or session is no trace of anybody's mail.
NOT_COMPARED = ("django_session", "people_attempt", "people_token")
_ATTACHED = (
    "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
    "--b\r\nContent-Type: text/html\r\n\r\n<p>zebra-body</p>\r\n"
    '--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="zebra.txt"\r\n\r\n'
    "zebra-file\r\n--b--\r\n",
)
_PLAIN = _ATTACHED[1].replace("zebra", "giraffe")


class Scene:
    """Everything that a row of the matrix may name, and the actors."""

    def __init__(self, acting_as: Any) -> None:
        self.acting_as = acting_as
        self.world: World = make_world(acting_as)
        self.answerer = self._let_somebody_answer()
        self.ids: dict[str, int] = {}
        self._let_mail_arrive()
        self.confidant = self._confide()
        with acting_as("superuser"):
            self._make_private_things()
            self._make_answers()
        people = [
            self.world.owner,
            self.world.reader,
            self.answerer,
            self.world.reader_without_imap,
            self.world.colleague,
            self.world.boss,
        ]
        self.staff = dict(zip(ACTORS, [*people, None], strict=True))
        self._cookies: dict[str, SimpleCookie] = {"stranger": SimpleCookie()}
        self._tokens = {"stranger": ""}
        for name, staff in self.staff.items():
            if staff is not None:
                self.sign_in(name, staff)

    def sign_in(self, actor: str, staff: Staff) -> None:
        """Let somebody in, by the door for people and by the one for programs."""
        client = Client()
        client.force_login(staff)
        self.staff[actor], self._cookies[actor] = staff, client.cookies
        with viewing_as(staff):
            self._tokens[actor] = make_token(staff=staff, name="tests")[1]

    def _let_somebody_answer(self) -> Staff:
        with self.acting_as("superuser"):
            staff = Staff.objects.create_staff(email="answerer@isp.example", name="Answerer", password=None)
            make_mailbox(staff)
            Reader.objects.create(mailbox=self.world.mailbox, staff=staff, may_reply=True)
        return staff

    def _let_mail_arrive(self) -> None:
        world = self.world
        [known] = arrive(
            self.acting_as, world.inbox, letter(subject="zebra one", headers=_ATTACHED[0], body=_ATTACHED[1])
        )
        [unknown] = arrive(
            self.acting_as,
            world.inbox,
            letter(sender="Zebra Stripe <zebra@stripes.example>", subject="zebra two"),
        )
        [sent] = arrive(
            self.acting_as,
            world.sent,
            letter(
                sender="owner@isp.example",
                to="greta@brandt-bakery.example",
                subject="zebra answer",
                headers="Bcc: okapi-blind@isp.example\r\n",
            ),
        )
        self.ids |= {
            "known": known.pk,
            "unknown": unknown.pk,
            "sent": sent.pk,
            "thread": known.conversation_id,
        }
        with viewing_as(world.owner):
            self.ids["file"] = known.attachments.get().index

    def _confide(self) -> Staff:
        """One conversation (giraffe) is shared by name with somebody who is none of the actors; a letter stands aside."""
        first = letter(subject="giraffe", mid="giraffe@b.example", headers=_ATTACHED[0], body=_PLAIN)
        answer = "References: <giraffe@b.example>\r\n"
        [confided] = arrive(self.acting_as, self.world.inbox, first)
        with self.acting_as("superuser"):
            staff = Staff.objects.create_staff(email="confidant@isp.example", name="Confidant", password=None)
            make_mailbox(staff)
            ConversationShare.objects.create(
                mailbox=self.world.mailbox, conversation_id=confided.conversation_id, staff=staff
            )
        [aside] = arrive(
            self.acting_as,
            self.world.inbox,
            letter(sender="x@zebra.example", subject="zebra aside", headers=answer),
        )
        [added] = arrive(
            self.acting_as,
            self.world.inbox,
            letter(sender="y@giraffe.example", subject="giraffe added", headers=answer),
        )
        with viewing_as(self.world.owner):
            add_aside(staff=self.world.owner, message=added)
        self.ids |= {
            "added": added.pk,
            "confided": confided.pk,
            "confided_thread": confided.conversation_id,
            "confidant": staff.pk,
            "aside": aside.pk,
        }
        return staff

    def _make_private_things(self) -> None:
        world, ids = self.world, self.ids
        box = world.mailbox
        Mailbox.objects.filter(pk=box.pk).update(
            imap_username="okapi-user", smtp_host="127.0.0.1", has_smtp_secret=True
        )
        MailboxHealth.objects.create(
            mailbox=box, state="certificate_changed", message="okapi", code="okapi", seen_sha256="ab" * 32
        )
        Bcc.objects.update_or_create(
            message_id=ids["sent"], mailbox=box, defaults={"addresses": [["", "okapi-blind@isp.example"]]}
        )
        Sighting.objects.create(
            mailbox=box,
            folder=world.inbox,
            uidvalidity=7,
            uid=900_000,
            outcome="denied",
            reason="okapi.example",
        )
        letter = {"mailbox": box, "author": world.owner, "to": [["", "okapi@b.example"]], "subject": "okapi"}
        draft = Delivery.objects.create(**letter, customer=world.customer, text="okapi")
        action = Action.objects.create(
            staff=world.owner, key="unread", label="okapi", data={"message": ids["known"]}
        )
        # The rows take longer than an action can be undone.
        Action.objects.filter(pk=action.pk).update(created_at=timezone.now() + timedelta(days=1))
        Opening.objects.create(
            at=timezone.now(),
            mailbox=box,
            message_id=ids["known"],
            conversation_id=ids["thread"],
            reader_id=world.reader.pk,
            reader_name="Okapi",
            what="body",
            door="page",
            subject="okapi",
            outgoing=False,
            received_at=timezone.now(),
            customers=[world.customer.pk],
        )
        made = {
            "mailbox": box,
            "customer": world.customer,
            "address": world.customer.addresses.get(),
            "lead": Customer.objects.create(name="Lead", kind="lead"),
            "entry": DenyEntry.objects.create(mailbox=box, pattern="okapi.example", comment="okapi"),
            "action": action,
            "draft": draft,
            "queued": Delivery.objects.create(**letter, state="queued", raw=b"okapi"),
            "unsure": Delivery.objects.create(**letter, state="unknown", raw=b"okapi"),
            "outgoing": OutgoingFile.objects.create(
                delivery=draft,
                mailbox=box,
                name="okapi.txt",
                content_type="text/plain",
                size=5,
                data=b"okapi",
            ),
            "token": Token.objects.create(staff=world.owner, name="okapi", digest="0" * 64),
            "probe": Probe.objects.create(
                staff=world.owner,
                mailbox=box,
                kind="imap",
                state="failed",
                steps=[
                    {"key": "resolve", "label": "okapi", "ok": False, "milliseconds": 1, "detail": "okapi"}
                ],
                result={"code": "timeout", "message": "okapi", "advice": "", "server_text": ""},
            ),
            "grant": Reader.objects.get(mailbox=box, staff=world.reader),
            "reader": world.reader,
            "colleague": world.colleague,
            "owner": world.owner,
            "boss": world.boss,
            "gone": Staff.objects.create(email="gone@isp.example", name="Gone", is_active=False),
        }
        make_mailbox(made["gone"])
        soon = datetime.now(UTC) + timedelta(days=1)
        made["fresh"] = Staff.objects.create(
            email="fresh@isp.example", name="Fresh", must_change_password=True, one_time_until=soon
        )
        ids.update({name: row.pk for name, row in made.items()})

    def _make_answers(self) -> None:
        """What the answerer writes in the owner's name; it can be sent, as far as the settings say."""
        answer = {"mailbox": self.world.mailbox, "author": self.answerer, "answers_id": self.ids["known"]}
        answer |= {"to": [["", "greta@brandt-bakery.example"]], "customer": self.world.customer}
        draft = Delivery.objects.create(**answer, subject="quagga", text="quagga")
        off = answer | {"subject": "serval", "text": "serval"}
        made = {
            "answer": draft,
            "answer_queued": Delivery.objects.create(**off, state="queued", raw=b"serval"),
            "answer_failed": Delivery.objects.create(**off, state="failed", raw=b"serval"),
            "answer_unsure": Delivery.objects.create(**off, state="unknown", raw=b"serval"),
            "answer_file": OutgoingFile.objects.create(
                delivery=draft,
                mailbox=self.world.mailbox,
                name="quagga.txt",
                content_type="text/plain",
                size=6,
                data=b"quagga",
            ),
        }
        self.ids.update({name: row.pk for name, row in made.items()})

    def still_there(self) -> bool:
        """False when the database was emptied since."""
        with self.acting_as("superuser"):
            return Delivery.objects.filter(pk=self.ids["draft"], subject="okapi").exists()

    def browser(self, actor: str) -> Browser:
        """A fresh browser that is signed in; what one request does to its cookies is forgotten."""
        client = Browser(raise_request_exception=False)
        client.cookies = copy(self._cookies[actor])
        return client

    def ask(self, actor: str, template: str, row: Row, *, missing: bool = False) -> HttpResponse:
        """Send a row's request; `missing`: with ids that never were, or to an address that leads nowhere."""
        api = template.startswith("/api/")
        path = self.path(template, row, missing) + self._filled(row.query)
        headers = dict(row.headers)
        if api and self._tokens[actor]:
            headers["Authorization"] = f"Bearer {self._tokens[actor]}"
        client = self.browser("stranger" if api else actor)
        body = json.loads(self._filled(json.dumps(row.body)))
        if row.file:
            upload = SimpleUploadedFile("names.csv", b"name,email\nNew,n@new.example\n", "text/csv")
            return client.post(path, {**body, row.file: upload}, headers=headers)
        if row.method == "GET":
            return client.get(path, headers=headers)
        if api:
            return client.generic(row.method, path, json.dumps(body), "application/json", headers=headers)
        return client.post(path, body, headers=headers)

    def path(self, template: str, row: Row, missing: bool) -> str:
        if missing and all(name.startswith("=") for name in row.ids):
            return "/api/v1/no/such/thing" if template.startswith("/api/") else "/no/such/page/"
        path = template
        for name in row.ids:
            value = name[1:] if name.startswith("=") else str(MISSING if missing else self.ids[name])
            path = re.sub(r"<[^>]+>|\{[^}]+\}", value, path, count=1)
        assert not re.search(r"[<{]", path), f"the row of {template} names too few ids"
        return path

    def _filled(self, text: str) -> str:
        """Replace {name} by that thing's id; in JSON, "{name}" by a number."""
        for name, pk in self.ids.items():
            text = text.replace(f'"{{{name}}}"', str(pk)).replace(f"{{{name}}}", str(pk))
        return text

    def tables(self) -> dict[str, str]:
        """A digest of every table's rows, as the superuser sees them."""
        with self.acting_as("superuser"):
            return _digests(_tables())

    def written(self) -> dict[str, int]:
        """How many rows of each compared table this transaction wrote so far, also where it took that back.

        Cheaper by far than the digests: where nothing was written, none can differ. Another session's rows it does
        not count.
        """
        with connection.cursor() as cursor:
            cursor.execute(_WRITTEN)
            return {name: rows for name, rows in cursor.fetchall() if name in _tables()}

    def owners_rows(self, actor: str) -> dict[str, str]:
        """A digest of the rows of the owner's mailbox that are not this actor's own answers.

        Read marks are each person's own; what a reader opens is noted for the owner.
        """
        box = self.ids["mailbox"]
        with self.acting_as("superuser"):
            conditions = dict.fromkeys(_tables("mailbox_id"), f"mailbox_id = {box}")
            del conditions["mail_messageread"]
            del conditions["mail_opening"]
            if actor == "answerer":
                others = f"SELECT d.id FROM outbox_delivery d WHERE d.author_id <> {self.answerer.pk}"
                conditions["outbox_delivery"] += f" AND id IN ({others})"
                conditions["outbox_outgoingfile"] += f" AND delivery_id IN ({others})"
            return _digests(conditions | {"mailboxes_mailbox": f"id = {box}"})


_WRITTEN = """
SELECT relname, rows FROM pg_class, LATERAL (SELECT pg_stat_get_xact_tuples_inserted(oid)
    + pg_stat_get_xact_tuples_updated(oid) + pg_stat_get_xact_tuples_deleted(oid)) told (rows)
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND rows > 0
"""


def _digests(conditions: dict[str, str]) -> dict[str, str]:
    query = " UNION ALL ".join(
        f"SELECT '{name}', md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {name} t"
        f" WHERE {condition}"
        for name, condition in conditions.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


@cache
def _tables(column: str = "") -> dict[str, str]:
    """All tables that are compared, or those with a column, each with the condition that takes every row."""
    with connection.cursor() as cursor:
        found = connection.introspection.table_names(cursor)
        names = [name for name in found if name not in NOT_COMPARED]
        columns = {
            name: {told.name for told in connection.introspection.get_table_description(cursor, name)}
            for name in (names if column else ())
        }
    return {name: "true" for name in names if not column or column in columns[name]}


def content_of(response: HttpResponse) -> bytes:
    """The body without what is new in every answer (tokens against CSRF, nonces); a stream is not waited for."""
    body = b"" if response.streaming else response.content
    for pattern, kept in _CHANGING:
        body = re.sub(pattern, kept, body)
    return body


def whole_text(response: HttpResponse) -> str:
    """Everything an answer tells, headers and cookies included, in lower case."""
    head = " ".join(f"{name} {value}" for name, value in response.items())
    cookies = " ".join(str(morsel) for morsel in response.cookies.values())
    body = "" if response.streaming else response.content.decode("utf-8", "replace")
    return f"{head} {cookies} {body}".lower()
