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
from typing import Any, TypeVar

import psycopg
from asgiref.sync import sync_to_async
from django.contrib.auth import HASH_SESSION_KEY
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe

from postern.mail.access import viewing_as
from postern.mail.models import Message
from postern.mailboxes.models import Mailbox
from postern.outbox.models import Delivery
from postern.people.models import Staff

log = logging.getLogger(__name__)
Answer = TypeVar("Answer", bool, bool | None)
PING_SECONDS = 15
QUEUE = 200
_THREADS = ThreadPoolExecutor(4, thread_name_prefix="events")
"""All streams of the process ask the database from these few, so that open pages hold no connections."""


class Listener:
    """Hears `postern_events` once for all streams of this process."""

    def __init__(self) -> None:
        self.queues: set[asyncio.Queue[dict[str, Any]]] = set()
        self._task: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def subscription(self) -> AsyncIterator[asyncio.Queue[dict[str, Any]]]:
        """A queue of events; a page too slow to keep up misses some and asks again at the next."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(QUEUE)
        self.queues.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._listen())
        try:
            yield queue
        finally:
            self.queues.discard(queue)

    async def _listen(self) -> None:
        while self.queues:
            try:
                await self._hear()
            except psycopg.Error as error:
                log.warning("events: %s", type(error).__name__)
                await asyncio.sleep(2)

    async def _hear(self) -> None:
        parameters = connection.get_connection_params()
        parameters = {
            k: v
            for k, v in parameters.items()
            if k in ("host", "port", "user", "password", "dbname", "options", "requirepeer")
        }
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as database:
            await database.execute("LISTEN postern_events")
            while self.queues:
                async for notice in database.notifies(timeout=PING_SECONDS):
                    self._hand_on(notice.payload)

    def _hand_on(self, payload: str) -> None:
        event = json.loads(payload)
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
    yield b"retry: 5000\n\n: hello\n\n"
    async with LISTENER.subscription() as queue:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), PING_SECONDS)
            except TimeoutError:
                if not await _ask(_still_there, request, staff_id):
                    return
                yield b": ping\n\n"
                continue
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
                kind = (
                    event["kind"]
                    if event["kind"] in ("message", "health", "delivery", "probe")
                    else "message"
                )
                yield f"event: {kind}\ndata: {data}\n\n".encode()


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


def _may_know(request: HttpRequest, staff_id: int, event: dict[str, Any]) -> bool | None:
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
