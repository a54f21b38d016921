"""Who may speak on a line that carries one request at a time."""

import asyncio
from typing import Self


class Turn:
    """A lock that its holder can take again: a reading keeps it for all of its requests.

    Who takes a turn within another's has that one as well.
    """

    def __init__(self, within: Turn | None = None) -> None:
        """Begin with nobody's turn."""
        self._within = within
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None
        self._depth = 0
        self.speakers: set[object] = set()
        """Who takes turns."""

        self.heard_at = 0.0
        """When a meter of the line last gave an answer, by the event loop's clock."""

    async def acquire(self) -> None:
        """Wait for those who asked before, unless this task has the turn already."""
        if self._holder is not (task := asyncio.current_task()):
            await self._lock.acquire()
            if self._within is not None:
                try:
                    await self._within.acquire()
                except BaseException:
                    self._lock.release()
                    raise
            self._holder = task
        self._depth += 1

    def release(self) -> None:
        """Let the next one have its turn, when nothing more holds it."""
        self._depth -= 1
        if not self._depth:
            self._holder = None
            if self._within is not None:
                self._within.release()
            self._lock.release()

    async def __aenter__(self) -> Self:
        """Take the turn."""
        await self.acquire()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self.release()
