"""The IEM-DCR: its nodes, what it refuses, its receipts, its power cycles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
import json
from pathlib import Path
import time
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
import pytest

from simulators.car import Car
from simulators.clock import MeterClock
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr

from .conftest import TurnedClock

VECTOR = Path(__file__).parents[2].parent / "shared" / "vectors" / "iem-dcr.json"
ROOT = "/counter/v1/ocmf"
GW = {"CT": "EVSEID", "CI": "DE*ABC*E1", "TM": "2026-07-01T14:00:00,000+0200"}
USER = {
    "IS": True,
    "IL": "HEARSAY",
    "IF": ["RFID_PLAIN"],
    "IT": "ISO14443",
    "ID": "04A1B2C3",
    "US": False,
}


class Client:
    """A plain HTTP client of one meter."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        """Talk through this session."""
        self._session = session

    async def get(self, node: str) -> tuple[int, str]:
        """Return status and body."""
        async with self._session.get(
            node if node.startswith("/counter") else ROOT + node
        ) as answer:
            return answer.status, await answer.text()

    async def json(self, node: str) -> Any:
        """Return what a node shows."""
        status, body = await self.get(node)
        assert status == HTTPStatus.OK, body
        return json.loads(body)

    async def post(self, node: str, body: object) -> int:
        """Return the status."""
        async with self._session.post(ROOT + node, json=body) as answer:
            return answer.status

    async def ok(self, node: str, body: object) -> None:
        """Post what the meter must take."""
        assert await self.post(node, body) == HTTPStatus.OK

    async def begin(self) -> None:
        """Announce the user and begin."""
        await self.ok("/user", USER)
        await self.ok("/receipt", {"TX": "B"})

    async def end(self) -> str:
        """End, and wait for the receipt."""
        await self.ok("/receipt", {"TX": "E"})
        async with asyncio.timeout(2):
            while True:
                status, body = await self.get("/receipt")
                if status == HTTPStatus.OK and body:
                    return body
                await asyncio.sleep(0.02)


@asynccontextmanager
async def on_port(meter: SimulatedIemDcr) -> AsyncIterator[tuple[IemDcrServer, Client]]:
    """Put the meter on a port and connect to it."""
    async with (
        IemDcrServer(meter) as server,
        aiohttp.ClientSession(server.url) as session,
    ):
        yield server, Client(session)


@pytest.fixture
def meter(car: Car) -> SimulatedIemDcr:
    """A meter as it comes."""
    return SimulatedIemDcr(car=car, signature_delay_s=0)


@pytest.fixture
async def client(meter: SimulatedIemDcr) -> AsyncIterator[Client]:
    """A client of it; CT, CI and clock are set."""
    async with on_port(meter) as (_, client):
        await client.ok("/gw", GW)
        yield client


def parts(receipt: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Return a receipt's signed text, its payload and its signature."""
    head, payload, signature = receipt.split("|")
    assert head == "OCMF"
    return payload, json.loads(payload), json.loads(signature)


async def test_identification_is_set_once_per_power_up(meter: SimulatedIemDcr) -> None:
    async with on_port(meter) as (_, client):
        empty = await client.json("/gw")
        assert (empty["CT"], empty["CI"], empty["TM"][-2:]) == ("", "", " U")
        await client.ok("/gw", GW)
        assert await client.post("/gw", {**GW, "CI": "other"}) == 428
        shown = await client.json("/gw")
        assert (shown["CT"], shown["CI"]) == (GW["CT"], GW["CI"])
        meter.power_cycle()
        assert (await client.json("/gw"))["CI"] == ""
        await client.ok("/gw", {**GW, "CI": "other"})


async def test_live_values_have_the_shape_of_the_device(
    meter: SimulatedIemDcr, client: Client, car: Car, clock: TurnedClock
) -> None:
    car.set_power(-30_000)
    clock.turn(120)
    value = await client.json("/metervalue")
    assert list(value) == [
        "MS",
        "TM",
        "EF",
        "ST",
        "XT",
        "RD",
        "U1",
        "U2",
        "U3",
        "U4",
        "I",
        "P",
        "XS",
        "XC",
    ]
    assert value["RD"] == [
        {"RV": "00000000.000", "RI": "1-b:1.8.e", "RU": "kWh", "RT": "DC"},
        {"RV": "00000001.000", "RI": "1-b:2.8.e", "RU": "kWh", "RT": "DC"},
        {"WV": "00000000.000", "WI": "transaction_1-b:1.8.e", "WU": "kWh", "WT": "DC"},
        {"WV": "00000000.000", "WI": "transaction_1-b:2.8.e", "WU": "kWh", "WT": "DC"},
    ]
    flow = car.flow()
    assert (value["U2"], value["I"], value["P"]) == (
        flow.voltage_dv / 10,
        flow.current_ma / 1000,
        -30_000,
    )
    assert (value["XT"], value["XC"]) == (False, "0x0000, 0x00000000, 0x00, 0x00")


