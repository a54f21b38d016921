"""Everything the demo promises, tried out on a real Home Assistant without a person."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
import json
from pathlib import Path
import platform
import tempfile
import time
from uuid import uuid4

import aiohttp
from cryptography.exceptions import InvalidSignature

from .client import Client, Event, Json, RefusedError, Socket
from .home_assistant import LOG, DidNotStartError, HomeAssistant, complaints
from .meters import CHARGE_POINT_ID, DOMAIN, Meter, add_meters, find_meters
from .ports import free_port
from .process import ROOT
from .signatures import Signed, verify_dct1, verify_ocmf
from .simulation import Simulation

LIMIT_S = 85
WATCH_S = 10
CHANGES = 8
UP_S = 30
CHARGE_S = 4
CHARGE_POWER_W = 250_000
SETTLE_TIMEOUT_S = 15
LOG_TAIL = 60

BUS_EVENT = f"{DOMAIN}_event"
PARTICULARS = {
    "client_id": "fleet-7",
    "tariff_id": "night",
    "cable_id": "CCS-2",
    "user_data": {"card": "04A1B2C3", "note": "für die Prüfung"},
}
WH = {"Wh": 1, "kWh": 1000, "MWh": 1_000_000}


class MissedError(Exception):
    """What was expected did not come, and nothing after it can be tried."""


@dataclass(kw_only=True)
class Findings:
    """What was seen and what was missed, said as it happens."""

    seen: Json = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return round(time.monotonic() - self.began, 1)

    def expect(self, what: str, holds: bool, seen: object) -> None:
        """Note whether something holds, with what was seen."""
        if not holds:
            self.failures.append(f"{what}: {seen}")
        mark = "ok  " if holds else "FAIL"
        print(f"{self.seconds:5.1f} s  {mark}  {what}: {seen}", flush=True)

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Count what is raised as missed, and go on."""
        try:
            yield
        except (
            MissedError,
            DidNotStartError,
            RefusedError,
            InvalidSignature,
            LookupError,
            RuntimeError,
            ValueError,
            OSError,
            aiohttp.ClientError,
        ) as err:
            self.expect(what, holds=False, seen=f"{type(err).__name__} {err}")

    def report(self) -> Json:
        """Return all of it."""
        return {
            "passed": not self.failures,
            "failures": self.failures,
            "duration_s": self.seconds,
            **self.seen,
        }


async def check() -> Json:
    """Try everything out; returns the report."""
    findings = Findings()
    with tempfile.TemporaryDirectory(prefix="dc-meter-check-") as folder:
        log = Path(folder) / "home-assistant" / LOG
        with findings.attempt("the check runs to its end"):
            async with asyncio.timeout(LIMIT_S):
                await try_everything(findings, Path(folder))
        logged = log.read_text() if log.exists() else ""
        findings.seen["log"] = spoken = complaints(logged, about=DOMAIN)
        findings.expect(
            "warnings and errors of the integration in the log",
            not spoken,
            spoken or "none",
        )
        if findings.failures:
            print(*logged.splitlines()[-LOG_TAIL:], sep="\n")
    return findings.report()


async def try_everything(findings: Findings, folder: Path) -> None:
    """Bring everything up in a folder, on free ports, and run the course."""
    async with (
        aiohttp.ClientSession() as http,
        Simulation(http=http, state=folder / "simulators") as simulation,
        HomeAssistant(
            http=http,
            folder=folder / "home-assistant",
            port=free_port(),
            car_url=f"{simulation.control_url}/car",
        ) as home_assistant,
    ):
        await Course(
            findings=findings, home_assistant=home_assistant, simulation=simulation
        ).run()


