"""The IEM-DCR over real sockets: set-up, live values, clock, transactions, receipts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
import json
from pathlib import Path
import socket
import ssl
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import ClientSession, web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID
from hypothesis import given, strategies as st
import pytest

from custom_components.dc_meter.metering import iem_dcr as module
from custom_components.dc_meter.metering.errors import (
    ChargePointMissingError,
    CurrentFlowingError,
    ErrorStateError,
    InvalidAddressError,
    MeterError,
    MeterUnreachableError,
    NoReceiptError,
    NotInitializedError,
    NoTransactionError,
    RefusedError,
    TextTooLongError,
    TooManyFlagsError,
    TransactionRunningError,
    UncarriableTextError,
    UnexpectedAnswerError,
    UnreadableReceiptError,
    WrongEvseError,
    WrongMeterError,
)
from custom_components.dc_meter.metering.iem_dcr import IemDcr
from custom_components.dc_meter.metering.iem_dcr_nodes import Nodes, without_user
from custom_components.dc_meter.metering.meter import (
    Capability,
    ClockState,
    IdentificationFlag,
    IdentificationLevel,
    IdentificationStatus,
    IdentificationType,
    KeyForm,
    Meter,
    Snapshot,
    TransactionRequest,
)
from custom_components.dc_meter.metering.verdict import Reason, Receipt, Verdict, judge
from simulators.http_faults import forged
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from tests.stopwatch import Stopwatch

from .http_line import Fault, Forward, HttpLine, answer, late, lose_answer, lose_request
from .signed import ocmf

BERLIN = ZoneInfo("Europe/Berlin")
TARIFF = "0,20 €/kWh"
REQUEST = TransactionRequest(transaction_id="3f1c6a52-9a4b-4e0e-8f6e-0d1f2b7a9c11")

LOST_POLL = 4
"""Requests of a poll that fails by disconnects: aiohttp asks twice each time it is asked to."""

type MakeMeter = Callable[..., IemDcr]


@pytest.fixture
def simulated() -> SimulatedIemDcr:
    """Return a meter with energy in its registers that signs quickly."""
    return SimulatedIemDcr(import_wh=446_540, export_wh=4_881, signature_delay_s=0.05)


@pytest.fixture
async def server(
    socket_enabled: None, simulated: SimulatedIemDcr
) -> AsyncIterator[IemDcrServer]:
    """Put the meter on a port."""
    async with IemDcrServer(simulated) as server:
        yield server


@pytest.fixture
async def line(server: IemDcrServer) -> AsyncIterator[HttpLine]:
    """Lay the network that leads to the meter."""
    async with HttpLine(server.url) as line:
        yield line


@pytest.fixture
async def make_meter(line: HttpLine) -> AsyncIterator[MakeMeter]:
    """Make a client of the meter, configured as given."""
    async with ClientSession() as session:

        def make(**settings: Any) -> IemDcr:
            url = settings.pop("url", line.url)
            defaults: dict[str, Any] = {
                "charge_point_type": "EVSEID",
                "charge_point_id": "DE*DCM*E1",
                "time_zone": lambda: BERLIN,
                "tariff_text": TARIFF,
                "retry_delay_s": 0.01,
            }
            return IemDcr(session, url, **defaults | settings)

        yield make


@pytest.fixture
async def meter(make_meter: MakeMeter) -> IemDcr:
    """Return a client that has set the meter up."""
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    return meter


@pytest.fixture
def utc_now(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the time that the client takes for the present; it stands still."""

    def set_now(moment: str) -> None:
        now = datetime.fromisoformat(moment)
        monkeypatch.setattr(module, "_utc_now", lambda: now)

    return set_now


def metervalue(simulated: SimulatedIemDcr, **changes: Any) -> str:
    """Return what the meter says, changed as given; None takes a field out."""
    value = simulated.get_metervalue() | changes
    return json.dumps({key: item for key, item in value.items() if item is not None})


def posts(line: HttpLine) -> list[tuple[str, Any]]:
    """Return all that the meter was told."""
    return [asked for asked in line.asked if asked[0].startswith("POST")]


def signed_text(snapshot: Snapshot | None) -> str:
    """Return a receipt as it came."""
    assert snapshot is not None
    assert snapshot.signed_value is not None
    return snapshot.signed_value.signed_meter_data


def signed_payload(snapshot: Snapshot | None) -> dict[str, Any]:
    """Verify a receipt with nothing but ``cryptography`` and return what is signed."""
    assert snapshot is not None
    value = snapshot.signed_value
    assert value is not None
    assert (value.encoding_method, value.signing_method) == (
        "OCMF",
        "ECDSA-secp256r1-SHA256",
    )
    header, payload, section = value.signed_meter_data.split("|")
    assert header == "OCMF"
    key = bytes.fromhex(value.public_key)
    if len(key) == 64:
        curve = ec.SECP256R1()
        public_key = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + key)
    else:
        loaded = load_der_public_key(key)
        assert isinstance(loaded, ec.EllipticCurvePublicKey)
        public_key = loaded
    signature = bytes.fromhex(json.loads(section)["SD"])
    if len(signature) == 64:
        r, s = signature[:32], signature[32:]
    else:
        r = signature[4 : 4 + signature[3]]
        s = signature[6 + signature[3] :]
    public_key.verify(
        encode_dss_signature(int.from_bytes(r), int.from_bytes(s)),
        payload.encode(),
        ec.ECDSA(SHA256()),
    )
    signed: dict[str, Any] = json.loads(payload)
    return signed


@pytest.fixture
async def https_url(socket_enabled: None, tmp_path: Path) -> AsyncIterator[str]:
    """Return the address of a server whose certificate nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


# Set-up


async def test_a_certificate_that_nobody_vouches_for_is_named(
    make_meter: MakeMeter, https_url: str
) -> None:
    """It is no answer that is not understood."""
    with pytest.raises(MeterUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        await make_meter(url=https_url, retries=0).identify()


async def test_a_meter_says_who_it_is_and_is_told_nothing(
    make_meter: MakeMeter, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """What it is told may stay until it is switched off, and it may be another's."""
    meter: Meter = make_meter()

    identity = await meter.identify()

    assert posts(line) == []
    assert (identity.manufacturer, identity.model) == ("Isabellenhütte", "IEM-DCR")
    assert (identity.serial_number, identity.firmware) == ("1ISA0200000001", None)
    assert identity.public_key == simulated.get_publickey()["PK"]
    assert identity.public_key_form is KeyForm.SUBJECT_PUBLIC_KEY_INFO
    assert identity.signing_method == "ECDSA-secp256r1-SHA256"
    assert meter.capabilities == (
        Capability.TRANSACTIONS
        | Capability.CLOCK
        | Capability.TARIFF_TEXT
        | Capability.ERROR_STATE
    )


async def test_a_meter_fresh_from_power_up_is_set_up(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """It gets charge point, time and tariff text."""
    gw = simulated.get_gw()
    assert (gw["CT"], gw["CI"]) == ("EVSEID", "DE*DCM*E1")
    assert line.bodies("POST tariff") == [{"TT": TARIFF}]
    assert line.bodies("POST datetime") == []


async def test_a_meter_that_took_the_place_of_the_identified_one_is_not_set_up(
    make_meter: MakeMeter, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """It may be another charge point's."""
    meter = make_meter()
    await meter.identify()
    simulated.exchange(serial_number="1ISA0200000002")
    with pytest.raises(WrongMeterError, match="1ISA0200000002"):
        await meter.set_up()
    assert posts(line) == []


async def test_a_meter_that_is_set_up_only_gets_the_time(
    meter: IemDcr, make_meter: MakeMeter, line: HttpLine
) -> None:
    """As after a restart of the client."""
    again = make_meter()
    await again.identify()
    await again.set_up()
    assert len(line.bodies("POST gw")) == 1
    assert len(line.bodies("POST datetime")) == 1
    assert again.frozen_charge_point is None


async def test_a_charge_point_frozen_in_the_meter_is_reported(
    meter: IemDcr, make_meter: MakeMeter
) -> None:
    """The meter works, and its receipts carry the old one until it is switched off."""
    other = make_meter(charge_point_id="DE*DCM*E2")
    await other.identify()
    await other.set_up()
    assert other.frozen_charge_point == ("EVSEID", "DE*DCM*E1")

    await other.begin(REQUEST)
    assert signed_payload(await other.end())["CI"] == "DE*DCM*E1"


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"charge_point_type": ""}, ChargePointMissingError),
        ({"charge_point_id": ""}, ChargePointMissingError),
        ({"charge_point_type": "x" * 251}, TextTooLongError),
        ({"charge_point_id": "a|b"}, UncarriableTextError),
        ({"tariff_text": "x" * 251}, TextTooLongError),
        ({"tariff_text": "\ud800"}, UncarriableTextError),
        ({"tariff_text": "two\u2028lines"}, UncarriableTextError),
        ({"tariff_text": "\ufffe"}, UncarriableTextError),
    ],
)
async def test_a_wrong_configuration_is_refused_before_anything_is_sent(
    make_meter: MakeMeter,
    line: HttpLine,
    settings: dict[str, str],
    error: type[MeterError],
) -> None:
    """Nothing of it may freeze in the meter."""
    meter = make_meter(**settings)
    await meter.identify()
    with pytest.raises(error):
        await meter.set_up()
    assert posts(line) == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1",
        "ws://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://xn--:1",
        "http://\ud800",
        "http://0:1",
    ],
)
async def test_an_address_that_is_none_is_said_so(
    make_meter: MakeMeter, url: str
) -> None:
    """As the configuration's fault, not the meter's."""
    with pytest.raises(InvalidAddressError):
        await make_meter(url=url).identify()


