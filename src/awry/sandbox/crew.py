"""Fork servers that share the work: each item in one of them, again where its server failed."""

from __future__ import annotations

import selectors
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic

from awry.sandbox.forkserver import ForkServer, R, ServerFailed, T
from awry.sandbox.program import SandboxError

_AHEAD = 2  # requests a server is given at a time: it need not wait for us between two
_TRIES = 2


def _never(_: object) -> bool:
    return False


class Crew(Generic[T, R]):
    """`count` servers, made by `make(slot)` in `start` or when first needed.

    failed: the reply for an item that two servers failed, with what was said of the second.
    again: whether a reply is better asked for once more. isolation: the layers that all must
    have, by default those of the first.
    """

    def __init__(
        self,
        count: int,
        make: Callable[[int], ForkServer[T, R]],
        failed: Callable[[T, str], R],
        again: Callable[[R], bool] = _never,
        isolation: str = "",
    ) -> None:
        self.servers: list[ForkServer[T, R]] = []
        self.isolation = isolation
        self.missing: tuple[str, ...] = ()
        self._count, self._make, self._failed, self._again = count, make, failed, again
        self._lock = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """Raises SandboxError if a server cannot start."""
        try:
            for slot in range(self._count):
                self.servers.append(self._make(slot))
            for server in self.servers:
                self._greet(server)
        except BaseException:
            self._dismiss()
            raise

    def _greet(self, server: ForkServer[T, R]) -> None:
        server.greet()
        if not self.isolation:
            self.isolation, self.missing = server.isolation, server.missing
        if server.isolation != self.isolation:
            raise SandboxError(f"isolation changed from {self.isolation} to {server.isolation}")

    def close(self) -> None:
        self._closed = True
        self._dismiss()

    def _dismiss(self) -> None:
        while self.servers:
            self.servers.pop().close()

    def run(self, items: Sequence[T]) -> list[R]:
        """Run all, in parallel, and return their replies in the order given."""
        with self._lock:
            if self._closed:
                raise SandboxError("the pool is closed")
            if not self.servers:
                self.start()
            try:
                return self._run(items)
            except BaseException:
                # Servers with replies on their way would give them to the next caller.
                self._dismiss()
                raise

    def _run(self, items: Sequence[T]) -> list[R]:
        replies: dict[int, R] = {}
        waiting = deque((index, 1) for index in range(len(items)))  # index, which try
        given: list[deque[tuple[int, int]]] = [deque() for _ in self.servers]
        with selectors.DefaultSelector() as selector:
            for slot, server in enumerate(self.servers):
                selector.register(server.link, selectors.EVENT_READ, slot)
            while waiting or any(given):
                for slot, own in enumerate(given):
                    self._give(slot, own, waiting, items, selector)
                busy = [slot for slot, own in enumerate(given) if own]
                nearest = min(self.servers[slot].deadline for slot in busy)
                events = selector.select(max(0.0, nearest - time.monotonic()))
                ready, now = {key.data for key, _ in events}, time.monotonic()
                for slot in busy:
                    server = self.servers[slot]
                    if slot not in ready and server.deadline > now:
                        continue
                    index, attempt = given[slot].popleft()
                    try:
                        reply = server.collect()
                        again = self._again(reply)
                    except ServerFailed as failure:
                        reply, again = self._failed(items[index], str(failure)), True
                        # What it had been given ahead was not at fault.
                        waiting.extendleft(reversed(given[slot]))
                        given[slot].clear()
                        self._replace(slot, selector)
                    if again and attempt < _TRIES:
                        waiting.append((index, attempt + 1))
                    else:
                        replies[index] = reply
        return [replies[index] for index in range(len(items))]

    def _give(
        self,
        slot: int,
        own: deque[tuple[int, int]],
        waiting: deque[tuple[int, int]],
        items: Sequence[T],
        selector: selectors.BaseSelector,
    ) -> None:
        """Keep one server supplied."""
        while waiting and len(own) < _AHEAD:
            # The last ones are spread over the servers, not queued behind one.
            if own and len(waiting) < len(self.servers):
                return
            item = items[waiting[0][0]]
            if not self.servers[slot].suits(item):
                if own:
                    return
                self._replace(slot, selector, item)
            server = self.servers[slot]
            request = server.request(item)
            if not server.takes(request):
                return
            own.append(waiting.popleft())
            server.submit(request)

    def _replace(self, slot: int, selector: selectors.BaseSelector, item: T | None = None) -> None:
        """A fresh server in this place: after a failure, or one that suits the item."""
        old = self.servers[slot]
        selector.unregister(old.link)
        old.close()
        self.servers[slot] = server = old.successor(item)
        self._greet(server)
        selector.register(server.link, selectors.EVENT_READ, slot)
