"""The SMTP connection itself: aiosmtplib's protocol, with a hand on what it leaves open.

Two things need more than the library gives: a byte sent behind the agreement to STARTTLS must end the
connection (S-035), and whether the final dot left must be known when the connection dies (R-040).
"""

import asyncio
import re
from collections.abc import Iterator
from typing import cast

from aiosmtplib import SMTPDataError, SMTPReadTimeoutError, SMTPResponse, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol

from postern.wire.errors import MailError

# RFC 5321 section 4.5.3.2.6: a server may take this long to answer the final dot, and giving up
# earlier would turn letters that arrive into letters nobody knows about.
FINAL_REPLY_SECONDS = 600.0
_CHUNK_BYTES = 64 * 1024
_ONE_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r?\n")


class Line(SMTPProtocol):
    """One SMTP connection. Created inside a running loop, used for one conversation."""

    def __init__(self) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._flushed = asyncio.Event()
        self._flushed.set()
        self._recording: bytearray | None = None

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        if self._recording is not None:
            self._recording += data
        super().data_received(data)

    def pause_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._flushed.clear()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Part of asyncio.Protocol."""
        self._flushed.set()
        super().resume_writing()

    async def ask_starttls(self, timeout: float) -> SMTPResponse:
        """STARTTLS and its reply. Raises starttls_missing when anything came along with the agreement."""
        self._recording = bytearray()
        try:
            reply = await self.execute_command(b"STARTTLS", timeout=timeout)
            heard = bytes(self._recording)
        finally:
            self._recording = None
        if reply.code == 220 and not _ONE_REPLY.fullmatch(heard):
            raise MailError(
                "starttls_missing",
                "The server sent more than it may before encryption began; somebody may be in between.",
                "Do not use this connection. SSL/TLS on port 465 does not have this weakness.",
                temporary=False,
            )
        return reply

    async def send_letter(self, raw: bytes, timeout: float) -> SMTPResponse:
        """DATA, the letter, the final dot; returns the server's acceptance.

        ``timeout`` (seconds) counts for each reply and each 64 KiB. Raises SMTPDataError for a refusal,
        SMTPServerDisconnected or SMTPReadTimeoutError when the connection failed before the dot, and
        unknown_outcome when it failed after.
        """
        go_ahead = await self.execute_command(b"DATA", timeout=timeout)
        if go_ahead.code != 354:
            raise SMTPDataError(go_ahead.code, go_ahead.message)
        self._hold_back_nothing()
        verdict = asyncio.create_task(self.read_response(timeout=None))
        await asyncio.sleep(0)  # The task must be listening before a server can answer too early.
        try:
            for chunk in _chunks(stuffed(raw)):
                self.write(chunk)
                await self._until_flushed(verdict, timeout)
            self.write(b".\r\n")
            return await _final_reply(verdict, max(timeout, FINAL_REPLY_SECONDS))
        finally:
            verdict.cancel()

    async def _until_flushed(self, verdict: "asyncio.Task[SMTPResponse]", timeout: float) -> None:
        flushed = asyncio.create_task(self._flushed.wait())
        try:
            await asyncio.wait({flushed, verdict}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            if verdict.done():  # The server spoke, or left, in the middle of the letter.
                early = verdict.result()
                raise SMTPDataError(early.code, early.message)
            if not flushed.done():
                raise SMTPReadTimeoutError("The server stopped reading")
        finally:
            flushed.cancel()

    def _hold_back_nothing(self) -> None:
        # With no room in the transport's buffer "flushed" means handed to the system, so that the
        # dot is never written behind a letter that still waits in this process.
        # Not high=0: asyncio's TLS transport then pauses at 0 bytes as well, and nothing resumes it.
        if self.transport is not None:
            cast(asyncio.WriteTransport, self.transport).set_write_buffer_limits(high=1, low=0)


def stuffed(raw: bytes) -> bytes:
    """A letter as DATA carries it: every line end CRLF, leading dots doubled (RFC 5321 section 4.5.2).

    A lone CR or LF becomes CRLF, so that no server can read an end of letter we did not write (S-045).
    """
    lines = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if not lines.endswith(b"\r\n"):
        lines += b"\r\n"
    return (b"\r\n" + lines).replace(b"\r\n.", b"\r\n..")[2:]


def _chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK_BYTES):
        yield data[start : start + _CHUNK_BYTES]


async def _final_reply(verdict: "asyncio.Task[SMTPResponse]", timeout: float) -> SMTPResponse:
    try:
        reply = await asyncio.wait_for(verdict, timeout)
    except (OSError, TimeoutError, SMTPServerDisconnected) as error:
        raise _unknown_outcome() from error
    except SMTPDataError:
        raise
    except Exception as error:  # Whatever the library makes of a garbled reply, the letter may be there.
        raise _unknown_outcome() from error
    if 200 <= reply.code <= 299:
        return reply
    if 400 <= reply.code <= 599:
        raise SMTPDataError(reply.code, reply.message)
    raise _unknown_outcome()


def _unknown_outcome() -> MailError:
    return MailError(
        "unknown_outcome",
        "The connection failed after the whole letter was handed over; the server may have taken it.",
        "Look for it in the folder of sent mail, or ask a recipient, before sending it again.",
        temporary=False,
    )
