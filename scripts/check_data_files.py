"""Tell whether every JSON, TOML and YAML file of the repository can be read."""

from collections.abc import Callable
import json
from pathlib import Path
import subprocess
import sys
import tomllib

import yaml

# YAML is composed only: the tags that Home Assistant adds to it stay unread this way.
READERS: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yaml": yaml.compose,
    ".yml": yaml.compose,
}


def repository_files() -> list[Path]:
    """Return the files git knows or would add."""
    listing = subprocess.run(
        ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"),
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(name) for name in listing.stdout.split("\0") if name]


def main() -> int:
    """Read all of them; returns the exit code."""
    files = [
        file for file in repository_files() if file.suffix in READERS and file.exists()
    ]
    broken = 0
    for file in files:
        try:
            READERS[file.suffix](file.read_text())
        except (ValueError, yaml.YAMLError) as err:
            print(f"{file}: {err}", file=sys.stderr)
            broken += 1
    print(f"{len(files)} files, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
