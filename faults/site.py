"""Ten meters and the Home Assistant that reads them."""

from collections import Counter, deque
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import tempfile
import time
from typing import override

import aiohttp

from benchmarks.home import Home
from demo.client import Client
from demo.meters import DOMAIN, Meter
from demo.ports import free_port
from demo.process import ROOT
from simulators.car import Car, Flow
from simulators.dct1 import SimulatedDct1
from simulators.iem_dcr import IemDcrServer, SimulatedIemDcr
from simulators.line import SerialLine, TcpGateway

from .disk import Disk

PROBE = "faults_probe"
DIGITS = re.compile(r"\d+")
POWER_W = 90_000
"""25 Wh a second: every register shows something new each second."""

NEIGHBOUR_ADDRESS = 9
ADAPTER = "A50285BI"
SMALL = (1, 3)
"""Meters of each kind that a small site has."""

UNTOUCHED_DCT1 = 4
UNTOUCHED_IEM_DCR = 5
"""Nothing is done to them: they show what others notice. The DCT1 has a neighbour on its line."""


class WatchedCar(Car):
    """A car that charges for days, and remembers what it showed the meter."""

    def __init__(self) -> None:
        """Charge from the start."""
        self.shown: deque[tuple[float, int]] = deque(maxlen=400)
        """Voltages in tenths of a volt, and when, by this machine's monotonic clock."""
        super().__init__(capacity_kwh=100_000, power_w=POWER_W)

    @override
    def flow(self) -> Flow:
        flow = super().flow()
        self.shown.append((time.monotonic(), flow.voltage_dv))
        return flow


@dataclass(kw_only=True)
class Post:
    """A meter with its car, as the campaign knows it and as Home Assistant does."""

    name: str
    car: WatchedCar
    meter: Meter
    title: str
    simulated: SimulatedDct1 | SimulatedIemDcr
    line: SerialLine | TcpGateway | None = None
    server: IemDcrServer | None = None
    alone: bool = True
    """Whether its line is its own, so that what strikes the line strikes nobody else."""

    struck: bool = True
    """Whether faults strike it at all; the others show what their neighbours notice."""

    first_wh: int
    """Its register when it was new."""

    @property
    def kind(self) -> str:
        """Which meter it is."""
        return "IEM-DCR" if self.server else "DCT1"

    @property
    def import_wh(self) -> int:
        """Its register now."""
        register: int = self.simulated.describe()["import_wh"]
        return register

    @property
    def dct1(self) -> SimulatedDct1:
        """The meter, where it is one."""
        assert isinstance(self.simulated, SimulatedDct1)
        return self.simulated


@dataclass(kw_only=True)
class Site:
    """All of it."""

    home: SiteHome
    posts: list[Post] = field(default_factory=list)
    neighbour: SimulatedDct1
    """Another device on the gateway's line, read by Home Assistant's own modbus integration."""

    disk: Disk | None = None
    """Where the archive is, if it has a file system of its own."""

    @property
    def client(self) -> Client:
        """Who speaks to Home Assistant."""
        return self.home.client

    async def add(
        self,
        simulated: SimulatedDct1 | SimulatedIemDcr,
        *,
        line: SerialLine | TcpGateway | None = None,
        server: IemDcrServer | None = None,
        alone: bool = True,
        struck: bool = True,
    ) -> None:
        """Set a meter up, as a user does."""
        car = simulated.car
        assert isinstance(car, WatchedCar)
        first_wh: int = simulated.describe()["import_wh"]
        if server is not None:
            meter = await self.home.add_iem_dcr(server)
        else:
            assert isinstance(simulated, SimulatedDct1)
            assert line is not None
            meter = (
                await self.home.add_dct1(line, simulated)
                if isinstance(line, SerialLine)
                else await self.home.add_gateway_dct1(line, simulated)
            )
        self.posts.append(
            Post(
                name=meter.name,
                car=car,
                meter=meter,
                title=await self.home.title_of(meter),
                simulated=simulated,
                line=line,
                server=server,
                alone=alone,
                struck=struck,
                first_wh=first_wh,
            )
        )