async def test_a_bare_host_will_do(make_meter: MakeMeter, line: HttpLine) -> None:
    """The meter speaks plain HTTP."""
    meter = make_meter(url=line.url.removeprefix("http://"))
    assert (await meter.identify()).serial_number == "1ISA0200000001"


async def test_set_up_survives_a_lost_answer(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """The repeated POST gw is refused because the first one worked."""
    line.strike("POST gw", lose_answer)
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    assert len(line.bodies("POST gw")) == 2
    assert meter.frozen_charge_point is None


async def test_set_up_is_tried_as_often_as_configured(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """Two retries bridge two failures and not three."""
    line.strike("GET publickey", answer(status=500), times=2)
    await make_meter(retries=2).identify()

    line.strike("GET publickey", answer(status=500), times=3)
    with pytest.raises(UnexpectedAnswerError):
        await make_meter(retries=2).identify()


@pytest.mark.parametrize(
    ("settings", "firmware", "form"),
    [
        (
            {"firmware": "v1", "key_form": "bare"},
            "DU-01.00.00_SU-01.00.00",
            KeyForm.BARE_POINT,
        ),
        (
            {"firmware": "v2", "key_form": "spki"},
            "DU-02.00.12_SU-02.00.08",
            KeyForm.SUBJECT_PUBLIC_KEY_INFO,
        ),
    ],
    ids=["older firmware", "newer firmware"],
)
async def test_model_and_firmware_come_from_the_last_receipt(
    make_meter: MakeMeter,
    socket_enabled: None,
    settings: dict[str, Any],
    firmware: str,
    form: KeyForm,
) -> None:
    """Wherever this generation keeps it."""
    async with IemDcrServer(SimulatedIemDcr(**settings)) as server:
        meter = make_meter(url=server.url)
        await meter.identify()
        await meter.set_up()
        await meter.begin(REQUEST)
        await meter.end()

        identity = await make_meter(url=server.url).identify()

    assert identity.model == "IEM-DCR-125-1000-32-00-006-B_000"
    assert (identity.firmware, identity.public_key_form) == (firmware, form)


@pytest.mark.parametrize(
    "fault",
    [answer("garbage"), answer(status=500)],
    ids=["garbage", "500"],
)
async def test_a_last_receipt_that_cannot_be_read_costs_no_more_than_the_model(
    make_meter: MakeMeter, line: HttpLine, fault: Fault
) -> None:
    """The meter is good for work without it."""
    line.strike("GET transaction", fault, times=8)
    identity = await make_meter().identify()
    assert (identity.model, identity.firmware) == ("IEM-DCR", None)


@pytest.mark.parametrize("text", ["two\nlines", "x" * 65, ""])
async def test_a_model_or_version_that_is_no_name_is_not_taken(
    make_meter: MakeMeter, line: HttpLine, text: str
) -> None:
    """They become names of the device: what a receipt says may be anything."""
    line.strike("GET transaction", answer(ocmf(MM=text, GV=text)))
    identity = await make_meter().identify()
    assert (identity.model, identity.firmware) == ("IEM-DCR", None)
    line.strike("GET transaction", answer(ocmf(MM="IEM-DCR-125", GV="1.0")))
    identity = await make_meter().identify()
    assert (identity.model, identity.firmware) == ("IEM-DCR-125", "1.0")


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        ("GET gw", answer('{"CT":1,"CI":""}')),
        ("POST gw", answer(status=400)),
    ],
)
async def test_a_meter_that_does_not_take_its_charge_point_is_not_set_up(
    make_meter: MakeMeter, line: HttpLine, asked: str, fault: Fault
) -> None:
    """Without it receipts name no place."""
    line.strike(asked, fault)
    meter = make_meter()
    await meter.identify()
    with pytest.raises(UnexpectedAnswerError):
        await meter.set_up()


@pytest.mark.parametrize("characters", [0, 256])
async def test_a_key_that_can_be_none_is_not_taken(
    make_meter: MakeMeter, line: HttpLine, characters: int
) -> None:
    """Without its key a meter proves nothing; the longest form known has 182 characters."""
    key = {"SA": "ECDSA-secp256r1-SHA256", "PK": "A" * characters}
    line.strike("GET publickey", answer(json.dumps(key)))
    meter = make_meter()
    with pytest.raises(UnexpectedAnswerError):
        await meter.identify()
    with pytest.raises(RuntimeError):
        _ = meter.identity


# Live values


@pytest.mark.parametrize("shuffled", [False, True])
async def test_a_reading_is_what_the_meter_shows(
    meter: IemDcr, simulated: SimulatedIemDcr, shuffled: bool
) -> None:
    """To the watt-hour, wherever a register stands."""
    simulated.shuffle_readings = shuffled
    simulated.car.set_power(-1500)
    reading = await meter.read()
    assert reading.energy_import_wh == 446_540
    assert reading.energy_export_wh == 4_881
    assert reading.transaction_import_wh == reading.transaction_export_wh == 0
    assert reading.power_w == -1500
    assert reading.voltage_v == Decimal(str(simulated.get_metervalue()["U2"]))
    assert reading.current_a < 0
    assert reading.clock_state is ClockState.INFORMATIVE
    assert (reading.transaction_active, reading.error_words) == (False, ())
    assert reading.tariff_text == TARIFF


async def test_large_registers_and_watt_hours_stay_exact(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """Where a float32 is off by whole watt-hours; export comes in Wh, as a number."""
    registers = simulated.get_metervalue()["RD"]
    registers[0]["RV"] = "99999999.999"
    registers[1] |= {"RV": 16_777_217, "RU": "Wh"}
    line.strike("GET metervalue", answer(metervalue(simulated, RD=registers)))
    reading = await meter.read()
    assert reading.energy_import_wh == 99_999_999_999
    assert reading.energy_export_wh == 16_777_217


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("1e3", "1000"),
        ("2.50", "2.50"),
        ("0E-9", "0"),
        ("-0.0", "0.0"),
        ("-3E-7", "0"),
        ("-1.5e1", "-15"),
    ],
)
async def test_numbers_are_written_without_an_exponent(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, sent: str, shown: str
) -> None:
    """However the meter writes them; and nothing has no sign."""
    registers = simulated.get_metervalue()["RD"]
    registers[0] |= {"RV": "446.5", "RU": "kWh"}
    told = metervalue(simulated, RD=registers, P="?", U2="?", I="?")
    line.strike("GET metervalue", answer(told.replace('"?"', sent)))
    reading = await meter.read()
    assert str(reading.power_w) == shown
    assert str(reading.voltage_v) == str(reading.current_a) == shown
    assert str(reading.energy_import_wh) == "446500"


@pytest.mark.parametrize("bad", [{"ST": "M"}, {"EF": "E"}, {"EF": "tE"}])
async def test_registers_the_meter_calls_bad_are_not_shown(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, bad: dict[str, str]
) -> None:
    """They are unknown, not 0 and not what they were."""
    line.strike("GET metervalue", answer(metervalue(simulated, **bad)))
    reading = await meter.read()
    assert reading.energy_import_wh is reading.energy_export_wh is None
    assert reading.transaction_import_wh is reading.transaction_export_wh is None
    assert reading.voltage_v > 0


def registers(*changes: dict[str, Any], drop: int = 0) -> dict[str, Any]:
    """Return RD with the first registers changed and the last left out."""
    listed = SimulatedIemDcr().get_metervalue()["RD"]
    for register, change in zip(listed, changes, strict=False):
        register |= change
    return {"RD": listed[: len(listed) - drop]}


