"""The command line of the demo; ``scripts/demo --help`` explains."""

import argparse
import asyncio
from collections.abc import Coroutine
import json
from pathlib import Path
import shutil
import signal
import sys
import time
from typing import Any

import aiohttp

from . import dashboard
from .check import check
from .client import PASSWORD, USER, Client, Json, RefusedError
from .home_assistant import RESTART_EXIT_CODE, DidNotStartError, HomeAssistant
from .meters import add_meters, find_meters
from .ports import free_port, refuse_taken
from .process import ROOT
from .simulation import Simulation

FOLDER = ROOT / ".demo"
CONTROL_PORT = 8124
IEM_DCR_PORT = 8125

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the demo or the check; returns the exit code."""
    parser = arguments()
    options = parser.parse_args()
    if options.json and not options.check:
        parser.error("--json goes with --check")
    try:
        if options.check:
            return conclude(asyncio.run(until_signal(check())), options.json)
        asyncio.run(until_signal(demonstrate(options)))
    except (DidNotStartError, RefusedError, OSError, RuntimeError) as err:
        print(err, file=sys.stderr)
        return 1
    return 0


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Bring up Home Assistant with a simulated DCT1 and a simulated IEM-DCR, on 127.0.0.1 only.",
        epilog=f"Between runs everything is kept in {FOLDER.name}/. Ctrl-C ends what was started.",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8123,
        help="port of Home Assistant, 0 for a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--fresh", action="store_true", help="forget earlier runs first"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="run headless in a folder of its own, try everything out, exit with 0 or 1",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what the check saw"
    )
    return parser


async def until_signal[T](work: Coroutine[Any, Any, T]) -> T | None:
    """Work until done, or until a signal comes; what was started is ended either way."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()

    def end() -> None:
        # Once: a second signal must not interrupt the taking down.
        for number in SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        task.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        return await task
    except asyncio.CancelledError:
        return None


def conclude(report: Json | None, file: Path | None) -> int:
    """Say how the check went and write its report; returns the exit code."""
    if report is None:
        print("interrupted", file=sys.stderr)
        return 1
    if file is not None:
        file.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    print(f"{'passed' if report['passed'] else 'FAILED'} in {report['duration_s']} s")
    return 0 if report["passed"] else 1


async def demonstrate(options: argparse.Namespace) -> None:
    """Bring everything up for a person and keep it up."""
    port = options.port or free_port()
    for number in (port, CONTROL_PORT, IEM_DCR_PORT):
        refuse_taken(number)
    if options.fresh:
        shutil.rmtree(FOLDER, ignore_errors=True)
    began = time.monotonic()
    async with (
        aiohttp.ClientSession() as http,
        Simulation(
            http=http,
            state=FOLDER / "simulators",
            control_port=CONTROL_PORT,
            iem_dcr_port=IEM_DCR_PORT,
        ) as simulation,
        HomeAssistant(
            http=http,
            folder=FOLDER / "home-assistant",
            port=port,
            car_url=f"{simulation.control_url}/car",
        ) as home_assistant,
    ):
        await furnish(home_assistant, simulation)
        print(f"Up after {time.monotonic() - began:.1f} s.\n")
        print(welcome(home_assistant, simulation), flush=True)
        await run_until_ended(home_assistant, simulation)


async def furnish(home_assistant: HomeAssistant, simulation: Simulation) -> None:
    """Set up what a person would otherwise set up first."""
    client = Client(http=home_assistant.http, url=home_assistant.url)
    await client.log_in()
    await client.until_running()
    for title in await add_meters(client, simulation):
        print(f"Set up {title}")
    async with client.socket() as connection:
        await dashboard.show(connection, *await find_meters(connection, simulation))


async def run_until_ended(
    home_assistant: HomeAssistant, simulation: Simulation
) -> None:
    """Stay until Home Assistant or the simulators end by themselves."""
    simulators = asyncio.ensure_future(simulation.process.ended())
    while True:
        ended = asyncio.ensure_future(home_assistant.ended())
        await asyncio.wait((ended, simulators), return_when=asyncio.FIRST_COMPLETED)
        if simulators.done():
            raise RuntimeError(
                f"the simulators ended: {simulation.process.log.read_text()}"
            )
        if (code := ended.result()) != RESTART_EXIT_CODE:
            raise RuntimeError(
                f"Home Assistant ended with exit code {code}; see {home_assistant.log}"
            )
        await home_assistant.start()


def welcome(home_assistant: HomeAssistant, simulation: Simulation) -> str:
    """Return what a person needs to know."""
    return f"""\
Home Assistant   {home_assistant.url}/{dashboard.URL_PATH}
  log in as      {USER}, password {PASSWORD}
Control          {simulation.control_url}    car, meters and faults; .venv-run/bin/python -m simulators --help explains
DCT1             {simulation.serial_port}    {simulation.dct1_serial_number}, 9600 baud, address 1
IEM-DCR          {simulation.iem_dcr_url}    {simulation.iem_dcr_serial_number}

The car charges. Its buttons are on the dashboard Car, or:
  curl -d '{{"power_w": 50000}}' {simulation.control_url}/car
  curl -d '{{"charging": false}}' {simulation.control_url}/car     no current: the IEM-DCR begins and ends only then
  curl -d '{{"curve": true}}' {simulation.control_url}/car
Actions with their signed values: Settings > Tools > Actions.

Ctrl-C ends all of it. What was measured and set up stays in {FOLDER.name}/; --fresh forgets it.
"""


if __name__ == "__main__":
    sys.exit(main())
