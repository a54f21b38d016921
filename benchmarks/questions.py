"""The questions, in the order in which they are asked."""

from typing import Protocol

from . import (
    archive,
    bus,
    cadence,
    cpu,
    import_time,
    line_capacity,
    poll_rules,
    recorder,
    scale,
    set_up,
    start_stop,
    verification,
)
from .result import Result


class Question(Protocol):
    """What a file of this folder offers."""

    async def __call__(self, *, quick: bool) -> list[Result]:
        """Measure, and return what was measured; ``quick`` with fewer or shorter runs."""


QUESTIONS: dict[str, Question] = {
    module.__name__.rpartition(".")[2]: module.ask
    for module in (
        verification,
        poll_rules,
        import_time,
        archive,
        bus,
        set_up,
        start_stop,
        cadence,
        line_capacity,
        cpu,
        recorder,
        scale,
    )
}
