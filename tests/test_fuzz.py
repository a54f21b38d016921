"""Whatever a device, a file or a user hands in is taken or refused in our own words, soon."""

import io
import json
from time import process_time
import tracemalloc
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from custom_components.dc_meter.metering import receipt_file
from fuzz.target import CORPUS, Target
from fuzz.targets import TARGETS
from simulators.iem_dcr import SimulatedIemDcr

ANSWER = 256 * 1024
"""Bytes that a meter may answer with, nearly."""

SECONDS = 1.0
MEMORY = 32 << 20
"""Bytes; nothing here is larger than a quarter of a megabyte."""


def bounded(target: Target, data: bytes) -> None:
    """Hand it in, and see that it takes neither long nor much."""
    began = process_time()
    target(data)
    assert process_time() - began < SECONDS
    tracemalloc.start()  # Only now: it makes everything slow.
    try:
        target(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_found_once_is_taken_or_refused_in_our_own_words(name: str) -> None:
    """Every input that is kept, and each cut short."""
    for file in sorted((CORPUS / name).iterdir()):
        data = file.read_bytes()
        bounded(TARGETS[name], data)
        bounded(TARGETS[name], data[: len(data) // 2])


def zip_bomb() -> bytes:
    """Return a quarter of a megabyte that unpacks to a quarter of a gigabyte."""
    content = io.BytesIO()
    with ZipFile(content, "w", ZIP_DEFLATED) as archive:
        archive.writestr("receipt.json", b" " * (ANSWER << 10))
    return content.getvalue()


NAMES = b",".join(b'"%d":0' % number for number in range(18_000))
"""As many as there is room for beside readings that say nothing."""


def live_values(**changes: Any) -> bytes:
    """Return what a meter answers, changed as given."""
    value = SimulatedIemDcr().get_metervalue() | changes
    return b"\0\0" + json.dumps(value, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("nodes", b"\0\0" + b"[" * ANSWER, id="deep"),
        pytest.param("nodes", b"\0\0" + b"1" * ANSWER, id="long number"),
        pytest.param("nodes", b"\0\0{" + NAMES + b"}", id="many names"),
        pytest.param("nodes", live_values(RD=[{}] * 80_000), id="readings"),
        pytest.param("nodes", live_values(XC="0x0," * 60_000 + "0x0"), id="words"),
        pytest.param("nodes", b"\4\0OCMF" + b"|" * (ANSWER - 4), id="sections"),
        pytest.param(
            "nodes",
            b'\4\0OCMF|{"RD":[{"TM":"2026-07-01T14:00:00,000+0200 S",'
            + NAMES
            + b"}"
            + b",{}" * 29_000
            + b']}|{"SD":"00"}',
            id="readings that inherit much",
        ),
        pytest.param("key", b"\0" + b"0" * ANSWER, id="long key"),
        pytest.param("signature", b"\0" + b"\x30" * ANSWER, id="long signature"),
        pytest.param("xml", b"<a>" * (ANSWER // 3), id="deep XML"),
        pytest.param("json", b"1\n" * (ANSWER // 2), id="lines"),
    ],
)
def test_what_is_as_large_as_it_may_be_is_soon_done_with(
    name: str, data: bytes
) -> None:
    """A device that answers with all it may keeps nobody else waiting."""
    assert len(data) <= 2 + ANSWER
    bounded(TARGETS[name], data)


def test_a_zip_bomb_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unpacked to a bound and not beyond, and that takes a moment."""
    monkeypatch.setattr(receipt_file, "MAX_ZIP_BYTES", ANSWER)
    bomb = zip_bomb()
    bounded(TARGETS["zip"], bomb)
    assert not TARGETS["zip"](bomb)
