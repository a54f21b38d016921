"""All that one run simulates: built from settings, brought up together, taken down together."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from .car import Car
from .control import Control
from .dct1 import SimulatedDct1
from .iem_dcr import IemDcrServer, SimulatedIemDcr
from .line import SerialLine, TcpGateway
from .settings import parsed

type Settings = dict[str, str]


class Site:
    """One car, the lines and meters around it, and the interface that steers them.

    Without a name, the first of a kind is named after it: line, gateway, dct1, iem_dcr.
    Serial numbers count up where none are given. Raises ``ValueError`` for what cannot be.
    """

    def __init__(
        self,
        *,
        lines: Sequence[Settings] = (),
        gateways: Sequence[Settings] = (),
        dct1s: Sequence[Settings] = (),
        iem_dcrs: Sequence[Settings] = (),
        car: Settings | None = None,
        state_dir: Path | None = None,
        control_port: int = 0,
    ) -> None:
        """Build everything; nothing can be reached yet."""
        if dct1s and not (lines or gateways):
            lines = ({},)
        self._names: set[str] = set()
        self._running = AsyncExitStack()
        self._car = Car(**parsed(Car, car or {}))
        self._shared: dict[str, Any] = {"car": self._car, "state_dir": state_dir}
        self._serial_lines = {
            name: SerialLine(**parsed(SerialLine, given))
            for name, given in self._named("line", lines)
        }
        self._gateways = {
            name: TcpGateway(**parsed(TcpGateway, given))
            for name, given in self._named("gateway", gateways)
        }
        self._lines = self._serial_lines | self._gateways
        self._dct1s: dict[str, tuple[str, SimulatedDct1]] = {}
        for name, given in self._named("dct1", dct1s):
            self._add_dct1(name, given)
        self._iem_dcrs: dict[str, IemDcrServer] = {}
        for name, given in self._named("iem_dcr", iem_dcrs):
            self._add_iem_dcr(name, given)
        self._control = Control(
            car=self._car,
            meters={name: (meter,) for name, (_, meter) in self._dct1s.items()}
            | {name: (server, server.meter) for name, server in self._iem_dcrs.items()},
            lines=self._lines,
            port=control_port,
        )

    def where(self) -> dict[str, Any]:
        """Return where everything can be reached."""
        return {
            "control": self._control.url,
            "lines": [
                {"name": name, "path": line.path}
                for name, line in self._serial_lines.items()
            ],
            "gateways": [
                {
                    "name": name,
                    "host": line.host,
                    "port": line.port,
                    "framer": line.framer,
                }
                for name, line in self._gateways.items()
            ],
            "dct1": [
                {
                    "name": name,
                    "serial_number": meter.serial_number,
                    "address": meter.address,
                    "line": line,
                }
                for name, (line, meter) in self._dct1s.items()
            ],
            "iem_dcr": [
                {
                    "name": name,
                    "url": server.url,
                    "serial_number": server.meter.serial_number,
                }
                for name, server in self._iem_dcrs.items()
            ],
        }

    async def __aenter__(self) -> Self:
        """Bring everything up, or nothing."""
        async with AsyncExitStack() as starting:
            for thing in (
                *self._lines.values(),
                *self._iem_dcrs.values(),
                self._control,
            ):
                await starting.enter_async_context(thing)
            self._running = starting.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take everything down; the meters lose their supply last and keep what they keep."""
        await self._running.aclose()
        for _line, dct1 in self._dct1s.values():
            dct1.power_off()
        for server in self._iem_dcrs.values():
            server.meter.power_down()

    def _named(
        self, kind: str, given: Sequence[Settings]
    ) -> list[tuple[str, Settings]]:
        named = []
        for number, settings in enumerate(given, 1):
            name = settings.get("name", kind if number == 1 else f"{kind}_{number}")
            if name in self._names:
                raise ValueError(f"two are named {name}")
            self._names.add(name)
            named.append(
                (name, {key: settings[key] for key in settings if key != "name"})
            )
        return named

    def _add_dct1(self, name: str, given: Settings) -> None:
        line = given.pop("line", next(iter(self._lines)))
        if line not in self._lines:
            raise ValueError(f"{name}: there is no line {line}")
        given = {"serial_number": f"BY{len(self._dct1s) + 1:010}L"} | given
        meter = SimulatedDct1(**(self._shared | parsed(SimulatedDct1, given)))
        self._lines[line].connect(meter)
        self._dct1s[name] = (line, meter)

    def _add_iem_dcr(self, name: str, given: Settings) -> None:
        port = {"port": given.pop("port", "0")}
        given = {"serial_number": f"1ISA02{len(self._iem_dcrs) + 1:08}"} | given
        meter = SimulatedIemDcr(**(self._shared | parsed(SimulatedIemDcr, given)))
        self._iem_dcrs[name] = IemDcrServer(meter, **parsed(IemDcrServer, port))
