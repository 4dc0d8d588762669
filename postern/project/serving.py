"""The server of the pages: uvicorn, which at the end sends the open event streams home first."""

from __future__ import annotations

import socket

import uvicorn


class PageServer(uvicorn.Server):
    """After SIGTERM it takes nothing new, answers what was asked, and waits for no stream that would never end (R-007)."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        from postern.web.inbox.events import LISTENER  # Django is set up by the application that was served

        LISTENER.end()
        await super().shutdown(sockets)