async def test_transaction_registers_count_from_the_begin_and_stay_after_the_end(
    client: Client, car: Car, clock: TurnedClock
) -> None:
    async def transaction_registers() -> list[str]:
        readings = (await client.json("/metervalue"))["RD"]
        return [reading["WV"] for reading in readings if "WV" in reading]

    car.set_power(36_000)
    clock.turn(100)
    car.stop()
    await client.begin()
    assert await transaction_registers() == ["00000000.000"] * 2
    for power_w in (36_000, -18_000):
        car.set_power(power_w)
        clock.turn(100)
    assert await transaction_registers() == ["00000001.000", "00000000.500"]
    car.stop()
    await client.end()
    car.set_power(36_000)
    clock.turn(100)
    assert await transaction_registers() == ["00000001.000", "00000000.500"]


async def test_readings_may_come_in_any_order(car: Car) -> None:
    async with on_port(SimulatedIemDcr(car=car, shuffle_readings=True)) as (_, client):
        orders = [
            tuple(
                r.get("RI", r.get("WI"))
                for r in (await client.json("/metervalue"))["RD"]
            )
            for _ in range(30)
        ]
    assert len(set(orders)) > 1
    assert len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize("signature_form", ["padded", "unpadded", "bare"])
@pytest.mark.parametrize("key_form", ["spki", "bare"])
async def test_receipts_are_genuine_in_every_form(
    car: Car, signature_form: Any, key_form: Any
) -> None:
    meter = SimulatedIemDcr(
        car=car, signature_form=signature_form, key_form=key_form, signature_delay_s=0
    )
    async with on_port(meter) as (_, client):
        await client.ok("/gw", GW)
        answer = await client.json("/publickey")
        for _ in range(8):
            await client.begin()
            payload, _, signature = parts(await client.end())
            assert answer["SA"] == signature["SA"] == "ECDSA-secp256r1-SHA256"
            raw = bytes.fromhex(signature["SD"])
            if signature_form == "padded":
                r, s = decode_dss_signature(raw)
            else:
                if signature_form == "unpadded":
                    assert (raw[:4].hex(), raw[36:38].hex()) == ("30440220", "0220")
                    raw = raw[4:36] + raw[38:]
                r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
                assert len(raw) == 64
            key(answer["PK"]).verify(
                encode_dss_signature(r, s), payload.encode(), ec.ECDSA(SHA256())
            )


def key(text: str) -> ec.EllipticCurvePublicKey:
    """Return the key in either of its forms."""
    raw = bytes.fromhex(text)
    if len(raw) == 64:
        return ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), b"\x04" + raw
        )
    assert len(raw) == 91
    assert text != text.lower() != text.upper()
    loaded = load_der_public_key(raw)
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    return loaded


@pytest.mark.skipif(
    not VECTOR.exists(), reason=f"{VECTOR.name} lies beside the repository"
)
async def test_a_receipt_is_built_like_a_real_one(client: Client) -> None:
    real = json.loads(VECTOR.read_text())
    _, real_payload, real_signature = parts(real["ocmf"])
    await client.ok("/tariff", {"TT": real_payload["TT"]})
    await client.ok(
        "/user",
        {"US": False, **{name: real_payload[name] for name in USER if name != "US"}},
    )
    await client.ok("/receipt", {"TX": "B"})
    text, payload, signature = parts(await client.end())
    assert text == json.dumps(payload, separators=(",", ":"))
    assert list(payload) == list(real_payload)
    assert list(signature) == list(real_signature)
    assert [list(reading) for reading in payload["RD"]] == [
        list(reading) for reading in real_payload["RD"]
    ]
    differing = {name for name in payload if payload[name] != real_payload[name]}
    assert differing == {"GS", "MS", "CT", "CI", "PG", "RD"}
    key = (await client.json("/publickey"))["PK"]
    assert key[:54] == real["public_key"][:54]
    assert len(key) == len(real["public_key"])


