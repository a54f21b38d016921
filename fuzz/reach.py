"""Which branches of the integration an input reaches, and which inputs it takes to reach them all."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
import sys
from types import CodeType
from typing import Any

type Branch = tuple[CodeType, int, int]

_INTEGRATION = str(Path(__file__).parents[1] / "custom_components" / "dc_meter")
_monitoring = sys.monitoring
_EVENTS = _monitoring.events.BRANCH_LEFT | _monitoring.events.BRANCH_RIGHT


def reached(run: Callable[[], object]) -> set[Branch]:
    """Run something and return the branches that were taken."""
    taken: set[Branch] = set()

    def note(code: CodeType, origin: int, destination: int) -> Any:
        if code.co_filename.startswith(_INTEGRATION):
            taken.add((code, origin, destination))
        return _monitoring.DISABLE

    tool = _monitoring.COVERAGE_ID
    _monitoring.use_tool_id(tool, "reach")
    try:
        for event in (_monitoring.events.BRANCH_LEFT, _monitoring.events.BRANCH_RIGHT):
            _monitoring.register_callback(tool, event, note)
        _monitoring.set_events(tool, _EVENTS)
        _monitoring.restart_events()
        run()
    finally:
        _monitoring.free_tool_id(tool)
    return taken


def smallest(
    take: Callable[[bytes], object], inputs: Iterable[bytes], *, beside: Iterable[bytes]
) -> tuple[list[bytes], int]:
    """Return the inputs that reach what those ``beside`` them do not, small ones first.

    And how many branches all of them reach.
    """
    known: set[Branch] = set()
    for data in beside:
        known |= reached(partial(take, data))
    kept = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        branches = reached(partial(take, data))
        if branches - known:
            known |= branches
            kept.append(data)
    return kept, len(known)
