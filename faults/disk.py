"""A small file system of its own for the archive, that can be full and read-only in earnest."""

from collections.abc import Iterator
from contextlib import contextmanager
import errno
import os
from pathlib import Path
import subprocess

SIZE_MB = 64
"""More than all receipts of a campaign take."""

MOUNT = ("mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "dc-meter")
FILLER = "filler"
PIECE = bytes(4096)


def own_mounts() -> bool:
    """Give this process and its children mounts of their own; tell whether the machine lets us.

    Only before any thread is started. No rights are needed for it, and nobody else sees what is
    mounted; some machines forbid it nevertheless.
    """
    # A child tries: whoever may leave, and may do nothing then, cannot come back.
    try:
        tried = subprocess.run(
            [*("unshare", "--map-root-user", "--mount"), *MOUNT, "/mnt"],
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return False
    if tried.returncode:
        return False
    user, group = os.getuid(), os.getgid()
    os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNS)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {user} 1"),
        ("gid_map", f"0 {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)
    return True


class Disk:
    """A file system in memory, mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder it is mounted at."""
        self._folder = folder

    @contextmanager
    def mounted(self) -> Iterator[None]:
        """Mount it, as long as it is needed."""
        self._folder.mkdir(parents=True)
        subprocess.run([*MOUNT, self._folder], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", "--lazy", self._folder], check=True)

    def fill(self) -> None:
        """Leave not a byte free."""
        with (self._folder / FILLER).open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(PIECE)
            except OSError as err:
                if err.errno != errno.ENOSPC:
                    raise

    def make_room(self) -> None:
        """Free what ``fill`` took."""
        (self._folder / FILLER).unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Let nothing be written; nobody may have a file open for it when this begins."""
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, how: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{how}", self._folder], check=True)
