"""A server far away: passes connections on and lets every byte travel for half a round trip in each direction.

    python -m bench.far TARGET_PORT MILLISECONDS      prints its own port, runs until its input ends

Unlike a proxy that sleeps, it does not make the line narrow: any amount may be under way.
"""

import asyncio
import sys


class Side(asyncio.Protocol):
    """One end of a passed-on connection."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for piece in self.early:
            transport.write(piece)

    def data_received(self, data: bytes) -> None:
        """asyncio: it arrives over there half a round trip later."""
        assert self.other is not None
        asyncio.get_running_loop().call_later(self.seconds, self.other.arrive, data)

    def arrive(self, data: bytes) -> None:
        """Bytes from the other side."""
        if self.transport is None:
            self.early.append(data)
        else:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio."""
        if self.other is not None and self.other.transport is not None:
            asyncio.get_running_loop().call_later(self.seconds, self.other.transport.close)


async def serve(target: int, seconds: float) -> None:
    """Listen until standard input ends."""
    loop = asyncio.get_running_loop()
    dialling: set[asyncio.Task[object]] = set()

    def accept() -> Side:
        near, far = Side(seconds), Side(seconds)
        near.other, far.other = far, near
        dialling.add(loop.create_task(loop.create_connection(lambda: far, "127.0.0.1", target)))
        return near

    server = await loop.create_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 2000))
