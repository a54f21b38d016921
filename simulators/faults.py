"""Faults that strike so many times and are gone."""

from collections import Counter


class Faults:
    """What is still to go wrong, by name."""

    def __init__(self) -> None:
        """Start with nothing wrong."""
        self._left: Counter[str] = Counter()

    def plan(self, fault: str, count: int) -> None:
        """Let ``fault`` strike the next ``count`` times; 0 takes it back."""
        if count < 0:
            raise ValueError("count is not negative")
        self._left[fault] = count

    def strikes(self, fault: str) -> bool:
        """Say whether ``fault`` strikes this time; each strike counts."""
        if not self._left[fault]:
            return False
        self._left[fault] -= 1
        return True

    def miss(self, fault: str) -> None:
        """Take a strike back that had nothing to strike."""
        self._left[fault] += 1

    def clear(self) -> None:
        """Take everything back."""
        self._left.clear()

    def describe(self) -> dict[str, int]:
        """Return what is left."""
        return {fault: count for fault, count in self._left.items() if count}
