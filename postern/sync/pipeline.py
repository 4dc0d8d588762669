"""Work in stages that overlap: while one portion of letters is stored, the next are read and another fetched.

Portions keep their order. The queues between the stages are short, so that a slow database slows the socket
and memory stays small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True)
class Stage(Generic[P]):
    """What is done to a portion, and to how many portions at the same time."""

    work: Callable[[P], Awaitable[P]]
    at_once: int = 1


class Pipeline(Generic[P]):
    """`async with Pipeline([read, keep]) as line: await line.put(portion)`; all is through at the end of the block.

    What a stage raises comes out of the next `put` or of the end of the block; later portions are dropped.
    An error of the block itself lets what was put before pass first: letters that came are kept.
    """

    def __init__(self, stages: Sequence[Stage[P]], *, depth: int = 1) -> None:
        self._stages = stages
        self._queues: list[asyncio.Queue[P | None]] = [asyncio.Queue(depth) for _ in stages]
        self._begun: list[asyncio.Queue[asyncio.Future[P] | None]] = [asyncio.Queue() for _ in stages]
        self._places = [asyncio.Semaphore(stage.at_once) for stage in stages]
        self._tasks: list[asyncio.Task[None]] = []
        self._under_way: set[asyncio.Future[P]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Pipeline[P]:
        numbers = range(len(self._stages))
        self._tasks = [asyncio.create_task(work(n)) for n in numbers for work in (self._begin, self._pass_on)]
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
        ending: list[asyncio.Future[Any]] = [*self._tasks, *self._under_way]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    async def _begin(self, number: int) -> None:
        """Take portions up, as many at once as the stage bears."""
        while (portion := await self._queues[number].get()) is not None:
            if self._error is not None:
                continue  # whoever puts must never wait for a stage that is dead
            await self._places[number].acquire()
            task = asyncio.ensure_future(self._stages[number].work(portion))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            self._begun[number].put_nowait(task)
        self._begun[number].put_nowait(None)

    async def _pass_on(self, number: int) -> None:
        """Hand portions to the next stage in their order; a place is free when that has taken one."""
        following = self._queues[number + 1] if number + 1 < len(self._queues) else None
        while (task := await self._begun[number].get()) is not None:
            try:
                done = await task
            except Exception as error:
                self._error = self._error or error
            else:
                if following is not None and self._error is None:
                    await following.put(done)
            self._places[number].release()
        if following is not None:
            await following.put(None)
