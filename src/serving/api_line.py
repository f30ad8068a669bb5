"""The line of those who wait for an answer: so many are written at once, the others follow in the order they came.

Covers the bounds of the line, a thread for each answer, and those who leave it: a client that goes away, and a server
that stops. Does not know what an answer is, nor HTTP.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import closing, suppress
from threading import Event, Thread
from typing import Any, Generic, TypeVar

from src.serving import api_errors

Item = TypeVar("Item")
END = object()  # of an answer, behind its last item


class Ticket(Generic[Item]):
    """A place in the line.

    Args:
        start: gives the items of the answer, in the thread that writes it.
    """

    def __init__(self, start: Callable[[], Generator[Item, None, None]]) -> None:
        self.start = start
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.left = Event()


class AnswerLine:
    """Lets a few answers be written at once, each in a thread of its own; for one event loop.

    Args:
        slots: answers at once.
        waiting: who may wait beside them; more are refused.
    """

    def __init__(self, slots: int, waiting: int) -> None:
        self.slots, self.most_waiting = slots, waiting
        self.waiting: deque[Ticket[Any]] = deque()
        self.served: set[Ticket[Any]] = set()
        self.stopped = False

    async def serve(self, start: Callable[[], Generator[Item, None, None]]) -> AsyncIterator[Item]:
        """The items of an answer, once it is its turn; whoever leaves early frees the place.

        Args:
            start: gives the items; it is called, read and closed in another thread.

        Raises:
            RequestError: if the line is full, or the server stops.
            Exception: what `start` and its items raise.
        """
        ticket = self.join(start)
        try:
            while (item := await ticket.items.get()) is not END:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            ticket.left.set()
            if ticket in self.waiting:
                self.waiting.remove(ticket)

    def join(self, start: Callable[[], Generator[Item, None, None]]) -> Ticket[Item]:
        """A place at the end of the line.

        Args:
            start: gives the items of the answer.

        Raises:
            RequestError: if there is none.
        """
        if self.stopped:
            raise api_errors.stopping()
        if len(self.served) >= self.slots and len(self.waiting) >= self.most_waiting:
            raise api_errors.full_line(self.slots, self.most_waiting)
        ticket = Ticket(start)
        self.waiting.append(ticket)
        self.advance()
        return ticket

    def advance(self) -> None:
        """Lets those in front have the free slots."""
        while self.waiting and len(self.served) < self.slots:
            ticket = self.waiting.popleft()
            self.served.add(ticket)
            # A daemon: an answer that is still being written keeps no stopped server alive.
            Thread(target=self.write, args=(ticket, asyncio.get_running_loop()), daemon=True).start()

    def write(self, ticket: Ticket[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Hands over the items of an answer, in a thread, until whoever asked has left.

        Args:
            ticket: theirs.
            loop: where they are read.
        """
        with suppress(RuntimeError):  # the loop is closed: the server has stopped
            try:
                self.hand_over(ticket, loop)
                loop.call_soon_threadsafe(ticket.items.put_nowait, END)
            except Exception as error:
                loop.call_soon_threadsafe(ticket.items.put_nowait, error)
            finally:
                loop.call_soon_threadsafe(self.leave, ticket)

    def hand_over(self, ticket: Ticket[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Hands over the items of an answer; arguments as of `write`."""
        with closing(ticket.start()) as items:
            for item in items:
                if ticket.left.is_set():
                    return
                loop.call_soon_threadsafe(ticket.items.put_nowait, item)

    def leave(self, ticket: Ticket[Any]) -> None:
        """Gives the slot of an answer that is written, or left, to the next one."""
        self.served.remove(ticket)
        self.advance()

    def stop(self) -> None:
        """Ends all answers, and takes no more of them."""
        self.stopped = True
        for ticket in [*self.served, *self.waiting]:
            ticket.items.put_nowait(api_errors.stopping())
        self.waiting.clear()