ODD = {
    "no voltage": {"U2": None},
    "a current that is text": {"I": "five"},
    "a power that is neither": {"P": True},
    "a number beyond all bounds": {"P": 1e300},
    "NaN": {"I": float("nan")},
    "no transaction state": {"XT": None},
    "a transaction state in words": {"XT": "false"},
    "no serial number": {"MS": None},
    "an empty serial number": {"MS": ""},
    "no time": {"TM": None},
    "a time in another form": {"TM": "2026-07-01 14:00"},
    "no error words": {"XC": None},
    "error words in words": {"XC": "fine"},
    "no status": {"ST": None},
    "a serial number of two lines": {"MS": "1ISA\n0200000001"},
    "a serial number without end": {"MS": "1" * 1000},
    "no registers": {"RD": []},
    "registers that are none": {"RD": [1]},
    "a register missing": registers(drop=1),
    "a register too many": {"RD": registers()["RD"] + registers()["RD"][:1]},
    "a register under another's name": registers({"RI": "1-b:2.8.e"}),
    "a register in another unit": registers({"RU": "MWh"}),
    "a register without a unit": registers({"RU": None}),
    "a register that is text": registers({"RV": "x"}),
    "a register that is NaN": registers({"RV": "NaN"}),
}


@pytest.mark.parametrize("changes", ODD.values(), ids=ODD.keys())
async def test_an_odd_answer_is_refused(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, changes: dict[str, Any]
) -> None:
    """No value is made up for it, and the next good answer is taken."""
    line.strike("GET metervalue", answer(metervalue(simulated, **changes)))
    with pytest.raises(UnexpectedAnswerError):
        await meter.read()
    assert (await meter.read()).energy_import_wh == 446_540


GOOD = metervalue(SimulatedIemDcr())


@pytest.mark.parametrize(
    "fault",
    [
        answer("garbage{"),
        answer(GOOD.replace("{", '{"X":"\xff",', 1).encode("latin-1")),
        answer("[]"),
        answer(GOOD.replace("{", '{"MS":"1ISA0200000001",', 1)),
        answer(GOOD + " " * 300_000),
        answer(status=204),
        answer(status=201, body=GOOD),
        answer(status=403, body=GOOD),
        answer(status=302, headers={"Location": "/elsewhere"}),
    ],
    ids=[
        "garbage",
        "no text",
        "a list",
        "a key twice",
        "oversize",
        "204",
        "201",
        "403",
        "redirect",
    ],
)
async def test_what_is_no_answer_is_not_taken_for_one(
    meter: IemDcr, line: HttpLine, fault: Fault
) -> None:
    """Success is exactly 200, and a redirect leads nowhere."""
    line.strike("GET metervalue", fault)
    with pytest.raises(UnexpectedAnswerError):
        await meter.read()
    assert not line.bodies("GET elsewhere")


@pytest.mark.parametrize("fault", [lose_request, late(1), answer(status=500)])
async def test_one_lost_answer_is_bridged_within_the_second(
    meter: IemDcr, line: HttpLine, fault: Fault
) -> None:
    """By asking again at once."""
    line.strike("GET metervalue", fault)
    async with Stopwatch() as watch:
        assert (await meter.read()).energy_import_wh == 446_540
    assert watch.took_s < 0.8


async def test_a_meter_that_stays_silent_is_unreachable_within_the_second(
    meter: IemDcr, line: HttpLine
) -> None:
    """And is back with the first answer."""
    line.strike("GET metervalue", late(1), times=2)
    async with Stopwatch() as watch:
        with pytest.raises(MeterUnreachableError):
            await meter.read()
    assert watch.took_s < 1
    assert (await meter.read()).energy_import_wh == 446_540


async def test_an_answer_that_only_drips_in_keeps_nobody_waiting(
    meter: IemDcr, line: HttpLine
) -> None:
    """The time is that of the whole answer, however often a byte of it comes."""

    async def drip(request: web.Request, _: Forward) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            for _ in range(100):
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    line.strike("GET metervalue", drip, times=2)
    async with Stopwatch() as watch:
        with pytest.raises(MeterUnreachableError):
            await meter.read()
    assert watch.took_s < 1


async def test_a_connection_that_fails_is_said_in_the_words_of_the_system(
    socket_enabled: None,
) -> None:
    """Where, and why; not how the client was to make it."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{unused.getsockname()[1]}"
        async with ClientSession() as session:
            with pytest.raises(MeterUnreachableError) as failure:
                await Nodes(session, f"http://{place}").clock()
    assert failure.value.details["error"].endswith(f": {place}: Connection refused")


async def test_the_meter_is_asked_one_thing_at_a_time(
    meter: IemDcr, line: HttpLine
) -> None:
    """However many want to know."""
    await asyncio.gather(*(meter.read() for _ in range(5)), meter.check(REQUEST))
    assert line.most_at_once == 1


async def test_a_slow_command_does_not_hold_up_the_polls(
    meter: IemDcr, line: HttpLine
) -> None:
    """They go beside it, on a connection of their own, once it takes long."""
    line.strike("POST receipt", late(1.5))
    beginning = asyncio.create_task(meter.begin(REQUEST))
    took_s = []
    while not beginning.done():
        async with Stopwatch() as watch:
            await meter.read()
        took_s.append(watch.took_s)
        await asyncio.sleep(0.1)
    await beginning
    assert len(took_s) > 4
    assert max(took_s) < 0.4
    assert line.most_at_once == 2


async def test_a_meter_that_is_slow_is_read_beside_its_commands(
    meter: IemDcr, server: IemDcrServer
) -> None:
    """What a reading has waited for a command is not taken from the time of its answer."""
    server.delay(seconds=0.3)
    beginning = asyncio.create_task(meter.begin(REQUEST))
    readings = 0
    while not beginning.done():
        async with Stopwatch() as watch:
            await meter.read()
        assert watch.took_s < 1
        readings += 1
        await asyncio.sleep(0.05)
    await beginning
    assert readings > 1


@pytest.mark.parametrize("node", ["GET publickey", "POST tariff", "POST datetime"])
async def test_what_hangs_beside_a_poll_does_not_hold_it_up(
    make_meter: MakeMeter, line: HttpLine, simulated: SimulatedIemDcr, node: str
) -> None:
    """It is seen to in the background until the end; what matters most comes at once."""
    meter = make_meter(clock_interval=timedelta(0))
    await meter.identify()
    await meter.set_up()
    line.strike("GET metervalue", lose_request, times=LOST_POLL)
    with pytest.raises(MeterUnreachableError):
        await meter.read()
    simulated.power_cycle()
    line.strike(node, late(1.5))
    told = len(line.bodies(node))
    for _ in range(5):
        async with Stopwatch() as watch:
            assert (await meter.read()).energy_import_wh == 446_540
        assert watch.took_s < 0.4
        assert simulated.get_gw()["CI"] == "DE*DCM*E1"
    assert len(line.bodies(node)) == told + 1
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "IEM-DCR upkeep" in names
    await meter.close()
    names = {task.get_name() for task in asyncio.all_tasks()}
    assert "IEM-DCR upkeep" not in names


async def test_a_meter_that_is_given_up_is_only_read(
    make_meter: MakeMeter, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """A poll that was under way sets nothing up any more."""
    meter = make_meter()
    await meter.identify()
    await meter.close()
    await meter.read()
    assert posts(line) == []


async def test_polling_costs_little(
    make_meter: MakeMeter, server: IemDcrServer
) -> None:
    """One request, a few milliseconds."""
    meter = make_meter(url=server.url)
    await meter.identify()
    await meter.set_up()
    durations_s = []
    for _ in range(50):
        async with Stopwatch() as watch:
            await meter.read()
        durations_s.append(watch.took_s)
    assert sorted(durations_s)[25] < 0.05


async def test_error_words_are_shown_as_the_meter_writes_them(
    meter: IemDcr, simulated: SimulatedIemDcr
) -> None:
    """Their bits are not public."""
    simulated.error(words="0x0001, 0x00000000, 0x00, 0x80")
    assert (await meter.read()).error_words == ("0x0001", "0x00000000", "0x00", "0x80")


async def test_another_meter_at_the_address_is_named_and_left_alone(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """It is not this one's charge point."""
    simulated.power_cycle()
    simulated.exchange(serial_number="1ISA0200000002")
    told = posts(line)
    for attempt in (
        meter.read,
        meter.read,
        meter.set_up,
        meter.synchronize_clock,
        partial(meter.set_tariff_text, "free today"),
    ):
        with pytest.raises(WrongMeterError, match="1ISA0200000002"):
            await attempt()
    assert posts(line) == told


