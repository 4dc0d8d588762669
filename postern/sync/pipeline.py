"""Work in stages that overlap: while one portion of letters is stored, the next is read and the third fetched.

Portions keep their order. The queues between the stages are short, so that a slow database slows the socket
and memory stays small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Generic, TypeVar

P = TypeVar("P")

Stage = Callable[[P], Awaitable[P]]


class Pipeline(Generic[P]):
    """`async with Pipeline([read, keep]) as line: await line.put(portion)`; all is through at the end of the block.

    What a stage raises comes out of the next `put` or of the end of the block; later portions are dropped.
    An error of the block itself lets what was put before pass first: letters that came are kept.
    """

    def __init__(self, stages: Sequence[Stage[P]], *, depth: int = 1) -> None:
        self._stages = stages
        self._queues: list[asyncio.Queue[P | None]] = [asyncio.Queue(depth) for _ in stages]
        self._tasks: list[asyncio.Task[None]] = []
        self._error: BaseException | None = None

    async def __aenter__(self) -> Pipeline[P]:
        self._tasks = [asyncio.create_task(self._work(n)) for n in range(len(self._stages))]
        return self

    async def put(self, portion: P) -> None:
        """Hand in a portion; waits while the first stage is busy. Raises what a stage raised."""
        if self._error is not None:
            raise self._error
        await self._queues[0].put(portion)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            await self._stop()
            return
        try:
            await self._queues[0].put(None)
            await asyncio.gather(*self._tasks)
        except BaseException:
            await self._stop()
            raise
        if self._error is not None and self._error is not error:
            raise self._error

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _work(self, number: int) -> None:
        following = self._queues[number + 1] if number + 1 < len(self._queues) else None
        while (portion := await self._queues[number].get()) is not None:
            if self._error is not None:
                continue  # whoever puts must never wait for a stage that is dead
            try:
                done = await self._stages[number](portion)
            except Exception as error:
                self._error = error
                continue
            if following is not None:
                await following.put(done)
        if following is not None:
            await following.put(None)
