"""The line of those who wait: its order, its bounds, who leaves it, and its end."""

import asyncio
import gc
from collections.abc import Callable, Generator
from contextlib import aclosing
from threading import Event, Semaphore
from typing import Any

import pytest

from src.serving.api_errors import RequestError
from src.serving.api_line import AnswerLine

WAIT = 20  # seconds, in which everything here has long happened


class Writers:
    """Answers of two items, the second of which waits until it is let go.

    Attributes:
        started: their names, in the order in which they began.
        closed: likewise, in which they ended.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.closed: list[str] = []
        self.gate = Semaphore(0)

    def start(self, name: str) -> Callable[[], Generator[str, None, None]]:
        def write() -> Generator[str, None, None]:
            self.started.append(name)
            try:
                yield f"{name} 1"
                self.gate.acquire(timeout=WAIT)
                yield f"{name} 2"
            finally:
                self.closed.append(name)

        return write


async def read(line: AnswerLine, start: Callable[[], Generator[Any, None, None]]) -> list[Any]:
    return [item async for item in line.serve(start)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT):
        while not condition():
            await asyncio.sleep(0.005)


def test_answers_are_written_a_few_at_once_in_the_order_of_coming() -> None:
    writers, names = Writers(), [f"answer {number}" for number in range(20)]

    async def ask_all() -> list[list[str]]:
        line = AnswerLine(slots=3, waiting=17)
        asked = [asyncio.create_task(read(line, writers.start(name))) for name in names]
        await until(lambda: len(writers.started) == 3)
        await asyncio.sleep(0.05)
        assert sorted(writers.started) == sorted(names[:3])
        for number in range(3, 20):  # one leaves, the next begins
            writers.gate.release()
            await until(lambda number=number: len(writers.started) == number + 1)  # type: ignore[misc]
            assert writers.started[number] == names[number]
        writers.gate.release(3)
        return await asyncio.gather(*asked)

    assert asyncio.run(ask_all()) == [[f"{name} 1", f"{name} 2"] for name in names]


def test_a_full_line_refuses_the_next_one_and_then_has_room_again() -> None:
    writers = Writers()

    async def fill() -> None:
        line = AnswerLine(slots=1, waiting=1)
        asked = [asyncio.create_task(read(line, writers.start(name))) for name in ("first", "second")]
        await until(lambda: writers.started)
        with pytest.raises(RequestError, match=r"All 1 slots are taken and 1 requests wait already: try again in 5"):
            await read(line, writers.start("third"))
        writers.gate.release(2)
        await asyncio.gather(*asked)
        writers.gate.release()
        assert await read(line, writers.start("fourth")) == ["fourth 1", "fourth 2"]

    asyncio.run(fill())
    assert writers.started == ["first", "second", "fourth"]


def test_who_leaves_while_waiting_is_never_served() -> None:
    writers = Writers()

    async def leave() -> None:
        line = AnswerLine(slots=1, waiting=1)
        first = asyncio.create_task(read(line, writers.start("first")))
        second = asyncio.create_task(read(line, writers.start("second")))
        await until(lambda: writers.started)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.create_task(read(line, writers.start("third")))  # the place is free at once
        writers.gate.release(2)
        await asyncio.gather(first, third)

    asyncio.run(leave())
    assert writers.started == ["first", "third"]


@pytest.mark.parametrize("forgotten", [False, True])
def test_who_leaves_an_answer_frees_its_slot(forgotten: bool) -> None:
    """Forgotten: as a framework leaves a stream that it was sending when the client went away."""
    writers = Writers()

    async def leave() -> None:
        line = AnswerLine(slots=1, waiting=1)
        items = line.serve(writers.start("first"))
        assert await anext(items) == "first 1"
        if forgotten:
            del items
            gc.collect()
        else:
            await items.aclose()  # type: ignore[attr-defined]
        second = asyncio.create_task(read(line, writers.start("second")))
        writers.gate.release(2)
        assert await second == ["second 1", "second 2"]

    asyncio.run(leave())
    assert writers.closed == ["first", "second"]


def test_an_error_is_told_to_who_asked_and_frees_the_slot() -> None:
    def fail() -> Generator[str, None, None]:
        yield "begun"
        raise ValueError("broken")

    async def ask() -> None:
        line, got = AnswerLine(slots=1, waiting=0), []
        with pytest.raises(ValueError, match="broken"):
            async with aclosing(line.serve(fail)) as items:  # type: ignore[type-var]
                async for item in items:
                    got.append(item)
        assert got == ["begun"]
        await until(lambda: not line.served)

    asyncio.run(ask())


def test_its_end_ends_all_and_takes_no_more() -> None:
    writers, over = Writers(), Event()

    async def stop() -> None:
        line = AnswerLine(slots=1, waiting=3)
        asked = [asyncio.create_task(read(line, writers.start(name))) for name in ("first", "second")]
        await until(lambda: writers.started)
        line.stop()
        for error in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(error, RequestError) and error.status == 503
        with pytest.raises(RequestError, match="The server is stopping"):
            await read(line, writers.start("third"))
        over.set()

    asyncio.run(stop())
    writers.gate.release()
    assert over.is_set()
    assert writers.started == ["first"]
