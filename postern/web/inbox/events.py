"""Live updates: one PostgreSQL listener a process, one event stream a page.

An event carries ids only. Each stream forwards it only where its own person may see the thing, asked
through the wall at that moment, and ends when the session does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict, TypeVar

import psycopg
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from psycopg.conninfo import make_conninfo

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.outbox.models import Delivery
from postern.people.models import Staff

log = logging.getLogger(__name__)
Answer = TypeVar("Answer", bool, bool | None)
KINDS = ("message", "health", "delivery", "probe", "access")
END = "end"
"""The kind of what this process tells its own streams when it stops; nobody can announce it."""
PING_SECONDS = 15.0
"""How often a stream looks whether its person is still there, whatever happens meanwhile."""
HEARING_SECONDS = 2.0
"""How long a page waits for the database to be heard before it is greeted all the same."""
QUEUE = 200
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="events")
"""All streams of the process ask the database from these few, so that open pages hold no connections."""


class Event(TypedDict):
    """What was announced: one of KINDS, and ids; or END."""

    kind: str
    mailbox: int
    id: int


def read_event(payload: str) -> Event | None:
    """Return what was announced, None for what is none: any role of the database may announce anything."""
    try:
        told = json.loads(payload)
        kind, mailbox, number = told["kind"], told["mailbox"], told["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if kind not in KINDS or any(type(one) is not int or abs(one) >= 2**63 for one in (mailbox, number)):
        return None
    return Event(kind=kind, mailbox=mailbox, id=number)


def listening_address() -> str:
    """Return libpq's connection string for LISTEN: the server itself, since a pooler would deliver nothing."""
    there = settings.LISTEN_DATABASE
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
    return make_conninfo("", **{k: there[v] for k, v in names.items() if there[v]}, **there["OPTIONS"])


class Listener:
    """Hears `postern_events` once for all streams of this process."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[Event]] = set()
        self.ending = False
        self._task: asyncio.Task[None] | None = None
        self._hearing = asyncio.Event()

    @contextlib.asynccontextmanager
    async def subscription(self) -> AsyncIterator[asyncio.Queue[Event]]:
        """A queue of events; a page too slow to keep up misses some and asks again at the next.

        It begins when the database is heard; after a while without it too, since the listener tries again by itself.
        """
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)
        self.queues.add(queue)
        if self._task is None or self._task.done():
            self._hearing = asyncio.Event()
            self._task = asyncio.create_task(self._listen())
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hearing.wait(), HEARING_SECONDS)
            yield queue
        finally:
            self.queues.discard(queue)

    def end(self) -> None:
        """End all streams, those too that are about to begin: the process stops, and pages ask the next (R-007)."""
        self.ending = True
        for queue in self.queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(Event(kind=END, mailbox=0, id=0))

    async def _listen(self) -> None:
        while self.queues:
            try:
                await self._hear()
            except psycopg.Error as error:
                self._hearing.clear()
                log.warning("events: %s", type(error).__name__)
                await asyncio.sleep(2)

    async def _hear(self) -> None:
        async with await psycopg.AsyncConnection.connect(listening_address(), autocommit=True) as database:
            await database.execute("LISTEN postern_events")
            self._hearing.set()
            while self.queues:
                async for notice in database.notifies(timeout=PING_SECONDS):
                    self._hand_on(notice.payload)

    def _hand_on(self, payload: str) -> None:
        event = read_event(payload)
        if event is None:
            return
        for queue in self.queues:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(event)


LISTENER = Listener()


@require_safe
async def stream(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """The event stream of one page. Nobody signed in: 401 and no retry."""
    staff_id = await sync_to_async(_signed_in)(request)
    if staff_id is None:
        return HttpResponse(status=401)
    response = StreamingHttpResponse(_events(request, staff_id), content_type="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def _events(request: HttpRequest, staff_id: int) -> AsyncIterator[bytes]:
    """Pings come at their own times: one that waited for others' events would tell when those happened."""
    clock = asyncio.get_running_loop().time
    look_at = clock() + PING_SECONDS
    async with LISTENER.subscription() as queue:
        yield b"retry: 5000\n\n: hello\n\n"
        while not LISTENER.ending:
            if clock() >= look_at:
                look_at = clock() + PING_SECONDS
                if not await _ask(_still_there, request, staff_id):
                    return
                yield b": ping\n\n"
            try:
                event = await asyncio.wait_for(queue.get(), look_at - clock())
            except TimeoutError:
                continue
            if event["kind"] == END:
                return
            # Somebody's right to sign in or to read has changed: their pages ask anew, or find the door shut.
            if event["kind"] == "access":
                if event["id"] == staff_id:
                    return
                continue
            known = await _ask(_may_know, request, staff_id, event)
            if known is None:
                return
            if known:
                data = json.dumps({"mailbox": event["mailbox"], "id": event["id"]})
                yield f"event: {event['kind']}\ndata: {data}\n\n".encode()


async def _ask(question: Callable[..., Answer], *arguments: Any) -> Answer:
    """Ask the database in one of the few threads; its connection is given back at once."""

    def asked() -> Answer:
        try:
            return question(*arguments)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(_THREADS, asked)


def _signed_in(request: HttpRequest) -> int | None:
    return request.user.pk if isinstance(request.user, Staff) and request.user.is_active else None


def _still_there(request: HttpRequest, staff_id: int) -> bool:
    """True while the session exists and is the person's: not after a new password, not once they were disabled."""
    key = request.session.session_key
    if key is None or not request.session.exists(key):
        return False
    staff = Staff.objects.filter(pk=staff_id, is_active=True).first()
    kept = request.session.get(HASH_SESSION_KEY, "")
    return staff is not None and constant_time_compare(kept, staff.get_session_auth_hash())


def _may_know(request: HttpRequest, staff_id: int, event: Event) -> bool | None:
    """Whether the event goes on to the page; None when nobody is there any more."""
    if not _still_there(request, staff_id):
        return None
    staff = Staff.objects.get(pk=staff_id)
    with viewing_as(staff):
        if event["kind"] == "message":
            return Message.objects.visible_to(staff).filter(pk=event["id"]).exists()
        if Mailbox.objects.filter(owner=staff, pk=event["mailbox"]).exists():
            return True
        return event["kind"] == "delivery" and Delivery.objects.of(staff).filter(pk=event["id"]).exists()
