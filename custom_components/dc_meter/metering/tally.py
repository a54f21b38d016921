"""What went wrong how often, first and last when."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class _Times:
    count: int
    first: datetime
    last: datetime


class Tally:
    """Counts by kind. A kind is a word of ours, never something that was answered."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._kinds: dict[str, _Times] = {}

    def add(self, kind: str) -> None:
        """Count one more of a kind."""
        now = datetime.now(UTC)
        if (times := self._kinds.get(kind)) is None:
            self._kinds[kind] = _Times(count=1, first=now, last=now)
        else:
            self._kinds[kind] = replace(times, count=times.count + 1, last=now)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Return it as JSON-serializable data, by kind."""
        return {
            kind: {
                "count": times.count,
                "first": times.first.isoformat(timespec="seconds"),
                "last": times.last.isoformat(timespec="seconds"),
            }
            for kind, times in self._kinds.items()
        }
