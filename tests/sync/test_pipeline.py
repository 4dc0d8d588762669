"""Stages that overlap: the order of portions, how many are under way, and what an error leaves behind."""

import asyncio

import pytest

from postern.sync.pipeline import Pipeline, Stage


def test_portions_keep_their_order_though_a_stage_works_on_several_and_the_first_takes_longest():
    kept: list[int] = []
    under_way: set[int] = set()
    most = 0

    async def read(number: int) -> int:
        nonlocal most
        under_way.add(number)
        most = max(most, len(under_way))
        await asyncio.sleep(0.05 if number % 3 == 0 else 0.001)
        under_way.discard(number)
        return number

    async def keep(number: int) -> int:
        kept.append(number)
        return number

    async def story() -> None:
        async with Pipeline([Stage(read, 3), Stage(keep)]) as line:
            for number in range(10):
                await line.put(number)

    asyncio.run(story())
    assert kept == list(range(10))
    assert most == 3


def test_a_slow_stage_stops_those_before_it():
    begun: list[int] = []
    go = asyncio.Event()

    async def read(number: int) -> int:
        begun.append(number)
        return number

    async def keep(number: int) -> int:
        await go.wait()
        return number

    async def story() -> None:
        async with Pipeline([Stage(read, 2), Stage(keep)]) as line:
            putting = asyncio.create_task(_put_all(line, 50))
            await asyncio.sleep(0.05)
            assert len(begun) <= 5  # kept, waiting for its turn, and two places
            go.set()
            await putting

    asyncio.run(story())
    assert len(begun) == 50


async def _put_all(line: Pipeline[int], count: int) -> None:
    for number in range(count):
        await line.put(number)


def test_an_error_comes_out_and_nothing_after_it_is_kept():
    kept: list[int] = []

    async def read(number: int) -> int:
        await asyncio.sleep(0.02 if number == 2 else 0)
        if number == 2:
            raise ValueError("two")
        return number

    async def keep(number: int) -> int:
        kept.append(number)
        return number

    async def story() -> None:
        async with Pipeline([Stage(read, 2), Stage(keep)]) as line:
            await _put_all(line, 20)

    with pytest.raises(ValueError, match="two"):
        asyncio.run(story())
    assert kept == [0, 1]  # though 3 was ready before 2 failed


@pytest.mark.parametrize("error", [RuntimeError("the line broke"), asyncio.CancelledError()])
def test_an_error_of_the_block_lets_pass_what_was_put_and_the_end_of_a_task_does_not(error):
    kept: list[int] = []

    async def keep(number: int) -> int:
        await asyncio.sleep(0.01)
        kept.append(number)
        return number

    async def story() -> None:
        async with Pipeline([Stage(keep), Stage(keep)]) as line:
            await line.put(1)
            raise error

    with pytest.raises(type(error)):
        asyncio.run(story())
    assert kept == ([1, 1] if isinstance(error, RuntimeError) else [])