async def test_a_receipt_says_who_what_and_when(
    client: Client, car: Car, clock: TurnedClock
) -> None:
    await client.ok("/tariff", {"TT": "0,39 EUR/kWh"})
    await client.begin()
    car.set_power(36_000)
    clock.turn(100)
    car.stop()
    _, payload, _ = parts(await client.end())
    assert {name: payload[name] for name in USER if name != "US"} == {
        name: USER[name] for name in USER if name != "US"
    }
    assert (payload["CT"], payload["CI"]) == (GW["CT"], GW["CI"])
    assert (payload["PG"], payload["TT"]) == ("T1", "0,39 EUR/kWh")
    begin, end = payload["RD"]
    assert (begin["TX"], begin["RV"], begin["EF"]) == ("B", "00000000.000", "")
    assert (end["TX"], end["RV"], end["EF"]) == ("E", "00000001.000", "")
    assert end["TM"].startswith("2026-07-01T14:00:0")
    assert end["TM"].endswith(",000+0200 I")


async def test_a_user_brings_his_own_tariff_and_is_forgotten_after_his_transaction(
    client: Client,
) -> None:
    await client.ok("/tariff", {"TT": "display"})
    await client.ok("/user", {**USER, "TT": "his own"})
    await client.ok("/receipt", {"TX": "B"})
    _, first, _ = parts(await client.end())
    await client.ok("/receipt", {"TX": "B"})
    _, second, _ = parts(await client.end())
    assert (first["TT"], first["ID"], first["PG"]) == ("his own", USER["ID"], "T1")
    assert (second["TT"], second["ID"], second["PG"]) == ("display", "", "T2")
    assert (second["IS"], second["IL"]) == (False, "NONE")


async def test_the_receipt_is_there_when_it_is_signed(car: Car) -> None:
    meter = SimulatedIemDcr(car=car, signature_delay_s=0.3)
    async with on_port(meter) as (_, client):
        await client.ok("/gw", GW)
        await client.begin()
        assert (await client.get("/receipt"))[0] == 404
        started = time.perf_counter()
        await client.ok("/receipt", {"TX": "E"})
        assert (await client.get("/receipt"))[0] == 404
        assert await client.post("/receipt", {"TX": "B"}) == 428
        meter.pending_receipt = "empty"
        assert await client.get("/receipt") == (200, "")
        while not (await client.get("/receipt"))[1]:
            await asyncio.sleep(0.02)
        assert 0.3 < time.perf_counter() - started < 0.8


@pytest.mark.parametrize(("firmware", "path"), [("v1", "v1"), ("v2", "v2")])
async def test_the_last_receipt_is_kept_where_the_firmware_keeps_it(
    car: Car, firmware: Any, path: str
) -> None:
    meter = SimulatedIemDcr(car=car, firmware=firmware, signature_delay_s=0)
    node = f"/counter/{path}/ocmf/transaction"
    other = (
        "/counter/v2/ocmf/transaction"
        if path == "v1"
        else "/counter/v1/ocmf/transaction"
    )
    async with on_port(meter) as (_, client):
        await client.ok("/gw", GW)
        assert (await client.get(node))[0] == 404
        await client.begin()
        receipt = await client.end()
        assert await client.get(node) == (200, receipt)
        assert (await client.get(other))[0] == 404
        meter.power_cycle()
        assert (await client.get("/receipt"))[0] == 404
        assert await client.get(node) == (200, receipt)


@pytest.mark.parametrize(
    ("wrapping", "first"), [("plain", "O"), ("quoted", '"'), ("whitespace", "\r")]
)
async def test_a_receipt_may_come_wrapped(car: Car, wrapping: Any, first: str) -> None:
    meter = SimulatedIemDcr(car=car, receipt_wrapping=wrapping, signature_delay_s=0)
    async with on_port(meter) as (_, client):
        await client.ok("/gw", GW)
        await client.begin()
        receipt = await client.end()
    assert receipt[0] == first
    assert "OCMF|{" in receipt


