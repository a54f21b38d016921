"""The stopwatch: what it counts, and what it leaves to the machine."""

import asyncio
import time

from .stopwatch import Stopwatch


async def test_waiting_and_working_count_and_a_machine_that_does_not_run_us_does_not() -> (
    None
):
    """Else it would let a slow poll pass, or find a good one slow."""
    async with Stopwatch() as waited:
        await asyncio.sleep(0.2)
    async with Stopwatch() as worked:
        ends = time.thread_time() + 0.2
        while time.thread_time() < ends:
            pass
    async with Stopwatch() as held_up:
        time.sleep(0.2)  # noqa: ASYNC251, as another process would
    assert 0.05 < waited.took_s <= waited.wall_s
    assert 0.2 <= worked.took_s <= worked.wall_s
    assert held_up.took_s < 0.05
    assert held_up.wall_s >= 0.2
