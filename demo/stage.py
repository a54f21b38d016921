"""A Home Assistant with both meters, in a folder that is thrown away afterwards."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
import tempfile

import aiohttp

from .client import Client
from .home_assistant import HomeAssistant
from .meters import Meter, add_meters, find_meters
from .ports import free_port
from .simulation import Simulation


@dataclass(frozen=True, kw_only=True)
class Stage:
    """All that is up, on ports of its own."""

    client: Client
    simulation: Simulation
    home_assistant: HomeAssistant
    meters: tuple[Meter, ...]


@asynccontextmanager
async def stage() -> AsyncGenerator[Stage]:
    """Bring everything up, logged in and with both meters set up; take it down again."""
    async with empty_stage() as up:
        await add_meters(up.client, up.simulation)
        async with up.client.socket() as socket:
            meters = await find_meters(socket, up.simulation)
        yield replace(up, meters=meters)


@asynccontextmanager
async def empty_stage() -> AsyncGenerator[Stage]:
    """Bring everything up, logged in, with no meter set up yet; take it down again."""
    with tempfile.TemporaryDirectory(prefix="dc-meter-stage-") as folder:
        async with (
            aiohttp.ClientSession() as http,
            Simulation(
                http=http,
                state=Path(folder, "simulators"),
                control_port=0,
                iem_dcr_port=0,
            ) as simulation,
            HomeAssistant(
                http=http,
                folder=Path(folder, "home-assistant"),
                port=free_port(),
                car_url=f"{simulation.control_url}/car",
            ) as home_assistant,
        ):
            client = Client(http=http, url=home_assistant.url)
            await client.log_in()
            await client.until_running()
            yield Stage(
                client=client,
                simulation=simulation,
                home_assistant=home_assistant,
                meters=(),
            )
