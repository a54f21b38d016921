"""What a meter answers, or whatever answers in its place."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
import json
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from modbus_connection import ModbusTimeoutError, ModbusUnit
from yarl import URL

from custom_components.dc_meter.metering.__main__ import lines, report
from custom_components.dc_meter.metering.dct1 import Dct1
from custom_components.dc_meter.metering.dct1_block import (
    BLOCK_LENGTH,
    ENERGY_LENGTH,
    EnergyRecords,
    SignedBlock,
    WordOrder,
    likely_word_order,
)
from custom_components.dc_meter.metering.ecdsa import (
    DCT1_256_BIT,
    DCT1_384_BIT,
    OCMF_DEFAULT,
    PublicKey,
    SignatureScheme,
    UnknownAlgorithmError,
    UnreadableKeyError,
    UnreadableSignatureError,
    is_public_key,
    is_strict_der,
    parse_public_key,
    parse_signature,
    verify,
)
from custom_components.dc_meter.metering.errors import (
    InvalidAddressError,
    MeterError,
    UnexpectedAnswerError,
)
from custom_components.dc_meter.metering.iem_dcr_nodes import LiveValue, Node, Nodes
from custom_components.dc_meter.metering.meter import (
    SignedMeterValue,
    TransactionRequest,
)
from custom_components.dc_meter.metering.ocmf import MalformedOcmfError, parse
from custom_components.dc_meter.metering.verdict import (
    OCMF,
    Judgement,
    Receipt,
    Verdict,
    judge,
)

from .target import Target, genuine, key, text_of

_SCHEMES = tuple(
    SignatureScheme.named(name)
    for name in (
        OCMF_DEFAULT,
        "ECDSA-secp192r1-SHA256",
        "ECDSA-secp192k1-SHA256",
        "ECDSA-secp384r1-SHA256",
        DCT1_256_BIT.name,
        DCT1_384_BIT.name,
    )
)


def say(judgement: Judgement) -> None:
    """Put a judgement into JSON and words, and see that these steer no terminal."""
    json.dumps(report(judgement))
    assert all(line.isprintable() for line in lines(judgement))


@cache
def _signed_texts() -> frozenset[bytes]:
    return frozenset(parse(text.decode()).signed_bytes for text in genuine("ocmf"))


def _ocmf(data: bytes) -> None:
    text = text_of(data)
    value = SignedMeterValue(
        signed_meter_data=text, signing_method="", encoding_method=OCMF, public_key=""
    )
    judgement = judge(Receipt(end=value), trusted_key=key("ocmf"))
    say(judgement)
    record = parse(text)
    assert parse(record.text) == record
    if judgement.verdict is Verdict.VALID:
        assert record.signed_bytes in _signed_texts(), "forged"


@cache
def _signed_blocks() -> frozenset[bytes]:
    return frozenset(genuine("dct1_block"))


def _dct1_block(data: bytes) -> None:
    value = SignedMeterValue(
        signed_meter_data=b64encode(data).decode(),
        signing_method=DCT1_384_BIT.name,
        encoding_method="",
        public_key="",
    )
    judgement = judge(Receipt(end=value), trusted_key=key("dct1"))
    say(judgement)
    if judgement.verdict is Verdict.VALID:
        assert data in _signed_blocks(), "forged"
    orders: tuple[WordOrder, ...] = ("big", "little")
    for order in orders:
        EnergyRecords.parse(data[:ENERGY_LENGTH], word_order=order)
        block = SignedBlock.parse(data[:BLOCK_LENGTH], word_order=order)
        assert f"{block.model}{block.serial_number}".isprintable()
        assert block.voltage_v.is_finite()
    likely_word_order(data[:BLOCK_LENGTH])


def _scheme(data: bytes) -> SignatureScheme:
    """Return the scheme that the first byte picks."""
    return _SCHEMES[data[0] % len(_SCHEMES) if data else 0]


def _key(data: bytes) -> None:
    scheme = _scheme(data)
    text = text_of(data[1:])
    is_public_key(text)
    for form in (data[1:], text):
        try:
            found = parse_public_key(form, scheme)
        except UnreadableKeyError, UnknownAlgorithmError:
            continue
        again = parse_public_key(found.point.hex(":"), scheme)
        assert again == found
        assert again.fingerprint == found.fingerprint


@cache
def _some_key(name: str) -> PublicKey:
    scheme = SignatureScheme.named(name)
    point = ec.derive_private_key(1, scheme.usable_curve).public_key()
    return parse_public_key(
        point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), scheme
    )


def _signature(data: bytes) -> None:
    scheme = _scheme(data)
    is_strict_der(data[1:])
    for r, s in parse_signature(data[1:], scheme):
        assert r >= 0 and s >= 0
    verify(b"", data[1:], _some_key(scheme.name), scheme)


class _Answering:
    """Stands in for the network: gives one answer, whatever is asked."""

    def __init__(self, status: int, body: bytes) -> None:
        self.asked: list[URL] = []
        self._status = status
        self._body = body

    @asynccontextmanager
    async def request(
        self, method: str, url: URL, *, allow_redirects: bool, **_: Any
    ) -> AsyncIterator[Any]:
        assert not allow_redirects
        self.asked.append(url)
        yield SimpleNamespace(
            status=self._status, content=SimpleNamespace(iter_any=self._chunks)
        )

    async def _chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    def nodes(self, address: str = "meter") -> Nodes:
        """Return the nodes at an address."""
        return Nodes(cast(ClientSession, self), address)


type _Ask = Callable[[Nodes], Awaitable[object]]

_NODES: tuple[_Ask, ...] = (
    Nodes.live_value,
    Nodes.charge_point,
    Nodes.clock,
    Nodes.public_key,
    lambda nodes: nodes.receipt(Node.RECEIPT),
    lambda nodes: nodes.receipt(Node.TRANSACTION),
)
_STATUSES = (200, 200, 200, 204, 301, 404, 428, 500)

_loop = cache(asyncio.new_event_loop)


def _nodes(data: bytes) -> None:
    ask = _NODES[data[0] % len(_NODES) if data else 0]
    status = _STATUSES[data[1] % len(_STATUSES) if len(data) > 1 else 0]
    nodes = _Answering(status, data[2:]).nodes()
    try:
        answer = _loop().run_until_complete(ask(nodes))
    finally:
        json.dumps(nodes.diagnostics())
    assert status == 200
    if isinstance(answer, LiveValue):
        for value in (answer.reading.energy_import_wh, answer.reading.power_w):
            assert value is None or "E" not in str(value)


def _address(data: bytes) -> None:
    network = _Answering(200, b"{}")
    try:
        _loop().run_until_complete(network.nodes(text_of(data)).live_value())
    except UnexpectedAnswerError:
        [asked] = network.asked
        assert asked.scheme in ("http", "https") and asked.host


class _Registers:
    """Stands in for the line: gives the bytes as registers, one answer after the other."""

    connected = True

    def __init__(self, data: bytes) -> None:
        self._left = data

    async def read_input_registers(self, address: int, count: int) -> list[int]:
        if not self._left:
            raise ModbusTimeoutError("silence")
        answer, self._left = self._left[: 2 * count], self._left[2 * count :]
        return [int.from_bytes(answer[i : i + 2]) for i in range(0, len(answer), 2)]

    def require_timeout(self, seconds: float | None) -> None:
        """Answer at once all the same."""

    async def disconnect(self) -> None:
        """Have nothing to take down."""


def _dct1(data: bytes) -> None:
    meter = Dct1(
        cast(ModbusUnit, _Registers(data[1:])), low_side_sensing=data[:1] != b"\1"
    )

    async def talk() -> None:
        try:
            await meter.identify()
            await meter.read()
            snapshot = await meter.begin(TransactionRequest(transaction_id="1"))
            value = snapshot.signed_value
            if value is not None:
                say(judge(Receipt(end=value), trusted_key=value.public_key))
            await meter.read()
        finally:
            json.dumps(meter.diagnostics())
            await meter.close()

    _loop().run_until_complete(talk())


DEVICES = {
    "ocmf": Target(take=_ocmf, refusals=(MalformedOcmfError,)),
    "dct1_block": Target(take=_dct1_block, refusals=(UnexpectedAnswerError,)),
    "key": Target(take=_key, refusals=()),
    "signature": Target(
        take=_signature, refusals=(UnreadableSignatureError, UnknownAlgorithmError)
    ),
    "nodes": Target(take=_nodes, refusals=(MeterError,)),
    "address": Target(take=_address, refusals=(InvalidAddressError,)),
    "dct1": Target(take=_dct1, refusals=(MeterError,)),
}