@pytest.mark.parametrize(
    ("running", "node", "body"),
    [
        (False, "/receipt", {"TX": "E"}),
        (True, "/receipt", {"TX": "B"}),
        (True, "/datetime", {"TM": GW["TM"]}),
        (True, "/user", USER),
        (True, "/gw", GW),
        (False, "/gw", GW),
    ],
)
async def test_what_the_state_does_not_allow_is_428(
    client: Client, running: bool, node: str, body: object
) -> None:
    if running:
        await client.begin()
    assert await client.post(node, body) == 428
    assert (await client.json("/metervalue"))["XT"] is running


async def test_above_the_activation_threshold_nothing_begins_or_ends(
    meter: SimulatedIemDcr, client: Client, car: Car
) -> None:
    for tx in ("B", "E"):
        for power_w in (11_000, -11_000):
            car.set_power(power_w)
            assert await client.post("/receipt", {"TX": tx}) == 428
        car.set_power(200)
        await client.ok("/receipt", {"TX": tx})
    meter.threshold(current_a=30)
    car.set_power(11_000)
    await client.ok("/receipt", {"TX": "B"})


async def test_nothing_begins_in_the_error_state_or_before_set_up(
    meter: SimulatedIemDcr,
) -> None:
    async with on_port(meter) as (_, client):
        assert await client.post("/receipt", {"TX": "B"}) == 428
        await client.ok("/gw", GW)
        meter.error(words="0x0001, 0x00000000, 0x00, 0x00")
        assert (await client.json("/metervalue"))[
            "XC"
        ] == "0x0001, 0x00000000, 0x00, 0x00"
        assert await client.post("/receipt", {"TX": "B"}) == 428
        meter.error(words="0x0000, 0x00000000, 0x00, 0x00")
        await client.ok("/receipt", {"TX": "B"})


@pytest.mark.parametrize(
    ("node", "body"),
    [
        ("/gw", {"CT": "a", "CI": "b"}),
        ("/gw", {"CT": "a", "CI": "b", "TM": "2026-07-01T14:00:00+02:00"}),
        ("/tariff", {"TT": "x" * 251}),
        ("/tariff", {}),
        ("/datetime", {"TM": "2026-07-01T14:00:00.000+0200"}),
        ("/datetime", {"TM": "2026-13-01T14:00:00,000+0200"}),
        ("/user", {**USER, "IS": "true"}),
        ("/user", {**USER, "IF": "RFID_PLAIN"}),
        ("/user", {**USER, "IL": None}),
        ("/user", {**USER, "TT": "x" * 251}),
        ("/receipt", {"TX": "X"}),
        ("/receipt", []),
    ],
)
async def test_what_the_meter_does_not_understand_is_400(
    meter: SimulatedIemDcr, node: str, body: object
) -> None:
    async with on_port(meter) as (_, client):
        assert await client.post(node, body) == 400


async def test_a_body_must_be_json_and_say_so(meter: SimulatedIemDcr) -> None:
    async with (
        on_port(meter) as (server, _),
        aiohttp.ClientSession(server.url) as session,
    ):
        url, kind = f"{ROOT}/tariff", {"Content-Type": "application/json"}
        async with session.post(url, data='{"TT": "x"}') as answer:
            assert answer.status == 415
        async with session.post(url, data="{TT", headers=kind) as answer:
            assert answer.status == 400


def test_the_clock_keeps_the_offset_it_was_set_with() -> None:
    turned = TurnedClock()
    clock = MeterClock("S", turned)
    assert clock.text().endswith("+0000 U")
    clock.set("2026-10-25T02:59:58,000+0200")
    turned.turn(3)
    assert clock.text() == "2026-10-25T03:00:01,000+0200 S"
    clock.set("2026-10-25T02:00:01,000+0100")
    turned.turn(0.9)
    assert clock.text() == "2026-10-25T02:00:01,000+0100 S"


def test_the_clock_drifts_and_jumps_when_told() -> None:
    turned = TurnedClock()
    clock = MeterClock(monotonic=turned)
    clock.set("2026-01-01T00:00:00,000-0330")
    clock.drift(1000)
    turned.turn(10_000)
    assert clock.text() == "2026-01-01T02:46:50,000-0330 I"
    clock.jump(-10)
    clock.drift(0)
    turned.turn(1)
    assert clock.text() == "2026-01-01T02:46:41,000-0330 I"


async def test_the_clock_is_set_between_transactions(client: Client) -> None:
    await client.ok("/datetime", {"TM": "2027-01-01T00:00:00,000+0100"})
    assert (await client.json("/datetime"))["TM"].startswith("2027-01-01T00:00:0")