@dataclass(kw_only=True)
class SiteHome(Home):
    """A Home Assistant with the probe, whose log says more."""

    plugged: dict[str, str] = field(default_factory=dict)
    """Serial numbers of the adapters that are plugged in, by port."""

    @override
    def prepare(self) -> None:
        super().prepare()
        probe = self.folder / "custom_components" / PROBE
        probe.unlink(missing_ok=True)
        probe.symlink_to(ROOT / "faults" / "probe")
        self.adapters(self.plugged)
        configuration = self.folder / "configuration.yaml"
        text = configuration.read_text()
        text = text.replace(
            "  logs:\n", f"  logs:\n    custom_components.{DOMAIN}: info\n", 1
        )
        configuration.write_text(f"{text}\n{PROBE}:\n")

    @property
    def archive(self) -> Path:
        """The file of the receipts."""
        return self.folder / DOMAIN / "receipts.db"

    def adapters(self, ports: dict[str, str]) -> None:
        """Let these adapters be plugged in: serial numbers by port."""
        self.plugged = ports
        self.folder.joinpath("adapters.json").write_text(json.dumps(ports))

    def open_files(self, names: dict[int, str]) -> dict[str, int]:
        """Return how many files and sockets the process holds, but for those to its clients.

        Files are told by folder and name, sockets by whom they lead to, by its port, and by their state.
        """
        counts: Counter[str] = Counter()
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = str(link.readlink())
            except OSError:
                continue
            if not target.startswith("socket:"):
                counts[DIGITS.sub("#", "/".join(Path(target).parts[-2:]))] += 1
                continue
            local, remote, state = connections().get(target[8:-1], (0, 0, ""))
            if local != self.port:
                counts[f"sockets {names.get(remote, remote)} {state}".rstrip()] += 1
        return dict(counts)

    async def add_gateway_dct1(
        self, gateway: TcpGateway, simulated: SimulatedDct1
    ) -> Meter:
        """Set up a meter behind a gateway, as a user does."""
        await self.client.config_flow(
            DOMAIN,
            "dct1",
            "dct1_network",
            host=gateway.host,
            port=gateway.port,
            framer=gateway.framer,
            address=simulated.address,
            low_side_sensing=True,
        )
        return await self.find(simulated.serial_number)

    async def title_of(self, meter: Meter) -> str:
        """Return how the log calls a meter."""
        entries = await self.client.get(
            f"/api/config/config_entries/entry?domain={DOMAIN}"
        )
        return next(
            str(entry["title"])
            for entry in entries
            if meter.serial_number in entry["title"]
        )

    async def come_up(self) -> None:
        """Start again, and wait until all is loaded."""
        await self.start()
        await self.client.log_in()
        await self.client.until_running()

    async def kill(self) -> None:
        """Kill it."""
        assert self.process is not None
        if self.process.exit_code is None:
            self.process.child.kill()
        await self.ended()


def connections() -> dict[str, tuple[int, int, str]]:
    """Return local port, remote port and state of this machine's connections, by inode."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        row[9]: (
            int(row[1].rpartition(":")[2], 16),
            int(row[2].rpartition(":")[2], 16),
            row[3],
        )
        for row in rows
    }


def modbus_yaml(gateway: TcpGateway) -> dict[str, list[dict[str, object]]]:
    """Return what makes Home Assistant's own integration read the neighbour each second."""
    return {
        "modbus": [
            {
                "name": "neighbour",
                "type": "tcp",
                "host": gateway.host,
                "port": gateway.port,
                "sensors": [
                    {
                        "name": "neighbour",
                        "slave": NEIGHBOUR_ADDRESS,
                        "address": 0,
                        "input_type": "input",
                        "data_type": "int32",
                        "scan_interval": 1,
                    }
                ],
            }
        ]
    }


@asynccontextmanager
async def site(*, small: bool = False, own_disk: bool = False) -> AsyncGenerator[Site]:
    """Bring everything up; it is gone without a trace afterwards.

    There is half as much in a small one. A disk of its own needs ``own_mounts``.
    """
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="dc-meter-faults-"))
        )
        dct1s = {
            number: SimulatedDct1(
                address=number,
                serial_number=f"BY{number:010}L",
                import_wh=100_000_000 * number + 23_456_789,
                car=WatchedCar(),
            )
            for number in range(1, 6)
        }
        servers = {
            number: IemDcrServer(
                SimulatedIemDcr(
                    serial_number=f"1ISA02{number:08}",
                    import_wh=100_000_000 * number + 34_567_891,
                    car=WatchedCar(),
                )
            )
            for number in range(1, 6)
        }
        neighbour = SimulatedDct1(
            address=NEIGHBOUR_ADDRESS, serial_number="BY9", car=WatchedCar()
        )
        line, adapter, shared = (
            SerialLine(
                [dct1s[number] for number in numbers],
                baud_rate=baud_rate,
                link=folder / f"line_{numbers[0]}",
            )
            for numbers, baud_rate in (((1,), 9600), ((2,), 9600), ((3, 4), 19200))
        )
        gateway = TcpGateway([dct1s[5], neighbour], baud_rate=19200)
        for wire in (line, adapter, shared, gateway):
            await stack.enter_async_context(wire)
        for server in servers.values():
            await stack.enter_async_context(server)
        disk = None
        if own_disk:
            disk = Disk(folder / "home-assistant" / DOMAIN)
            stack.enter_context(disk.mounted())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        home = await stack.enter_async_context(
            SiteHome(
                http=http,
                folder=folder / "home-assistant",
                port=free_port(),
                car_url="http://127.0.0.1:9/",
                yaml=modbus_yaml(gateway),
                plugged={adapter.path: ADAPTER},
            )
        )
        home.client = Client(http=http, url=home.url)
        await home.client.log_in()
        await home.client.until_running()
        up = Site(home=home, neighbour=neighbour, disk=disk)
        wires: list[SerialLine | TcpGateway] = [line, adapter, shared, shared, gateway]
        for number, where in zip(dct1s, wires, strict=True):
            if small and number not in SMALL:
                continue
            await up.add(
                dct1s[number],
                line=where,
                alone=where is not shared,
                struck=number != UNTOUCHED_DCT1,
            )
        for number, server in servers.items():
            if small and number not in SMALL:
                continue
            await up.add(
                server.meter, server=server, struck=number != UNTOUCHED_IEM_DCR
            )
        yield up
