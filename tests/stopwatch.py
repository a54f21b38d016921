"""A stopwatch for what an event loop does, whatever else the machine is busy with."""

import asyncio
from contextlib import suppress
from time import perf_counter, thread_time
from typing import Self

STEP_S = 0.01
MOST_S = 1.5 * STEP_S


class Stopwatch:
    """Measures between entering and leaving; both ends, and all that is measured, on one loop."""

    wall_s = 0.0
    """What passed."""

    took_s = 0.0
    """What passed while the loop was free to run, or ran: waits as long as they were meant to be,
    and its own work. Where the machine kept it from waking up, a step counts as ``MOST_S``."""

    async def __aenter__(self) -> Self:
        """Begin to measure."""
        self._wall_s, self._work_s = perf_counter(), thread_time()
        self._steps = asyncio.create_task(self._step())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Measure no more."""
        self._count()
        self._steps.cancel()
        with suppress(asyncio.CancelledError):
            await self._steps

    async def _step(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self._count()

    def _count(self) -> None:
        wall_s, work_s = perf_counter(), thread_time()
        passed_s, worked_s = wall_s - self._wall_s, work_s - self._work_s
        self.wall_s += passed_s
        self.took_s += max(min(passed_s, MOST_S), worked_s)
        self._wall_s, self._work_s = wall_s, work_s