async def test_before_the_clock_is_set_receipts_say_so(meter: SimulatedIemDcr) -> None:
    async with on_port(meter) as (_, client):
        value = await client.json("/metervalue")
    assert (value["EF"], value["TM"][-1]) == ("t", "U")


async def test_a_power_cycle_refuses_connections_and_forgets_what_is_not_kept(
    meter: SimulatedIemDcr, car: Car, clock: TurnedClock
) -> None:
    async with on_port(meter) as (server, client):
        await client.ok("/gw", GW)
        await client.ok("/tariff", {"TT": "display"})
        car.set_power(36_000)
        clock.turn(100)
        await server.power_cycle(off_s=0.3)
        clock.turn(100)
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get("/gw")
        await asyncio.sleep(0.5)
        shown = await client.json("/gw")
        assert (shown["CT"], shown["CI"], shown["TM"][-1]) == ("", "", "U")
        assert (await client.json("/metervalue"))["RD"][0]["RV"] == "00000001.000"
        car.stop()
        await client.ok("/gw", GW)
        await client.ok("/receipt", {"TX": "B"})
        _, payload, _ = parts(await client.end())
        assert payload["TT"] == ""


@pytest.mark.parametrize("behaviour", ["ends", "resumes"])
async def test_a_power_cycle_ends_a_transaction_or_lets_it_resume(
    car: Car, behaviour: Any
) -> None:
    meter = SimulatedIemDcr(car=car, power_loss=behaviour, signature_delay_s=0)
    async with on_port(meter) as (server, client):
        await client.ok("/gw", GW)
        await client.begin()
        await server.power_cycle(off_s=0)
        running = (await client.json("/metervalue"))["XT"]
        assert running is (behaviour == "resumes")
        receipt = (
            await client.end()
            if running
            else (await client.get(meter.transaction_path))[1]
        )
    _, payload, _ = parts(receipt)
    assert [reading["TX"] for reading in payload["RD"]] == [
        "B",
        "E" if running else "P",
    ]
    assert payload["CI"] == GW["CI"]
    assert [reading["EF"] for reading in payload["RD"]] == ["", "t" if running else ""]


async def test_what_must_survive_is_kept(
    tmp_path: Path, car: Car, clock: TurnedClock
) -> None:
    first = SimulatedIemDcr(car=car, state_dir=tmp_path, signature_delay_s=0)
    async with on_port(first) as (_, client):
        await client.ok("/gw", GW)
        await client.begin()
        car.set_power(36_000)
        clock.turn(100)
        car.stop()
        receipt = await client.end()
        key = await client.json("/publickey")
    again = SimulatedIemDcr(
        car=Car(clock=clock), state_dir=tmp_path, signature_delay_s=0
    )
    async with on_port(again) as (_, client):
        assert await client.get(again.transaction_path) == (200, receipt)
        assert await client.json("/publickey") == key
        assert (await client.json("/gw"))["CT"] == ""
        readings = (await client.json("/metervalue"))["RD"]
        assert [r.get("RV", r.get("WV")) for r in readings] == [
            "00000001.000",
            "00000000.000",
            "00000001.000",
            "00000000.000",
        ]
        await client.ok("/gw", GW)
        await client.begin()
        assert parts(await client.end())[1]["PG"] == "T2"


async def test_network_faults_strike_as_often_as_told(meter: SimulatedIemDcr) -> None:
    async with on_port(meter) as (server, client):
        server.fail(count=2)
        assert [(await client.get("/gw"))[0] for _ in range(3)] == [500, 500, 200]
        server.garbage()
        with pytest.raises(ValueError):
            await client.json("/gw")
        server.disconnect()
        with pytest.raises(aiohttp.ClientError):
            await client.post("/tariff", {"TT": ""})
        await server.refuse()
        with pytest.raises(aiohttp.ClientConnectorError):
            await client.get("/gw")
        await server.accept()
        server.delay(seconds=0.2)
        started = time.perf_counter()
        await client.json("/gw")
        assert time.perf_counter() - started > 0.2
        meter.exchange(serial_number="1ISA0200009999")
        assert (await client.json("/metervalue"))["MS"] == "1ISA0200009999"
        key = await client.json("/publickey")
        meter.exchange(new_key=True)
        assert await client.json("/publickey") != key
