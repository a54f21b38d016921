"""A Home Assistant to measure, the meters it is given, and what others would read them with."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
import tempfile
import time
from typing import Any, override

import aiohttp
import yaml

from demo.client import Client, RefusedError
from demo.home_assistant import HomeAssistant
from demo.meters import DOMAIN, Meter, add_dct1, add_iem_dcr, find_meter
from demo.ports import free_port
from demo.process import ROOT
from simulators.car import Car
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine

from .disk import disk
from .wire import WatchedLine

PROBE = "bench_probe"
BARE = "bench_bare"

type Yaml = dict[str, list[dict[str, Any]]]


def car(*, plugged: bool = True, charging: bool | None = None) -> Car:
    """Return a car that goes on charging for days, or one that only stands there."""
    if charging is None:
        charging = plugged
    return Car(plugged=plugged, charging=charging, capacity_kwh=100_000)


def dct1(number: int = 1, its_car: Car | None = None) -> SimulatedDct1:
    """Return a DCT1 that signs with 384 bits, with the address of this number."""
    return SimulatedDct1(
        address=number,
        serial_number=f"BY{number:010}L",
        import_wh=123_456_789,
        car=its_car or car(),
    )


def iem_dcr(number: int = 1, its_car: Car | None = None) -> IemDcrServer:
    """Return an IEM-DCR on a port of its own."""
    return IemDcrServer(
        SimulatedIemDcr(
            serial_number=f"1ISA02{number:08}",
            import_wh=234_567_891,
            car=its_car or car(),
        )
    )


@dataclass(kw_only=True)
class Home(HomeAssistant):
    """A Home Assistant with the probe, and with what is given in YAML."""

    yaml: Yaml = field(default_factory=dict)
    client: Client = field(init=False)

    @override
    def prepare(self) -> None:
        super().prepare()
        for domain, kept_in in ((PROBE, "probe"), (BARE, "bare")):
            link = self.folder / "custom_components" / domain
            link.unlink(missing_ok=True)
            link.symlink_to(ROOT / "benchmarks" / kept_in)
        with (self.folder / "configuration.yaml").open("a") as file:
            file.write(f"\n{PROBE}:\n")
            if self.yaml:
                yaml.safe_dump(self.yaml, file)

    @property
    def pid(self) -> int:
        """The process."""
        assert self.process is not None
        return self.process.child.pid

    def cpu_s(self) -> float:
        """Return the CPU time of the process so far, all its threads and the kernel's share."""
        return cpu_s(self.pid)

    def loop_cpu_s(self) -> float:
        """Return the same of the event loop's thread alone."""
        return thread_cpu_s(self.pid, self.pid)

    def memory_mb(self) -> float:
        """Return the memory the process has for itself."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        private = [line for line in rollup if line.startswith("Private_")]
        return sum(int(line.split()[1]) for line in private) / 1024

    async def add_dct1(self, line: SerialLine, meter: SimulatedDct1) -> Meter:
        """Set up a meter on a line, as a user does."""
        await add_dct1(
            self.client,
            port=line.path,
            baud_rate=line.baud_rate,
            address=meter.address,
        )
        return await self.find(meter.serial_number)

    async def add_iem_dcr(self, server: IemDcrServer) -> Meter:
        """Set up a meter at a URL, as a user does."""
        await add_iem_dcr(self.client, url=server.url)
        return await self.find(server.meter.serial_number)

    async def find(self, serial_number: str) -> Meter:
        """Return a meter that is set up."""
        async with self.client.socket() as socket:
            return await find_meter(socket, serial_number, serial_number)

    async def entry_of(self, meter: Meter) -> dict[str, Any]:
        """Return the config entry of a meter: its ``entry_id``, its ``state``."""
        entries: list[dict[str, Any]] = await self.client.get(
            f"/api/config/config_entries/entry?domain={DOMAIN}"
        )
        return next(entry for entry in entries if meter.serial_number in entry["title"])

    async def choose(self, meter: Meter, **options: Any) -> None:
        """Change the options of a meter, as a user does."""
        path = "/api/config/config_entries/options/flow"
        entry = await self.entry_of(meter)
        flow = await self.client.post(path, handler=entry["entry_id"])
        done = await self.client.post(f"{path}/{flow['flow_id']}", **options)
        if done["type"] != "create_entry":
            raise RefusedError(f"the options came back: {done}")

    async def watch(self, entity_ids: Iterable[str], *, loop: bool = False) -> None:
        """Have the probe begin anew with these entities, and the event loop if asked."""
        await self.client.action(PROBE, "begin", entity_id=list(entity_ids), loop=loop)

    async def in_use_mb(self) -> float:
        """Return the memory that is in use, without what is kept for later or cannot be given back."""
        told = await self.client.action(PROBE, "memory")
        return float(told["in_use_mb"])

    async def seen(self) -> dict[str, Any]:
        """Return what the probe has seen since."""
        return await self.client.action(PROBE, "tell")


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process by the scheduler's clock.

    What /proc/PID/stat tells comes in ticks of 10 ms, several seconds of a meter.
    """
    # As clock_getcpuclockid(3) makes it: MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of Linux.
    return time.clock_gettime((~pid << 3) | 2)


