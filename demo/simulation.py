"""The simulated meters and the car, as a process of their own."""

import asyncio
from dataclasses import dataclass, field
import json
from pathlib import Path
import sys
from typing import Any, Self

import aiohttp

from .process import ROOT, Process

READY_TIMEOUT_S = 20


@dataclass(kw_only=True)
class Simulation:
    """One DCT1 on a serial line, one IEM-DCR on a port, one car that both measure."""

    http: aiohttp.ClientSession
    state: Path
    control_port: int = 0
    iem_dcr_port: int = 0
    car: str = "charging=true"
    process: Process = field(init=False)
    ready: dict[str, Any] = field(init=False)

    @property
    def control_url(self) -> str:
        """Where car and faults are steered."""
        return str(self.ready["control"])

    @property
    def serial_port(self) -> Path:
        """The port of the DCT1's line; the same at every run."""
        return self.state / "dct1"

    @property
    def dct1_serial_number(self) -> str:
        """The DCT1's serial number."""
        return str(self.ready["dct1"][0]["serial_number"])

    @property
    def iem_dcr_serial_number(self) -> str:
        """The IEM-DCR's serial number."""
        return str(self.ready["iem_dcr"][0]["serial_number"])

    @property
    def iem_dcr_url(self) -> str:
        """Where the IEM-DCR answers."""
        return str(self.ready["iem_dcr"][0]["url"])

    async def __aenter__(self) -> Self:
        """Start, and wait until everything answers."""
        self.state.mkdir(parents=True, exist_ok=True)
        # Registers so large that a float32 anywhere between wire and screen would show.
        self.process = await Process.start(
            *(sys.executable, "-m", "simulators"),
            *("--state-dir", str(self.state / "memory")),
            *("--control-port", str(self.control_port)),
            *("--line", f"link={self.serial_port}"),
            *("--dct1", "import_wh=123456789"),
            *("--iem-dcr", f"import_wh=234567891,port={self.iem_dcr_port}"),
            *("--car", self.car),
            folder=ROOT,
            log=self.state / "simulators.log",
        )
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                self.ready = json.loads(await self.process.line())
        except (TimeoutError, ValueError) as err:
            await self.process.end()
            raise RuntimeError(
                f"the simulators do not start: {self.process.log.read_text()}"
            ) from err
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them; their registers and keys stay in the state folder."""
        await self.process.end()

    async def steer_car(self, **settings: object) -> dict[str, Any]:
        """Steer the car; returns its state."""
        return await self.steer("car", **settings)

    async def steer(self, path: str, **settings: object) -> dict[str, Any]:
        """Steer what is at a path of the control interface; returns its state."""
        async with self.http.post(
            f"{self.control_url}/{path}", json=settings
        ) as answer:
            answer.raise_for_status()
            state: dict[str, Any] = await answer.json()
            return state
