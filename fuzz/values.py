"""Values such as YAML, templates and JSON give, made of bytes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from .target import text_of

_MOST = 6
"""Members of one list or mapping."""

_DEEPEST = 4


class Source:
    """Bytes that decide one thing after the other; when they are used up, always the first."""

    def __init__(self, data: bytes, words: Sequence[str]) -> None:
        """Take the bytes, and the words that have a meaning where the values go."""
        self._left = data
        self._words = words

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._left)

    def below(self, limit: int) -> int:
        """Return a number below a limit of up to 256."""
        byte, self._left = self._left[:1], self._left[1:]
        return byte[0] % limit if byte else 0

    def word(self) -> str:
        """Return one of the words."""
        return self._words[self.below(len(self._words))]

    def text(self) -> str:
        """Return any text."""
        length = self.below(256)
        text, self._left = text_of(self._left[:length]), self._left[length:]
        return text

    def plain(self) -> str | bytes | float | None:
        """Return any value that SQLite knows."""
        return (self.word, self.text, self._number, self._blob, lambda: None)[
            self.below(5)
        ]()

    def value(self, depth: int = 0) -> Any:
        """Return any value."""
        match self.below(14 if depth < _DEEPEST else 10):
            case 0 | 1:
                return self.word()
            case 2:
                return self.text()
            case 3:
                return self.below(256)
            case 4:
                return self._number()
            case 5:
                return (0.5, -0.0, 1e300, float("inf"), float("nan"))[self.below(5)]
            case 6:
                return (None, True, False)[self.below(3)]
            case 7:
                return self._blob()
            case 8:
                return "\ud800"
            case 9:
                moment = datetime.min.replace(tzinfo=UTC)
                return moment + timedelta(days=self.below(256) * 14_000)
            case 10 | 11:
                return [self.value(depth + 1) for _ in range(self.below(_MOST))]
            case 12:
                return tuple(self.value(depth + 1) for _ in range(self.below(_MOST)))
        return self.mapping(depth)

    def mapping(self, depth: int = 0) -> dict[Any, Any]:
        """Return any mapping."""
        return {
            self.word() if self.below(8) else self.text(): self.value(depth + 1)
            for _ in range(self.below(2 * _MOST))
        }

    def changed(self, value: Any) -> Any:
        """Return a value with something in it exchanged for another."""
        if isinstance(value, dict) and value and self.below(8):
            name = sorted(value)[self.below(len(value))]
            return {**value, name: self.changed(value[name])}
        if isinstance(value, list) and value and self.below(8):
            place = self.below(len(value))
            return [*value[:place], self.changed(value[place]), *value[place + 1 :]]
        return self.value()

    def _number(self) -> float:
        sign = -1 if self.below(2) else 1
        return (
            sign * 10.0 ** self.below(40) if self.below(2) else sign * self.below(256)
        )

    def _blob(self) -> bytes:
        return self.text().encode()