def thread_cpu_s(pid: int, tid: int) -> float:
    """Return the same of one of its threads, for which that clock is closed to others."""
    nanoseconds, *_ = Path(f"/proc/{pid}/task/{tid}/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


@asynccontextmanager
async def home(given: Yaml | None = None) -> AsyncIterator[Home]:
    """Start a Home Assistant; it is gone without a trace afterwards."""
    with tempfile.TemporaryDirectory(prefix="dc-meter-bench-", dir=disk()) as folder:
        async with (
            aiohttp.ClientSession() as http,
            Home(
                http=http,
                folder=Path(folder),
                port=free_port(),
                car_url="http://127.0.0.1:9/",
                yaml=given or {},
            ) as running,
        ):
            running.client = Client(http=http, url=running.url)
            await running.client.log_in()
            await running.client.until_running()
            yield running


VALUES = (
    ("voltage", 0, "int32", 0.1, "V", "voltage"),
    ("current", 2, "int32", 0.001, "A", "current"),
    ("power", 4, "int32", 0.1, "W", "power"),
    ("energy_import", 0x0806, "int64", 0.001, "kWh", "energy"),
    ("energy_export", 0x0810, "int64", 0.001, "kWh", "energy"),
)
"""Name, register, type, factor, unit and device class of what is read of a DCT1."""


def modbus_yaml(lines: Iterable[WatchedLine]) -> Yaml:
    """Return the sensors of the modbus integration that read the same of each meter of these lines."""
    numbers = count(1)
    return {
        "modbus": [
            {
                "name": f"line_{line_number}",
                "type": "serial",
                "method": "rtu",
                "port": line.path,
                "baudrate": line.baud_rate,
                "bytesize": 8,
                "parity": line.parity,
                "stopbits": line.stop_bits,
                "sensors": [
                    {
                        "name": f"yaml_{number}_{name}",
                        "unique_id": f"yaml_{number}_{name}",
                        "slave": meter.address,
                        "address": address,
                        "input_type": "input",
                        "data_type": kind,
                        "scale": factor,
                        "precision": 3,
                        "scan_interval": 1,
                        "unit_of_measurement": unit,
                        "device_class": device_class,
                        "state_class": "total"
                        if device_class == "energy"
                        else "measurement",
                    }
                    | ({"swap": "word"} if kind == "int32" else {})
                    for meter, number in zip(line.meters, numbers, strict=False)
                    for name, address, kind, factor, unit, device_class in VALUES
                ],
            }
            for line_number, line in enumerate(lines, 1)
        ]
    }


def _register(obis: str) -> str:
    return (
        "{{ (value_json.RD | selectattr('RI', 'defined')"
        f" | selectattr('RI', 'eq', '{obis}') | first).RV | float }}}}"
    )


def rest_yaml(servers: Iterable[IemDcrServer]) -> Yaml:
    """Return the sensors of the rest integration that read the same of each meter."""
    templates = {
        "voltage": "{{ value_json.U2 }}",
        "current": "{{ value_json.I }}",
        "power": "{{ value_json.P }}",
        "energy_import": _register("1-b:1.8.e"),
        "energy_export": _register("1-b:2.8.e"),
    }
    return {
        "rest": [
            {
                "resource": f"{server.url}/counter/v1/ocmf/metervalue",
                "scan_interval": 1,
                "sensor": [
                    {
                        "name": f"yaml_{number}_{name}",
                        "unique_id": f"yaml_{number}_{name}",
                        "value_template": templates[name],
                        "unit_of_measurement": unit,
                        "device_class": device_class,
                        "state_class": "total"
                        if device_class == "energy"
                        else "measurement",
                    }
                    for name, _, _, _, unit, device_class in VALUES
                ],
            }
            for number, server in enumerate(servers, 1)
        ]
    }


def bare_yaml(
    lines: Iterable[WatchedLine] = (), servers: Iterable[IemDcrServer] = ()
) -> Yaml:
    """Return the least that reads the same of each meter with Home Assistant's own parts."""
    links: list[dict[str, Any]] = [
        *(
            {
                "device": line.path,
                "baudrate": line.baud_rate,
                "address": line.meters[0].address,
            }
            for line in lines
        ),
        *({"url": f"{server.url}/counter/v1/ocmf/metervalue"} for server in servers),
    ]
    return {
        "sensor": [
            {"platform": BARE, "name": f"bare_{number}", **link}
            for number, link in enumerate(links, 1)
        ]
    }
