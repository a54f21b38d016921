"""Where what is measured is written: on a disk, for waiting for it is part of what is measured."""

import os
from pathlib import Path
import tempfile

from demo.process import ROOT

IN_MEMORY = {"tmpfs", "ramfs"}


def file_system(folder: Path) -> str:
    """Return the type of what a folder lies on; nothing where that cannot be told."""
    number = folder.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    for mount in Path("/proc/self/mountinfo").read_text().splitlines():
        where, _, what = mount.partition(" - ")
        if where.split()[2] == device:
            return what.split()[0]
    return ""


def disk() -> Path:
    """Return the folder for temporary files, or another where that one is kept in memory."""
    for folder in (Path(tempfile.gettempdir()), Path("/var/tmp"), ROOT):  # noqa: S108  # what is made in it has a name nobody can guess
        if folder.is_dir() and file_system(folder) not in IN_MEMORY:
            return folder
    raise FileNotFoundError("no folder for temporary files on a disk: set TMPDIR")
