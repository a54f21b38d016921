"""One target in libFuzzer's loop: ``python -m fuzz.run TARGET [FOLDER...] [-OPTION...]``."""

import resource
import sys
from time import process_time

import atheris

with atheris.instrument_imports(include=["custom_components.dc_meter"]):
    from .targets import TARGETS

MAX_SECONDS = 1.0
MAX_MEMORY = 2 << 30
"""Bytes of the whole process, Home Assistant's modules and the fuzzer included."""


def main() -> None:
    """Hand in what libFuzzer makes up until it has had enough or something breaks."""
    target = TARGETS[sys.argv.pop(1)]
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))

    def take(data: bytes) -> None:
        began = process_time()
        target(data)
        took = process_time() - began
        assert took < MAX_SECONDS, f"took {took:.1f} s"

    atheris.Setup(sys.argv, take)
    atheris.Fuzz()


main()
