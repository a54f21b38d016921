"""An archive in which anything can stand anywhere, as in a file that somebody made."""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
import sqlite3
from tempfile import TemporaryDirectory
from typing import Any

from custom_components.dc_meter.archive import Archive

from .target import MEMORY


class LooseArchive:
    """One archive for all inputs, emptied in between."""

    def __init__(self, path: Path) -> None:
        """Make it at this path."""
        Archive.open(path).close()
        with sqlite3.connect(path, isolation_level=None) as made:
            for (trigger,) in made.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger'"
            ).fetchall():
                made.execute(f"DROP TRIGGER {trigger}")
            made.executescript(
                "PRAGMA writable_schema = ON;"
                "UPDATE sqlite_schema SET"
                " sql = replace(replace(sql, 'STRICT', ''), 'NOT NULL', '')"
                " WHERE name = 'record';"
                "PRAGMA writable_schema = RESET;"
            )
        made.close()
        self.archive = Archive.open(path)
        self._raw = sqlite3.connect(path, isolation_level=None)

    def fill(self, rows: Iterable[Sequence[Any]]) -> None:
        """Let it hold these rows and nothing else. Raises what SQLite does."""
        with self._raw:
            self._raw.execute("BEGIN")
            self._raw.execute("DELETE FROM record")
            self._raw.executemany(
                "INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
            )


@cache
def loose_archive() -> LooseArchive:
    """Return the archive of this process."""
    folder = TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
    _FOLDERS.append(folder)
    return LooseArchive(Path(folder.name) / "receipts.db")


_FOLDERS: list[TemporaryDirectory[str]] = []
"""Kept until the process ends."""