@dataclass(kw_only=True)
class Course:
    """What is tried, in its order."""

    findings: Findings
    home_assistant: HomeAssistant
    simulation: Simulation
    client: Client = field(init=False)

    def __post_init__(self) -> None:
        """Speak to this Home Assistant."""
        self.client = Client(http=self.home_assistant.http, url=self.home_assistant.url)

    async def run(self) -> None:
        """Watch, charge on both meters, and restart while the car charges on the DCT1."""
        await self.see_up()
        self.findings.expect(
            "entries made through the config flow",
            len(titles := await add_meters(self.client, self.simulation)) == 2,
            titles,
        )
        async with self.client.socket() as socket:
            dct1, iem_dcr = await self.benches(socket)
            await self.watch(socket, dct1, iem_dcr)
            await self.charge(dct1, iem_dcr)
            begun = await dct1.start()
            await self.simulation.steer_car(power_w=CHARGE_POWER_W)
        await self.restart()
        async with self.client.socket() as socket:
            dct1, _ = await self.benches(socket)
            await self.end_after_restart(dct1, begun)

    async def see_up(self) -> None:
        """Wait until everything is loaded, and note how long it took and what runs."""
        await self.client.log_in()
        version = await self.client.until_running()
        up_s = round(time.monotonic() - self.home_assistant.started_at, 1)
        self.findings.seen.setdefault("home_assistant_up_s", []).append(up_s)
        manifest = ROOT / "custom_components" / DOMAIN / "manifest.json"
        self.findings.seen["versions"] = versions = {
            "home_assistant": version,
            DOMAIN: json.loads(manifest.read_text())["version"],
            "python": platform.python_version(),
        }
        self.findings.expect(
            f"Home Assistant is up within {UP_S} s", up_s < UP_S, f"{up_s} s {versions}"
        )

    async def benches(self, socket: Socket) -> tuple[Bench, Bench]:
        """Listen to the bus and return a bench for each meter."""
        for event_type in ("state_changed", BUS_EVENT):
            await socket.subscribe(event_type)
        dct1, iem_dcr = await find_meters(socket, self.simulation)
        return Bench(self, socket, dct1), Bench(self, socket, iem_dcr)

    async def watch(self, socket: Socket, *benches: Bench) -> None:
        """See both meters' live values move."""
        began = time.monotonic()
        await asyncio.sleep(WATCH_S)
        changes = {
            bench.meter.name: sum(
                event.at >= began and bench.is_new_power(event)
                for event in socket.events
            )
            for bench in benches
        }
        self.findings.seen[f"changes_in_{WATCH_S}_s"] = changes
        self.findings.expect(
            f"live values changed in {WATCH_S} s, at least {CHANGES} times each",
            min(changes.values()) >= CHANGES,
            changes,
        )

    async def charge(self, *benches: Bench) -> None:
        """Charge on both meters at once, from start to verified receipt."""
        # The IEM-DCR begins and ends a transaction only while no current flows.
        await self.pause_car(*benches)
        begun = [await bench.start() for bench in benches]
        await self.simulation.steer_car(power_w=CHARGE_POWER_W)
        await asyncio.sleep(CHARGE_S)
        await self.pause_car(*benches)
        for bench, response in zip(benches, begun, strict=True):
            with self.findings.attempt(f"{bench.meter.name}: stop and verify"):
                await bench.stop(response)

    async def pause_car(self, *benches: Bench) -> None:
        """Stop the current and wait until the meters have seen it."""
        await self.simulation.steer_car(charging=False)
        for bench in benches:
            await bench.until("power", Decimal(0))

    async def restart(self) -> None:
        """Restart Home Assistant as a service manager does."""
        await self.home_assistant.stop()
        await self.home_assistant.start()
        await self.see_up()

    async def end_after_restart(self, dct1: Bench, begun: Json) -> None:
        """Stop what was started before the restart."""
        await dct1.until_available("power")
        self.findings.expect(
            "DCT1: the transaction still runs after the restart",
            (await dct1.state("transaction"))["state"] == "on",
            begun["transaction_id"],
        )
        await self.pause_car(dct1)
        response = await dct1.stop(begun)
        self.findings.expect(
            "DCT1: the start value is the one from before the restart",
            response.get("start_signed_meter_value")
            == begun["start_signed_meter_value"],
            begun["transaction_id"],
        )


