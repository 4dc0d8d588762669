"""Try out settings for somebody who waits: each step is written to the row as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from postern.mailboxes.models import Probe
from postern.mime.addresses import Mailaddr, domain_of
from postern.mime.write import write
from postern.sync import store
from postern.sync.fixes import suggest
from postern.sync.store import Store
from postern.sync.store.probes import Claimed
from postern.wire import smtp
from postern.wire.errors import MailError
from postern.wire.imap import FolderInfo, Session, choose_sent_folder, open_session, sent_folder_refused
from postern.wire.steps import OnStep, Step, step
from postern.wire.tls import CertificateChanged, CertificateSeen

log = logging.getLogger(__name__)

PROBE_SECONDS = 90.0
STEP_SECONDS = 20.0
MOST_COUNTED = 200

Result = dict[str, Any]


async def run(keeper: Store, number: int) -> None:
    """Run one waiting probe to its end, whatever happens."""
    claimed: Claimed | None = None
    try:
        claimed = await keeper.run(store.claim, number)
        if claimed is None:
            return
        async with _shown(keeper, number) as on_step, asyncio.timeout(PROBE_SECONDS):
            result = await _KINDS[claimed.kind](claimed, on_step)
        await keeper.run(store.finish, number, works=True, result=result)
    except MailError as error:
        if isinstance(error, CertificateChanged):
            await keeper.run(store.note_certificate, number, error.sha256)
        await keeper.run(store.finish, number, works=False, result=failure(claimed, error))
    except TimeoutError:
        slow = MailError("timeout", f"The test took longer than {PROBE_SECONDS:.0f} seconds.", temporary=True)
        await keeper.run(store.finish, number, works=False, result=failure(claimed, slow))
    except Exception as error:
        log.exception("probe %s", number)
        ours = MailError("internal", f"Postern failed here: {type(error).__name__}.", temporary=True)
        with contextlib.suppress(Exception):
            await keeper.run(store.finish, number, works=False, result=failure(claimed, ours))


def failure(claimed: Claimed | None, error: MailError) -> Result:
    """The result of a probe that failed, with the one fix that is offered."""
    fix = None
    if claimed is not None:
        allowed = claimed.policy.unchecked
        fix = suggest(claimed.kind, claimed.settings, error, claimed.address, unchecked=allowed)
    return {**_error(error), "fix": fix}


def _error(error: MailError) -> Result:
    return {
        "code": error.code,
        "message": error.message,
        "advice": error.advice,
        "server_text": error.server_text,
        "temporary": error.temporary,
    }


def step_row(done: Step) -> Result:
    """A step as its row and the page know it."""
    row: Result = {
        "key": done.key,
        "label": done.label,
        "ok": done.ok,
        "milliseconds": done.milliseconds,
        "detail": done.detail,
    }
    return row | (_error(done.error) if done.error else {})


@contextlib.asynccontextmanager
async def _shown(keeper: Store, number: int) -> AsyncIterator[OnStep]:
    """Give the callback for steps; they are written one after the other, and all before the end."""
    steps: list[Result] = []
    news = asyncio.Event()
    over = False

    async def write_down() -> None:
        while not over or news.is_set():
            await news.wait()
            news.clear()
            if steps:
                await keeper.run(store.show_steps, number, list(steps))

    def on_step(done: Step) -> None:
        steps.append(step_row(done))
        news.set()

    writer = asyncio.create_task(write_down())
    try:
        yield on_step
    finally:
        over = True
        news.set()
        await writer


# The five kinds


async def _imap(claimed: Claimed, on_step: OnStep) -> Result:
    session = await _signed_in(claimed, on_step)
    try:
        wanted = str(claimed.settings.get("sent_folder") or "")
        with step(on_step, "open_folders") as note:
            inbox = await session.select("INBOX", readonly=True)
            note.detail = f"INBOX: {inbox.exists} messages"
            if wanted:
                refused = sent_folder_refused(wanted, await session.list_folders())
                if refused:
                    raise MailError("folder_missing", refused, "Choose another with Load.", temporary=False)
                note.detail += f"; {wanted}: {await _count_sent(session, wanted)} messages"
        return {"inbox": inbox.exists, "certificate": _certificate(session.certificate)}
    finally:
        await session.logout()


async def _count_sent(session: Session, name: str) -> int:
    """Open the sent folder; a missing one names the folder that looks right. Raises MailError."""
    try:
        return (await session.select(name, readonly=True)).exists
    except MailError as error:
        if error.code != "folder_missing":
            raise
        found = choose_sent_folder(await session.list_folders())
        raise MailError(
            "folder_missing",
            f"There is no folder “{name}” on the server.",
            f"“{found.name}” looks right." if found else "Press Load and choose the folder.",
            temporary=False,
            server_text=error.server_text,
        ) from None


async def _load(claimed: Claimed, on_step: OnStep) -> Result:
    session = await _signed_in(claimed, on_step)
    try:
        with step(on_step, "open_folders") as note:
            folders = await session.list_folders()
            rows = [await _folder_row(session, info, folders, n) for n, info in enumerate(folders)]
            note.detail = f"{len(folders)} folders"
        return {"folders": rows, **suggested_sent(folders), "certificate": _certificate(session.certificate)}
    finally:
        await session.logout()


async def _folder_row(session: Session, info: FolderInfo, folders: list[FolderInfo], number: int) -> Result:
    messages: int | None = None
    if info.selectable and number < MOST_COUNTED:
        with contextlib.suppress(MailError):
            messages = (await session.status(info.name)).messages
    return {
        "name": info.name,
        "messages": messages,
        "special_use": info.special_use or "",
        "selectable": info.selectable,
        "refused": sent_folder_refused(info.name, folders) or "",
    }


def suggested_sent(folders: list[FolderInfo]) -> Result:
    """Which folder holds the sent letters, and how we know (row 10)."""
    found = choose_sent_folder(folders)
    if found is None:
        reason = "No folder looks like the one for sent messages. Please choose it."
    elif found.special_use == "\\Sent":
        reason = "The server says that this is the folder for sent messages."
    else:
        reason = "Chosen by its name; the server does not say which folder it is."
    return {"sent_folder": found.name if found else "", "reason": reason}


async def _smtp(claimed: Claimed, on_step: OnStep) -> Result:
    seen = await smtp.check(
        claimed.endpoint,
        claimed.policy,
        claimed.login,
        claimed.auth,
        sender=str(claimed.settings.get("sender") or ""),
        on_step=on_step,
        timeout=STEP_SECONDS,
    )
    return {"certificate": _certificate(seen)}


async def _send(claimed: Claimed, on_step: OnStep) -> Result:
    sender = str(claimed.settings.get("sender") or "")
    sent = await smtp.send(
        claimed.endpoint,
        claimed.policy,
        claimed.login,
        claimed.auth,
        sender=sender,
        recipients=[claimed.recipient],
        raw=_test_letter(claimed, sender),
        on_step=on_step,
        timeout=STEP_SECONDS,
    )
    return {"accepted": list(sent.accepted), "response": sent.response}


def _test_letter(claimed: Claimed, sender: str) -> bytes:
    reply_to = str(claimed.settings.get("reply_to") or "")
    try:
        return write(
            sender=Mailaddr(str(claimed.settings.get("sender_name") or ""), sender),
            to=[Mailaddr("", claimed.recipient)],
            reply_to=Mailaddr("", reply_to) if reply_to else None,
            subject="Test email from Postern",
            text="Sending works.\n\nThis message was sent by the test in Postern's email settings.\n",
            html=None,
            message_id=f"{uuid.uuid4().hex}@{domain_of(sender) or 'postern.invalid'}",
            date=datetime.now(UTC),
            automatic=True,
        )
    except ValueError as error:
        raise MailError(
            "control_bytes", f"The test email cannot be written: {error}", temporary=False
        ) from None


async def _signed_in(claimed: Claimed, on_step: OnStep) -> Session:
    return await open_session(
        claimed.endpoint, claimed.policy, claimed.login, on_step=on_step, timeout=STEP_SECONDS
    )


def _certificate(seen: CertificateSeen | None) -> Result | None:
    if seen is None:
        return None
    until = seen.not_after.isoformat() if seen.not_after else ""
    return {
        "sha256": seen.sha256,
        "subject": seen.subject,
        "not_after": until,
        "tls_version": seen.tls_version,
    }


_KINDS = {
    str(Probe.Kind.IMAP): _imap,
    str(Probe.Kind.LOAD): _load,
    str(Probe.Kind.SMTP): _smtp,
    str(Probe.Kind.SEND): _send,
    str(Probe.Kind.SYSTEM): _send,
}
