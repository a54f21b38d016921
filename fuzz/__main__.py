"""Fuzz one target after the other, and say what was found.

python -m fuzz [--inputs N] [--only TARGET] [--seed N] [--keep]
"""

from argparse import ArgumentParser
from hashlib import sha1
from pathlib import Path
import re
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import monotonic

from .reach import smallest
from .target import CORPUS, Target
from .targets import TARGETS

_LARGEST = 8192
"""Bytes of an input."""

_HANGS_AFTER_S = 30
"""Of an input that never ends, or the machine is asleep; what is slow is found before."""

_NUMBERED = re.compile(r"[0-9a-f]{12}")
"""Names of inputs that nobody named: they give way to smaller ones."""


def main() -> int:
    """Do what the command line asks for; return 1 when something was found."""
    parser = ArgumentParser(prog="scripts/fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--inputs", metavar="N", type=int, default=1_000_000, help="of each target"
    )
    parser.add_argument("--only", metavar="TARGET", choices=TARGETS, action="append")
    parser.add_argument("--seed", metavar="N", type=int, default=1)
    parser.add_argument(
        "--keep", action="store_true", help="add to the corpus what reaches further"
    )
    options = parser.parse_args()
    print("target        inputs  seconds  edges  branches")
    found = []
    for name in options.only or TARGETS:
        with TemporaryDirectory() as work:
            if not _fuzz(name, Path(work), options.inputs, options.seed):
                found.append(name)
            elif options.keep:
                _keep(TARGETS[name], CORPUS / name, Path(work))
    if found:
        print(f"Found something in: {', '.join(found)}")
    return bool(found)


def _fuzz(name: str, work: Path, inputs: int, seed: int) -> bool:
    began = monotonic()
    log = work.with_suffix(".log")
    with log.open("wb") as output:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.run", name, work, CORPUS / name),
                *(f"-runs={inputs}", f"-seed={seed}", f"-max_len={_LARGEST}"),
                *(f"-timeout={_HANGS_AFTER_S}", f"-artifact_prefix=found-{name}-"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = log.read_text(encoding="utf-8", errors="replace")
    log.unlink()
    if done.returncode:
        print(said[-4000:])
        return False
    [(runs, edges)] = re.findall(r"^#(\d+)\s+DONE\s+cov: (\d+)", said, re.MULTILINE)
    _, branches = smallest(
        TARGETS[name], (), beside=[file.read_bytes() for file in _files(name, work)]
    )
    seconds = monotonic() - began
    print(f"{name:<11} {runs:>8} {seconds:>8.0f} {edges:>6} {branches:>9}", flush=True)
    return True


def _files(name: str, work: Path) -> list[Path]:
    return [*sorted((CORPUS / name).iterdir()), *sorted(work.iterdir())]


def _keep(target: Target, corpus: Path, work: Path) -> None:
    """Leave in the corpus what somebody named, and the fewest others that reach all there is."""
    named, others = [], [file.read_bytes() for file in work.iterdir()]
    for file in corpus.iterdir():
        if _NUMBERED.fullmatch(file.name):
            others.append(file.read_bytes())
            file.unlink()
        else:
            named.append(file.read_bytes())
    kept, _ = smallest(target, others, beside=named)
    for data in kept:
        name = sha1(data, usedforsecurity=False).hexdigest()[:12]
        (corpus / name).write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
