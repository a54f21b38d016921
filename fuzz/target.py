"""One way in, and the genuine receipts that forged ones are told from.

The genuine ones were signed with keys whose private halves are not kept: whatever else is taken
for genuine was forged.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

CORPUS = Path(__file__).with_name("corpus")
MEMORY = Path("/dev/shm")  # noqa: S108 - not a name that others can guess: a folder is made in it
"""Where files cost no disk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A way in."""

    take: Callable[[bytes], object]
    """Hands bytes in as they may come, and asserts what must be true of what comes out."""

    refusals: tuple[type[BaseException], ...]
    """What it may raise."""

    def __call__(self, data: bytes) -> bool:
        """Hand the bytes in; tell whether they were taken. Raises what is no refusal."""
        try:
            self.take(data)
        except self.refusals:
            return False
        return True


def text_of(data: bytes) -> str:
    """Return bytes as text, whatever they are."""
    return data.decode(errors="replace")


@cache
def key(name: str) -> str:
    """Return a key that genuine receipts were signed with, in hex."""
    return (CORPUS / f"{name}.key").read_text(encoding="ascii").strip()


def genuine(name: str) -> list[bytes]:
    """Return what of a corpus is genuine."""
    return [file.read_bytes() for file in sorted(CORPUS.glob(f"{name}/genuine-*"))]


@contextmanager
def folder() -> Iterator[Path]:
    """Return a folder for the files of a target."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)