# Power cycles


async def test_a_power_cycle_that_costs_a_poll_is_set_up_at_the_next(
    meter: IemDcr, server: IemDcrServer, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """Charge point, time, tariff text; the reading of that poll is delivered."""
    await server.refuse()
    with pytest.raises(MeterError):
        await meter.read()
    simulated.power_cycle()
    await server.accept()

    reading = await meter.read()

    assert reading.energy_import_wh == 446_540
    assert reading.tariff_text == TARIFF
    assert simulated.get_gw()["CI"] == "DE*DCM*E1"
    assert line.bodies("POST tariff") == [{"TT": TARIFF}] * 2
    assert (await meter.read()).clock_offset_s == 0


async def test_a_power_cycle_between_two_polls_is_found_within_the_minute(
    make_meter: MakeMeter, simulated: SimulatedIemDcr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By looking at the charge point now and then, here at every poll."""
    monkeypatch.setattr(module, "CHARGE_POINT_CHECK_S", 0)
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    await meter.set_tariff_text("0,30 €/kWh")
    simulated.power_cycle()
    assert (await meter.read()).tariff_text == "0,30 €/kWh"
    assert simulated.get_gw()["CI"] == "DE*DCM*E1"


async def test_a_set_up_that_fails_is_made_up_for_and_costs_no_reading(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """Each poll delivers; the first that can sets the meter up."""
    line.strike("GET metervalue", lose_request, times=LOST_POLL)
    with pytest.raises(MeterUnreachableError):
        await meter.read()
    simulated.power_cycle()
    line.strike("POST gw", lose_request)
    for initialised in (False, True):
        assert (await meter.read()).energy_import_wh == 446_540
        assert bool(simulated.get_gw()["CI"]) is initialised


async def test_the_key_is_asked_for_again_after_a_loss_of_contact(
    meter: IemDcr, line: HttpLine
) -> None:
    """A meter may come back with another one."""
    line.strike("GET metervalue", lose_request, times=LOST_POLL)
    with pytest.raises(MeterUnreachableError):
        await meter.read()
    key = {"SA": "ECDSA-secp256r1-SHA256", "PK": "abc"}
    line.strike("GET publickey", answer(json.dumps(key)))
    await meter.read()
    assert (meter.identity.public_key, meter.identity.public_key_form) == ("abc", None)
    await meter.read()
    assert meter.identity.public_key == "abc"


# The clock


@pytest.mark.parametrize(
    ("utc", "sent"),
    [
        ("2026-01-15T12:00:00+00:00", "2026-01-15T13:00:00,000+0100"),
        ("2026-07-01T12:00:00+00:00", "2026-07-01T14:00:00,000+0200"),
        ("2026-03-29T00:59:59+00:00", "2026-03-29T01:59:59,000+0100"),
        ("2026-03-29T01:00:00+00:00", "2026-03-29T03:00:00,000+0200"),
        ("2026-03-29T00:59:59.600+00:00", "2026-03-29T03:00:00,000+0200"),
        ("2026-10-25T00:59:59+00:00", "2026-10-25T02:59:59,000+0200"),
        ("2026-10-25T01:00:00+00:00", "2026-10-25T02:00:00,000+0100"),
    ],
    ids=[
        "winter",
        "summer",
        "before",
        "after",
        "half a second before",
        "before again",
        "after again",
    ],
)
async def test_the_meter_gets_local_time_with_the_offset_in_force(
    make_meter: MakeMeter,
    line: HttpLine,
    utc_now: Callable[[str], None],
    utc: str,
    sent: str,
) -> None:
    """At set-up and when it is set by hand, in winter, in summer and around the changes."""
    utc_now(utc)
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    await meter.synchronize_clock()
    assert line.bodies("POST gw")[0]["TM"] == sent
    assert line.bodies("POST datetime") == [{"TM": sent}]


async def test_the_clock_follows_the_change_of_summer_time_at_once(
    make_meter: MakeMeter, line: HttpLine, utc_now: Callable[[str], None]
) -> None:
    """Not only when the interval is over."""
    utc_now("2026-10-25T00:59:59+00:00")
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    await meter.read()
    assert line.bodies("POST datetime") == []
    utc_now("2026-10-25T01:00:00+00:00")
    await meter.read()
    assert line.bodies("POST datetime") == [{"TM": "2026-10-25T02:00:00,000+0100"}]
    await meter.read()
    assert len(line.bodies("POST datetime")) == 1


async def test_a_clock_that_is_ahead_when_it_is_met_is_not_put_back_at_once(
    make_meter: MakeMeter,
    meter: IemDcr,
    line: HttpLine,
    utc_now: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine without a clock of its own does not know the time before it has a network."""
    await meter.read()
    now = datetime.now(UTC)
    before = len(line.bodies("POST datetime"))
    utc_now((now - timedelta(hours=3)).isoformat())
    monkeypatch.setattr(module, "uptime_s", lambda: module.BEHIND_PATIENCE_S - 1)
    patient, impatient = make_meter(), make_meter()
    for started in (patient, impatient):
        await started.identify()
        await started.set_up()
        assert (await started.read()).clock_offset_s == pytest.approx(10_800, abs=5)
    assert len(line.bodies("POST datetime")) == before
    utc_now(now.isoformat())
    assert abs((await patient.read()).clock_offset_s or 0) <= 5
    assert len(line.bodies("POST datetime")) == before + 1
    utc_now((now - timedelta(hours=3)).isoformat())
    monkeypatch.setattr(module, "uptime_s", lambda: module.BEHIND_PATIENCE_S)
    await impatient.read()
    assert len(line.bodies("POST datetime")) == before + 2


async def test_the_clock_follows_a_changed_time_zone_at_once(
    make_meter: MakeMeter, line: HttpLine, utc_now: Callable[[str], None]
) -> None:
    """The installation may have been given the wrong one."""
    utc_now("2026-07-01T12:00:00+00:00")
    zone = "Europe/Berlin"
    meter = make_meter(time_zone=lambda: ZoneInfo(zone))
    await meter.identify()
    await meter.set_up()
    zone = "America/New_York"
    await meter.read()
    assert line.bodies("POST datetime") == [{"TM": "2026-07-01T08:00:00,000-0400"}]


async def test_the_clock_is_set_once_in_an_interval_and_never_in_a_transaction(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """What falls due in a transaction is done at the first poll after it."""
    meter = make_meter(clock_interval=timedelta(seconds=0.6))
    await meter.identify()
    await meter.set_up()
    await meter.read()
    assert len(line.bodies("POST datetime")) == 0
    await asyncio.sleep(0.6)
    await meter.read()
    assert len(line.bodies("POST datetime")) == 1

    await meter.begin(REQUEST)
    await asyncio.sleep(0.6)
    await meter.read()
    with pytest.raises(TransactionRunningError):
        await meter.synchronize_clock()
    assert len(line.bodies("POST datetime")) == 1
    await meter.end()
    await meter.read()
    assert len(line.bodies("POST datetime")) == 2


async def test_a_clock_that_went_wrong_is_shown_and_set_right(
    meter: IemDcr,
    simulated: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As soon as it has been left alone for long enough."""
    assert (await meter.read()).clock_offset_s == 0
    simulated.clock_jump(seconds=10)
    assert (await meter.read()).clock_offset_s in (9, 10)
    assert (await meter.read()).clock_offset_s in (9, 10)
    monkeypatch.setattr(module, "PUT_OFF_S", 0)
    await meter.read()
    assert (await meter.read()).clock_offset_s == 0


@pytest.mark.parametrize(
    "time",
    [
        "0000-00-00T00:00:00,000+0000 U",
        "0001-01-01T00:00:00,000+0200 S",
        "9999-12-31T23:59:59,000-0200 S",
    ],
)
async def test_a_meter_without_a_date_is_read_and_given_the_time(
    make_meter: MakeMeter, line: HttpLine, simulated: SimulatedIemDcr, time: str
) -> None:
    """As one whose clock was never set may be."""
    told = metervalue(simulated, TM=time)
    line.strike("GET metervalue", answer(told), times=3)
    meter = make_meter()
    await meter.identify()
    await meter.set_up()
    reading = await meter.read()
    assert reading.energy_import_wh == 446_540
    assert (reading.meter_time, reading.clock_offset_s) == (None, None)
    assert reading.clock_state is ClockState.UNSYNCHRONIZED
    assert line.bodies("POST gw")
    assert (await meter.read()).clock_offset_s in (-1, 0, 1)


async def test_a_meter_that_keeps_its_own_time_is_told_less_and_less_often(
    meter: IemDcr,
    line: HttpLine,
    simulated: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes each time it is given, and shows another offset nevertheless."""
    now_s = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: now_s)
    await meter.synchronize_clock()
    before = len(line.bodies("POST datetime"))
    told = []
    for now_s in range(0, 1000, 10):
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S,000+0000 S")
        line.strike("GET metervalue", answer(metervalue(simulated, TM=moment)))
        await meter.read()
        if len(line.bodies("POST datetime")) > before + len(told):
            told.append(now_s)
    assert told == [30, 90, 210, 450, 930]


@pytest.mark.parametrize("fault", [lose_request, answer(status=428)])
async def test_a_clock_that_cannot_be_set_disturbs_no_poll(
    make_meter: MakeMeter,
    line: HttpLine,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    """It is counted, left alone for a while, and tried again."""
    monkeypatch.setattr(module, "PUT_OFF_S", 0.5)
    meter = make_meter(clock_interval=timedelta(0))
    await meter.identify()
    await meter.set_up()
    line.strike("POST datetime", fault)
    before = len(line.bodies("POST datetime"))
    for _ in range(3):
        assert (await meter.read()).energy_import_wh == 446_540
    assert len(line.bodies("POST datetime")) == before + 1
    assert meter.diagnostics()["counts"]["clock_put_off"] == 1
    await asyncio.sleep(0.5)
    await meter.read()
    assert len(line.bodies("POST datetime")) == before + 2


async def test_the_offset_does_not_waver_with_the_seconds(
    meter: IemDcr,
    line: HttpLine,
    simulated: SimulatedIemDcr,
    utc_now: Callable[[str], None],
) -> None:
    """A meter 0.6 s ahead seems 0.5 s ahead or 0.3 s behind; one that is set shows it at once."""

    async def offset_s(now: str, shown: str) -> int | None:
        utc_now(f"2026-07-01T12:00:{now}+00:00")
        told = metervalue(simulated, TM=f"2026-07-01T14:00:{shown},000+0200 S")
        line.strike("GET metervalue", answer(told))
        return (await meter.read()).clock_offset_s

    await offset_s("00.000", "00")
    for _ in range(2):
        assert await offset_s("10.300", "10") == 0
        assert await offset_s("10.500", "11") == 0
    assert await offset_s("10.200", "11") == 1
    assert await offset_s("10.800", "11") == 1
    await meter.synchronize_clock()
    assert await offset_s("10.300", "10") == 0


async def test_a_clock_set_by_hand_is_looked_at(meter: IemDcr, line: HttpLine) -> None:
    """A meter that keeps another time did not take it."""
    line.strike("GET datetime", answer('{"TM":"2020-01-01T00:00:00,000+0100 U"}'))
    with pytest.raises(UnexpectedAnswerError, match="2020"):
        await meter.synchronize_clock()


async def test_a_clock_the_meter_will_not_set_by_hand_is_refused(
    meter: IemDcr, line: HttpLine
) -> None:
    """With what the meter answered."""
    line.strike("POST datetime", answer(status=428))
    with pytest.raises(RefusedError, match="428"):
        await meter.synchronize_clock()


# The tariff text


async def test_a_tariff_text_is_shown_until_the_next(
    meter: IemDcr, simulated: SimulatedIemDcr
) -> None:
    """On the display and in the reading."""
    await meter.set_tariff_text("free today")
    assert simulated.describe()["tariff_text"] == "free today"
    assert (await meter.read()).tariff_text == "free today"


async def test_a_tariff_text_that_was_given_up_is_in_no_further_receipt(
    meter: IemDcr, make_meter: MakeMeter
) -> None:
    """The next transaction would be charged at a price that nobody asks any more."""
    await meter.set_tariff_text("0,79 EUR/kWh")
    later = make_meter(tariff_text="")
    await later.identify()
    await later.set_up()
    assert (await later.read()).tariff_text == ""
    await later.begin(REQUEST)
    assert signed_payload(await later.end())["TT"] == ""


async def test_a_tariff_text_of_others_is_left_alone(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """The meter does not tell what it shows, so it is unknown."""
    meter = make_meter(tariff_text=None)
    await meter.identify()
    await meter.set_up()
    assert (await meter.read()).tariff_text is None
    assert not line.bodies("POST tariff")


async def test_a_meter_that_keeps_its_tariff_text_is_told_once(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """It does not tell what it shows: that is unknown then, and all else works."""
    line.strike("POST tariff", answer(status=400))
    meter = make_meter(tariff_text="")
    await meter.identify()
    await meter.set_up()
    for _ in range(3):
        assert (await meter.read()).tariff_text is None
    assert line.bodies("POST tariff") == [{"TT": ""}]


@pytest.mark.parametrize(
    ("text", "error"), [("x" * 251, TextTooLongError), ("a|b", UncarriableTextError)]
)
async def test_a_tariff_text_no_receipt_could_carry_is_refused(
    meter: IemDcr, line: HttpLine, text: str, error: type[MeterError]
) -> None:
    """Before it is sent."""
    with pytest.raises(error):
        await meter.set_tariff_text(text)
    assert len(line.bodies("POST tariff")) == 1


async def test_a_tariff_text_refused_by_the_meter_is_not_shown(
    meter: IemDcr, line: HttpLine
) -> None:
    """With the reason the meter's state gives."""
    line.strike("POST tariff", answer(status=428))
    with pytest.raises(RefusedError):
        await meter.set_tariff_text("free today")
    await meter.begin(REQUEST)
    line.strike("POST tariff", answer(status=428))
    with pytest.raises(TransactionRunningError):
        await meter.set_tariff_text("free today")
    assert (await meter.read()).tariff_text == TARIFF


# Transactions


@pytest.mark.parametrize("signature_form", ["padded", "unpadded", "bare"])
@pytest.mark.parametrize("firmware", ["v1", "v2"])
@pytest.mark.parametrize("receipt_wrapping", ["plain", "quoted", "whitespace"])
async def test_a_transaction_ends_with_a_genuine_receipt(
    socket_enabled: None,
    signature_form: Any,
    firmware: Any,
    receipt_wrapping: Any,
) -> None:
    """For whom and under which terms it began is signed with it."""
    simulated = SimulatedIemDcr(
        firmware=firmware,
        signature_form=signature_form,
        receipt_wrapping=receipt_wrapping,
        key_form="spki" if firmware == "v2" else "bare",
        signature_delay_s=0,
        import_wh=446_540,
    )
    request = replace(
        REQUEST,
        identification_status=IdentificationStatus.ASSIGNED,
        identification_level=IdentificationLevel.CERTIFIED,
        identification_flags=(IdentificationFlag.RFID_PSK,),
        identification_type=IdentificationType.ISO15693,
        identification_data="9109543224",
        tariff_text="0,40 €/kWh",
    )
    async with IemDcrServer(simulated) as server, ClientSession() as session:
        meter = IemDcr(
            session,
            server.url,
            charge_point_type="EVSEID",
            charge_point_id="DE*DCM*E1",
            time_zone=lambda: BERLIN,
        )
        await meter.identify()
        await meter.set_up()
        assert await meter.last_receipt() is None

        begin = await meter.begin(request)
        assert begin.signed_value is None
        assert begin.energy_import_wh == 446_540
        assert (await meter.read()).transaction_active is True
        simulated.car.steer(power_w=90_000, time_scale=10_000)
        await asyncio.sleep(0.05)
        simulated.car.stop()
        end = await meter.end()

        signed = signed_payload(end)
        assert (signed["IS"], signed["IL"], signed["IF"]) == (
            True,
            "CERTIFIED",
            ["RFID_PSK"],
        )
        assert (signed["IT"], signed["ID"]) == ("ISO15693", "9109543224")
        assert (signed["CT"], signed["CI"]) == ("EVSEID", "DE*DCM*E1")
        assert signed["TT"] == "0,40 €/kWh"
        assert [reading["TX"] for reading in signed["RD"]] == ["B", "E"]
        shown = (await meter.read()).energy_import_wh
        assert end.energy_import_wh == shown == Decimal(signed["RD"][1]["RV"]) * 1000
        assert shown is not None
        assert shown > 446_540
        last = await meter.last_receipt()
        assert last is not None
        assert last.signed_value == end.signed_value


USERS = {
    "nobody": ({}, {"IS": False, "IL": "NONE", "IF": [], "IT": "NONE"}),
    "somebody": (
        {"identification_status": IdentificationStatus.ASSIGNED},
        {"IS": True, "IL": "HEARSAY"},
    ),
    "somebody certain": (
        {
            "identification_status": IdentificationStatus.ASSIGNED,
            "identification_level": IdentificationLevel.VERIFIED,
        },
        {"IS": True, "IL": "VERIFIED"},
    ),
    "the transaction for want of data": ({}, {"ID": REQUEST.transaction_id}),
    "a card": (
        {
            "identification_data": "1F2D3A4F5506C7",
            "identification_type": IdentificationType.ISO14443,
            "identification_flags": (
                IdentificationFlag.RFID_PLAIN,
                IdentificationFlag.OCPP_RS_TLS,
            ),
        },
        {"ID": "1F2D3A4F5506C7", "IT": "ISO14443", "IF": ["RFID_PLAIN", "OCPP_RS_TLS"]},
    ),
    "a tariff": ({"tariff_text": "night"}, {"TT": "night"}),
}


@pytest.mark.parametrize(("request_part", "sent"), USERS.values(), ids=USERS.keys())
async def test_the_user_is_sent_in_the_fields_of_ocmf(
    meter: IemDcr, line: HttpLine, request_part: dict[str, Any], sent: dict[str, Any]
) -> None:
    """What is left open becomes what verifiers accept; TT is left out when empty."""
    await meter.begin(replace(REQUEST, **request_part))
    [user] = line.bodies("POST user")
    assert user | sent == user
    assert user["US"] is False
    assert ("TT" in user) is ("TT" in sent)
    assert line.bodies("POST receipt") == [{"TX": "B"}]


async def test_the_user_id_is_shown_when_configured(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """On the meter's display (US)."""
    meter = make_meter(show_user_id=True)
    await meter.identify()
    await meter.set_up()
    await meter.begin(REQUEST)
    assert line.bodies("POST user")[0]["US"] is True


@pytest.mark.parametrize(
    ("request_part", "error"),
    [
        ({"evse_id": "DE*DCM*E2"}, WrongEvseError),
        ({"tariff_text": "x" * 251}, TextTooLongError),
        ({"tariff_text": "a|b"}, UncarriableTextError),
        ({"identification_data": "x" * 251}, TextTooLongError),
        ({"identification_data": "a\nb"}, UncarriableTextError),
        ({"transaction_id": "x" * 251}, TextTooLongError),
        ({"identification_flags": (*IdentificationFlag,)[:5]}, TooManyFlagsError),
    ],
)
async def test_a_wrong_request_is_refused_unsent(
    meter: IemDcr, line: HttpLine, request_part: dict[str, Any], error: type[MeterError]
) -> None:
    """By check and by begin alike."""
    asked = len(line.asked)
    for attempt in (meter.check, meter.begin):
        with pytest.raises(error):
            await attempt(replace(REQUEST, **request_part))
    assert len(line.asked) == asked


async def test_a_good_request_passes_and_changes_nothing(
    meter: IemDcr, line: HttpLine
) -> None:
    """The meter's own EVSE id, four flags, the longest texts."""
    told = posts(line)
    await meter.check(
        replace(
            REQUEST,
            evse_id="DE*DCM*E1",
            identification_flags=(*IdentificationFlag,)[:4],
            tariff_text="x" * 250,
        )
    )
    assert posts(line) == told


async def test_no_transaction_begins_in_the_error_state(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """The words are in the refusal."""
    simulated.error(words="0x0001, 0x00000000, 0x00, 0x00")
    with pytest.raises(ErrorStateError, match="0x0001, 0x00000000, 0x00, 0x00"):
        await meter.check(REQUEST)
    with pytest.raises(ErrorStateError):
        await meter.begin(REQUEST)
    assert not line.bodies("POST user")


async def test_no_transaction_begins_before_the_meter_is_set_up(
    meter: IemDcr, simulated: SimulatedIemDcr
) -> None:
    """After a power cycle nobody noticed; the next poll sets it up."""
    simulated.power_cycle()
    with pytest.raises(NotInitializedError):
        await meter.begin(REQUEST)
    await meter.read()
    await meter.begin(REQUEST)
    assert (await meter.read()).transaction_active is True


async def test_a_running_transaction_keeps_its_user(
    meter: IemDcr, line: HttpLine
) -> None:
    """A second begin is refused before it sends anything."""
    await meter.begin(REQUEST)
    with pytest.raises(TransactionRunningError):
        await meter.begin(replace(REQUEST, identification_data="somebody else"))
    assert len(line.bodies("POST user")) == 1
    assert signed_payload(await meter.end())["ID"] == REQUEST.transaction_id


async def test_neither_begin_nor_end_works_while_current_flows(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """The refusal says just that, is not repeated, and changes nothing."""
    simulated.car.set_power(10_000)
    with pytest.raises(CurrentFlowingError) as refusal:
        await meter.begin(REQUEST)
    assert refusal.value.details == {"action": "begin"}
    assert len(line.bodies("POST receipt")) == 1

    simulated.car.stop()
    await meter.begin(REQUEST)
    simulated.car.set_power(10_000)
    with pytest.raises(CurrentFlowingError) as refusal:
        await meter.end()
    assert refusal.value.details == {"action": "end"}
    assert line.bodies("POST receipt")[1:] == [{"TX": "B"}, {"TX": "E"}]
    assert (await meter.read()).transaction_active is True

    simulated.car.stop()
    assert signed_payload(await meter.end())["PG"] == "T1"


@pytest.mark.parametrize("node", ["user", "receipt"])
async def test_a_refusal_that_nothing_explains_is_passed_on(
    meter: IemDcr, line: HttpLine, node: str
) -> None:
    """With the status, as there is no more to say."""
    line.strike(f"POST {node}", answer(status=428))
    with pytest.raises(RefusedError, match="428"):
        await meter.begin(REQUEST)
    line.strike(f"POST {node}", answer(status=400))
    with pytest.raises(UnexpectedAnswerError, match="400"):
        await meter.begin(REQUEST)


async def test_a_refusal_is_explained_by_what_happened_meanwhile(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """Between the check and the refusal the meter may have changed."""
    good = metervalue(simulated)
    simulated.error()
    line.strike("GET metervalue", answer(good))
    with pytest.raises(ErrorStateError):
        await meter.begin(REQUEST)
    line.strike("GET metervalue", answer(good))
    line.strike("GET metervalue", answer(metervalue(simulated, I=0.01)))
    with pytest.raises(ErrorStateError):
        await meter.begin(REQUEST)
    simulated.error(words="0x0000, 0x00000000, 0x00, 0x00")
    await meter.begin(REQUEST)
    line.strike("GET metervalue", answer(good))
    with pytest.raises(TransactionRunningError):
        await meter.begin(REQUEST)
    running = metervalue(simulated)
    await meter.end()
    line.strike("GET metervalue", answer(running))
    with pytest.raises(NoTransactionError):
        await meter.end()


async def test_nothing_running_is_said_and_the_last_receipt_is_there(
    meter: IemDcr, simulated: SimulatedIemDcr
) -> None:
    """Before the first transaction there is none; after it, also past a power cycle."""
    with pytest.raises(NoTransactionError):
        await meter.end()
    assert await meter.last_receipt() is None

    await meter.begin(REQUEST)
    ended = await meter.end()
    simulated.power_cycle()
    with pytest.raises(NoTransactionError):
        await meter.end()
    last = await meter.last_receipt()
    assert last is not None
    assert last.signed_value == ended.signed_value


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (lose_request, MeterUnreachableError),
        (answer(status=500), UnexpectedAnswerError),
        (answer("garbage"), UnexpectedAnswerError),
    ],
    ids=["lost", "500", "garbage"],
)
async def test_a_last_receipt_that_cannot_be_read_is_not_none(
    meter: IemDcr, line: HttpLine, fault: Fault, error: type[MeterError]
) -> None:
    """Not to know is another thing than to know of none."""
    for node in ("GET transaction", "GET receipt"):
        line.strike(node, fault, times=16)
    with pytest.raises(error):
        await meter.last_receipt()


async def test_one_place_of_the_last_receipt_is_enough(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """The other is another firmware's; what a meter answers there is not known."""
    line.strike("GET transaction", answer())
    await make_meter().identify()
    assert len(line.bodies("GET transaction")) == 1


@pytest.mark.parametrize("firmware", ["v1", "v2"])
async def test_a_node_that_hangs_up_hides_neither_meter_nor_receipt(
    make_meter: MakeMeter, socket_enabled: None, firmware: Any
) -> None:
    """It is not known what firmware does with what is asked of another."""
    simulated = SimulatedIemDcr(firmware=firmware)
    other = {"v1": "v2", "v2": "v1"}[firmware]
    async with (
        IemDcrServer(simulated) as server,
        HttpLine(server.url, hung_up_on=f"/{other}/ocmf/transaction") as line,
    ):
        meter = make_meter(url=line.url)
        await meter.identify()
        await meter.set_up()
        assert await meter.last_receipt() is None
        await meter.begin(REQUEST)
        await meter.end()
        assert await make_meter(url=line.url).identify()
        assert await meter.last_receipt() is not None


async def test_a_receipt_that_only_one_place_gives_is_not_given_up(
    meter: IemDcr, line: HttpLine
) -> None:
    """Neither where the other was the last to give one, nor where this one is silent now."""
    await meter.begin(REQUEST)
    signed = (await meter.end()).signed_value
    line.strike("GET transaction", answer(status=503), times=99)
    assert (await meter.last_receipt()).signed_value == signed
    line.heal()
    line.strike("GET receipt", answer())
    assert (await meter.last_receipt()).signed_value == signed
    line.strike("GET transaction", lose_answer, times=99)
    line.strike("GET receipt", answer(status=404))
    with pytest.raises(MeterUnreachableError):
        await meter.last_receipt()


@pytest.mark.parametrize("nothing", ["", '""', "null", "{}\n"])
async def test_nothing_in_json_is_no_receipt(
    meter: IemDcr, line: HttpLine, nothing: str
) -> None:
    """And no answer that is not understood."""
    for node in ("GET transaction", "GET receipt"):
        line.strike(node, answer(nothing), times=2)
    assert await meter.last_receipt() is None


@pytest.mark.parametrize(
    "unreadable",
    [
        lambda text: text.replace("kWh", "k|Wh"),
        lambda text: text.replace('"FV"', '"FV":"","FV"'),
        lambda text: f"{text}\0",
    ],
    ids=["four sections", "a key twice", "a trailing NUL"],
)
async def test_a_receipt_that_stays_unreadable_is_handed_out_as_it_came(
    meter: IemDcr,
    line: HttpLine,
    simulated: SimulatedIemDcr,
    monkeypatch: pytest.MonkeyPatch,
    unreadable: Callable[[str], str],
) -> None:
    """It is all there is of a transaction, and keeps the next one from beginning for a while only."""
    now_s = 0.0
    monkeypatch.setattr(module, "monotonic", lambda: now_s)
    await meter.begin(REQUEST)
    whole = signed_text(await meter.end())
    for node in ("GET transaction", "GET receipt"):
        line.strike(node, altered(unreadable), times=100)
    with pytest.raises(UnreadableReceiptError):
        await meter.last_receipt()
    now_s = module.UNREADABLE_PATIENCE_S
    last = await meter.last_receipt()
    assert signed_text(last) == unreadable(whole)
    assert last is not None
    assert last.energy_import_wh is None
    assert last.signed_value is not None
    judgement = judge(
        Receipt(begin=None, end=last.signed_value),
        trusted_key=meter.identity.public_key,
    )
    assert judgement.verdict is not Verdict.VALID


async def test_a_receipt_that_comes_unreadable_once_is_asked_for_again(
    meter: IemDcr, line: HttpLine
) -> None:
    """The meter has it whole."""
    await meter.begin(REQUEST)
    whole = signed_text(await meter.end())
    line.strike("GET transaction", altered(lambda text: text.replace("|", "||")))
    asked = line.asked[:]
    assert signed_text(await meter.last_receipt()) == whole
    assert line.asked[len(asked) :] == [("GET transaction", None)] * 2


async def test_a_receipt_that_is_not_text_is_handed_out_so_that_it_can_be_read(
    meter: IemDcr,
    line: HttpLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bytes that are not UTF-8, such as of a text that was cut, can be told apart."""
    await meter.begin(REQUEST)
    whole = signed_text(await meter.end())
    monkeypatch.setattr(module, "UNREADABLE_PATIENCE_S", 0)

    async def cut(_: web.Request, forward: Forward) -> web.StreamResponse:
        told = await forward()
        assert isinstance(told.body, bytes)
        body = told.body.replace("€".encode(), "€".encode()[:2])
        return web.Response(body=body, status=told.status)

    for node in ("GET transaction", "GET receipt"):
        line.strike(node, cut, times=100)
    assert signed_text(await meter.last_receipt()) == whole.replace("€", r"\xe2\x82")


@pytest.mark.parametrize(
    ("fault", "sent"),
    [(lose_request, 2), (lose_answer, 1), (answer(status=500), 2)],
    ids=["lost request", "lost answer", "500"],
)
async def test_begin_and_end_happen_once_whatever_gets_lost(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, fault: Fault, sent: int
) -> None:
    """The meter's state tells whether to send it again."""
    line.strike("POST receipt", fault)
    await meter.begin(REQUEST)
    assert line.bodies("POST receipt") == [{"TX": "B"}] * sent

    line.strike("POST receipt", fault)
    assert signed_payload(await meter.end())["ID"] == REQUEST.transaction_id
    assert line.bodies("POST receipt")[sent:] == [{"TX": "E"}] * sent
    assert simulated.describe()["transactions"] == 1


async def test_a_lost_answer_is_found_out_without_any_retry(
    make_meter: MakeMeter, line: HttpLine
) -> None:
    """Looking at the meter's state is no retry."""
    meter = make_meter(retries=0)
    await meter.identify()
    await meter.set_up()
    line.strike("POST receipt", lose_answer)
    await meter.begin(REQUEST)
    assert (await meter.read()).transaction_active is True


async def test_a_begin_that_took_effect_late_is_no_refusal(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """The first request worked after all, so the meter refuses the second."""
    idle = metervalue(simulated)
    line.strike("POST receipt", lose_answer)
    line.strike("GET metervalue", answer(idle), times=2)
    await meter.begin(REQUEST)
    assert (await meter.read()).transaction_active is True


async def test_a_begin_that_never_gets_through_is_no_success(
    meter: IemDcr, line: HttpLine
) -> None:
    """After the configured retries."""
    line.strike("POST receipt", lose_request, times=4)
    with pytest.raises(MeterUnreachableError):
        await meter.begin(REQUEST)
    assert (await meter.read()).transaction_active is False


@pytest.mark.parametrize("pending", ["404", "empty"])
async def test_polling_goes_on_while_the_receipt_is_signed(
    meter: IemDcr, simulated: SimulatedIemDcr, pending: Any
) -> None:
    """The signature takes its time; the receipt comes when it is there."""
    simulated.signature_delay_s, simulated.pending_receipt = 1.0, pending
    await meter.begin(REQUEST)
    ending = asyncio.create_task(meter.end())
    polls = []
    while not ending.done():
        async with Stopwatch() as watch:
            await meter.read()
        polls.append(watch.took_s)
        await asyncio.sleep(0.1)
    assert len(polls) >= 5
    assert max(polls) < 0.5
    assert signed_payload(await ending)["PG"] == "T1"


async def test_a_receipt_that_does_not_come_is_fetched_later(
    meter: IemDcr, simulated: SimulatedIemDcr, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transaction ended; its receipt is not lost."""
    monkeypatch.setattr(module, "RECEIPT_TIMEOUT_S", 0.3)
    await meter.begin(REQUEST)
    simulated.signature_delay_s = 1.0
    with pytest.raises(NoReceiptError):
        await meter.end()
    assert await meter.last_receipt() is None
    await asyncio.sleep(1.0)
    assert signed_payload(await meter.last_receipt())["ID"] == REQUEST.transaction_id


async def test_an_earlier_receipt_is_never_taken_for_the_one_awaited(
    meter: IemDcr,
    simulated: SimulatedIemDcr,
    line: HttpLine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither by end, nor afterwards when the new one did not come in time."""
    await meter.begin(REQUEST)
    await meter.end()
    earlier = simulated.get_receipt()

    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(earlier), times=3)
    assert signed_payload(await meter.end())["PG"] == "T2"
    newer = simulated.get_receipt()

    monkeypatch.setattr(module, "RECEIPT_TIMEOUT_S", 0.3)
    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(status=404))
    line.strike("GET receipt", answer(newer), times=10)
    with pytest.raises(NoReceiptError):
        await meter.end()
    line.strike("GET transaction", answer(newer))
    assert await meter.last_receipt() is None
    assert signed_payload(await meter.last_receipt())["PG"] == "T3"


def altered(alteration: Callable[[str], str] = forged) -> Fault:
    """Alter a receipt on its way."""

    async def strike(_: web.Request, forward: Forward) -> web.StreamResponse:
        told = await forward()
        assert isinstance(told.body, bytes)
        text = alteration(told.body.decode())
        return web.Response(body=text.encode(), status=told.status)

    return strike


@pytest.mark.parametrize(
    "fault",
    [
        altered(),
        altered(lambda text: text.replace('"SD":"', '"SD":"00')),
        altered(lambda text: text.replace("secp256r1", "secp999r1")),
    ],
    ids=["energy", "signature", "algorithm"],
)
async def test_a_receipt_that_comes_altered_is_asked_for_once_more(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, fault: Fault
) -> None:
    """The meter still has what it signed."""
    simulated.signature_delay_s = 0
    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(status=404))
    line.strike("GET receipt", fault)
    whole = signed_text(await meter.end())
    assert whole == simulated.get_receipt()
    line.strike("GET transaction", fault)
    assert signed_text(await meter.last_receipt()) == whole


async def test_an_earlier_receipt_that_comes_altered_is_not_the_one_awaited(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    await meter.begin(REQUEST)
    await meter.end()
    earlier = simulated.get_receipt()
    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(earlier))
    line.strike("GET receipt", answer(forged(earlier)))
    line.strike("GET receipt", answer(earlier))
    assert signed_payload(await meter.end())["PG"] == "T2"


async def test_a_receipt_that_came_altered_is_not_taken_for_want_of_another(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """The second question fails as well; there is time for a third."""
    simulated.signature_delay_s = 0
    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(status=404))
    line.strike("GET receipt", altered())
    line.strike("GET receipt", answer(status=500))
    assert signed_text(await meter.end()) == simulated.get_receipt()


async def test_an_earlier_receipt_is_known_again_however_it_came(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, make_meter: MakeMeter
) -> None:
    """Also to who was not there when it was signed."""
    await meter.begin(REQUEST)
    await meter.end()
    earlier = simulated.get_receipt()
    await meter.begin(REQUEST)
    line.strike("GET transaction", answer(status=404), times=2)
    line.strike("GET receipt", answer(status=404))
    later = make_meter()
    await later.identify()
    line.strike("GET receipt", answer(forged(earlier)))
    line.strike("GET receipt", answer(earlier), times=2)
    assert signed_payload(await later.end())["PG"] == "T2"


@pytest.mark.parametrize("status", [302, 401, 403, 429, 503])
async def test_who_is_kept_from_the_last_receipt_does_not_take_it_for_none(
    meter: IemDcr, line: HttpLine, status: int
) -> None:
    """The next transaction would take its place."""
    await meter.begin(REQUEST)
    await meter.end()
    for node in ("GET transaction", "GET receipt"):
        line.strike(node, answer(status=status), times=10)
    with pytest.raises(UnexpectedAnswerError, match=str(status)):
        await meter.last_receipt()


@pytest.mark.parametrize("second", [altered(), answer()], ids=["altered", "nothing"])
async def test_a_receipt_that_stays_altered_is_handed_out(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr, second: Fault
) -> None:
    """It is all there is; its verdict says what it is worth."""
    simulated.signature_delay_s = 0
    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(status=404))
    line.strike("GET receipt", altered())
    line.strike("GET receipt", second)
    before = len(line.bodies("GET receipt"))
    end = await meter.end()
    with pytest.raises(InvalidSignature):
        signed_payload(end)
    assert len(line.bodies("GET receipt")) == before + 3


async def test_a_receipt_made_with_another_key_comes_with_that_key(
    meter: IemDcr, simulated: SimulatedIemDcr
) -> None:
    """Or it would be taken for an altered one, also once the key is accepted."""
    before = meter.identity.public_key
    simulated.exchange(new_key=True)
    await meter.begin(REQUEST)
    value = (await meter.end()).signed_value
    assert value is not None
    assert value.public_key == meter.identity.public_key != before
    receipt = Receipt(end=value)
    assert judge(receipt, trusted_key=before).reason is Reason.KEY_CHANGED
    assert judge(receipt, trusted_key=value.public_key).verdict is Verdict.VALID


async def test_a_receipt_is_handed_out_also_when_the_key_is_not(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    before = meter.identity.public_key
    simulated.exchange(new_key=True)
    await meter.begin(REQUEST)
    line.strike("GET publickey", answer(status=500), times=10)
    value = (await meter.end()).signed_value
    assert value is not None
    assert value.public_key == meter.identity.public_key == before


async def test_an_end_that_was_refused_leaves_the_last_receipt_the_last(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """No newer one is to be expected."""
    await meter.begin(REQUEST)
    ended = await meter.end()
    last = simulated.get_receipt()
    await meter.begin(REQUEST)
    simulated.car.set_power(10_000)
    with pytest.raises(CurrentFlowingError):
        await meter.end()
    line.strike("GET transaction", answer(last))
    found = await meter.last_receipt()
    assert found is not None
    assert found.signed_value == ended.signed_value


@pytest.mark.parametrize(
    ("sent", "wh"), [("446.5", "446500"), ("0", "0"), ("446.5401", "446540.1")]
)
async def test_registers_of_a_receipt_are_written_without_an_exponent(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine, sent: str, wh: str
) -> None:
    """With as many digits behind the point as the meter gives."""
    await meter.begin(REQUEST)
    await meter.end()
    receipt = simulated.get_receipt().replace('"00000446.540"', sent)
    line.strike("GET transaction", answer(receipt), times=2)
    last = await meter.last_receipt()
    assert last is not None
    assert str(last.energy_import_wh) == wh


async def test_half_a_receipt_is_not_taken(
    meter: IemDcr, simulated: SimulatedIemDcr, line: HttpLine
) -> None:
    """One without a signature, and one without the end of the transaction."""
    await meter.begin(REQUEST)
    await meter.end()
    whole = simulated.get_receipt()
    unsigned = whole.rpartition("|")[0] + '|{"SA":"ECDSA-secp256r1-SHA256"}'
    open_ended = whole.replace('"TX":"E"', '"TX":"C"')

    await meter.begin(REQUEST)
    line.strike("GET receipt", answer(status=404))
    for half in (unsigned, open_ended, "OCMF|"):
        line.strike("GET receipt", answer(half))
    assert signed_payload(await meter.end())["PG"] == "T2"


# Diagnostics


async def test_diagnostics_tell_what_happened_and_name_no_user(
    meter: IemDcr, line: HttpLine, simulated: SimulatedIemDcr
) -> None:
    """Raw answers, timings, errors by kind; receipts without their user."""
    line.strike("GET metervalue", answer(status=500))
    await meter.begin(REQUEST)
    await meter.end()
    await meter.last_receipt()
    await meter.read()
    told = meter.diagnostics()
    assert json.loads(told["answers"]["v1/ocmf/publickey"]) == simulated.get_publickey()
    assert told["charge_point_as_configured"] is True
    assert told["transaction_node"] == "v2/ocmf/transaction"
    assert told["counts"]["set_up"] == 1
    assert told["errors"]["GET v1/ocmf/metervalue: 500"]["count"] == 1
    payload, signature = json.loads(told["answers"]["v1/ocmf/receipt"])
    assert payload["MS"] == simulated.serial_number
    assert [reading["TX"] for reading in payload["RD"]] == ["B", "E"]
    assert signature == {"SA": "ECDSA-secp256r1-SHA256"}
    assert told["durations_ms"]["GET v1/ocmf/metervalue"] < 400
    assert REQUEST.transaction_id not in json.dumps(told)


@pytest.mark.parametrize("receipt", ["", "OCMF", "OCMF|{", 'OCMF|"ANNA"|{}', "ANNA"])
def test_what_is_no_receipt_is_not_told(receipt: str) -> None:
    """Nobody knows whom it names."""
    assert "ANNA" not in without_user(receipt)


@given(
    secret=st.text(min_size=1),
    place=st.sampled_from(["ID", "TT", "UD", "id", "ANYTHING"]),
)
def test_no_receipt_tells_its_user(secret: str, place: str) -> None:
    """Whatever the user is called, and wherever a firmware puts it."""
    secret = f"SECRET{secret}"
    payload = {"MS": "1", place: secret, "RD": [{"TX": "B", place: secret}]}
    receipt = f"OCMF|{json.dumps(payload)}|{json.dumps({'SD': secret})}"
    for wrapped in (receipt, f'"{receipt}"', f" {receipt}\r\n"):
        assert "SECRET" not in without_user(wrapped)