@dataclass
class Bench:
    """One meter, tried through one connection."""

    course: Course
    socket: Socket
    meter: Meter

    def expect(self, what: str, holds: bool, seen: object) -> None:
        """Note a finding of this meter."""
        self.course.findings.expect(f"{self.meter.name}: {what}", holds, seen)

    def note(self, what: str, seen: Json) -> None:
        """Add to a list of the report."""
        items = self.course.findings.seen.setdefault(what, [])
        items.append({"meter": self.meter.name, **seen})

    async def state(self, key: str) -> Json:
        """Return the state of an entity."""
        entity_id = self.meter.entities[key]
        state: Json = await self.course.client.get(f"/api/states/{entity_id}")
        return state

    def is_new_power(self, event: Event) -> bool:
        """Tell whether an event is this meter's power taking another value."""
        if event.data.get("entity_id") != self.meter.entities["power"]:
            return False
        old, new = event.data["old_state"], event.data["new_state"]
        return None not in (old, new) and number(old) != number(new) is not None

    async def until(self, key: str, value: Decimal) -> None:
        """Wait for an entity to have a value. Raises ``MissedError``."""
        async with self.patience(key, value):
            while number(await self.state(key)) != value:
                await asyncio.sleep(0.2)

    async def until_available(self, key: str) -> None:
        """Wait for an entity to have any value. Raises ``MissedError``."""
        async with self.patience(key, "any value"):
            while number(await self.state(key)) is None:
                await asyncio.sleep(0.2)

    @asynccontextmanager
    async def patience(self, key: str, wanted: object) -> AsyncGenerator[None]:
        """Give up after a while."""
        try:
            async with asyncio.timeout(SETTLE_TIMEOUT_S):
                yield
        except TimeoutError:
            state = await self.state(key)
            raise MissedError(
                f"{state['entity_id']} is {state['state']} after {SETTLE_TIMEOUT_S} s"
                f" and not {wanted}"
            ) from None

    async def start(self) -> Json:
        """Start a transaction; returns the response."""
        transaction_id = str(uuid4())
        response = await self.course.client.action(
            DOMAIN,
            "start_transaction",
            device_id=self.meter.device_id,
            evse_id=CHARGE_POINT_ID,
            transaction_id=transaction_id,
            **PARTICULARS,
        )
        self.expect("start answers OK", response["status"] == "OK", transaction_id)
        await self.see_event("transaction_started", response)
        return response

    async def stop(self, begun: Json) -> Json:
        """Stop a transaction and verify its receipt; returns the response."""
        transaction_id = begun["transaction_id"]
        response = await self.course.client.action(
            DOMAIN,
            "stop_transaction",
            device_id=self.meter.device_id,
            transaction_id=transaction_id,
        )
        self.expect("stop answers OK", response["status"] == "OK", transaction_id)
        await self.see_event("transaction_stopped", response)
        kept = {key: response["session"][key] for key in PARTICULARS}
        self.expect("the request's particulars come back", kept == PARTICULARS, kept)
        signed = self.verified(response)
        self.expect(
            "signatures verified with cryptography",
            all(value.meter == self.meter.serial_number for value in signed),
            [str(value) for value in signed],
        )
        await self.compare_energy(response, signed)
        return response

    async def see_event(self, event_type: str, response: Json) -> None:
        """Expect the event of a start or stop, with the data of the response."""
        expected = {
            "type": event_type,
            "device_id": self.meter.device_id,
            **response,
        }

        def fits(event: Event) -> bool:
            return event.type == BUS_EVENT and event.data == expected

        try:
            await self.socket.wait_for(fits)
        except TimeoutError:
            came = [
                event.data for event in self.socket.events if event.type == BUS_EVENT
            ]
            self.expect(f"event {event_type}", holds=False, seen=came)
        else:
            self.note(
                "events",
                {"type": event_type, "transaction_id": response["transaction_id"]},
            )
            self.expect(
                f"event {event_type} on the bus, with the response's data",
                holds=True,
                seen=response["transaction_id"],
            )

    def verified(self, response: Json) -> list[Signed]:
        """Verify what was signed. Raises ``InvalidSignature``, ``ValueError``."""
        if response["signed_meter_value"]["encoding_method"] == "OCMF":
            return [verify_ocmf(response["signed_meter_value"])]
        return [
            verify_dct1(response["start_signed_meter_value"]),
            verify_dct1(response["signed_meter_value"]),
        ]

    async def compare_energy(self, response: Json, signed: list[Signed]) -> None:
        """Expect signed values, response and sensor to agree to the last digit."""
        registers = [wh for value in signed for wh in value.import_wh]
        energy_wh = registers[-1] - registers[0]
        told_wh = Decimal(str(response["session"]["energy_import_wh"]))
        sensor = await self.state("energy_import")
        unit = sensor["attributes"]["unit_of_measurement"]
        shown_wh = Decimal(sensor["state"]) * WH[unit]
        self.note(
            "transactions",
            {
                "transaction_id": response["transaction_id"],
                "signatures_verified": len(signed),
                "energy_wh": float(energy_wh),
                "verdict": response["verdict"]["verdict"],
            },
        )
        self.expect(
            "energy charged, Wh, signed and told",
            energy_wh == told_wh > 0,
            f"{energy_wh} {told_wh}",
        )
        self.expect(
            "energy import, Wh, signed and shown",
            registers[-1] == shown_wh,
            f"{registers[-1]} {shown_wh}",
        )
        self.expect(
            "the integration's own verdict",
            response["verdict"]["verdict"] == "valid",
            response["verdict"],
        )


def number(state: Json) -> Decimal | None:
    """Return a state's number; None where it is none."""
    try:
        return Decimal(state["state"])
    except InvalidOperation:
        return None
