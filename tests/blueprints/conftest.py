"""One real Home Assistant with both meters, into which blueprints are imported."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from aiohttp import web
import pytest
import pytest_asyncio

from demo.client import Event, Json, RefusedError, Socket
from demo.meters import DOMAIN, Meter
from demo.process import ROOT
from demo.stage import Stage, stage
from tests.home import open_home, sockets, verify_cleanup  # noqa: F401, fixtures of every test here

BLUEPRINTS = ROOT / "blueprints" / "automation" / "dc_meter"

DID = "blueprint_did"
"""The event by which an automation's own actions are seen."""

_numbers = count(1)


def does(what: str, **data: str) -> list[Json]:
    """Return actions that let us see them."""
    return [{"event": DID, "event_data": {"what": what, **data}}]


@dataclass(frozen=True, kw_only=True)
class House:
    """What is up, and what a test does with it."""

    stage: Stage
    socket: Socket
    paths: Mapping[str, str]
    """Where each blueprint was saved, by its name."""

    @property
    def dct1(self) -> Meter:
        """The DCT1."""
        return self.stage.meters[0]

    @property
    def iem_dcr(self) -> Meter:
        """The IEM-DCR."""
        return self.stage.meters[1]

    @asynccontextmanager
    async def automation(self, blueprint: str, **inputs: Any) -> AsyncIterator[str]:
        """Make an automation of a blueprint as its form does; yield its entity id."""
        key = f"{blueprint}_{next(_numbers)}"
        await self.stage.client.post(
            f"/api/config/automation/config/{key}",
            alias=key,
            use_blueprint={"path": self.paths[blueprint], "input": inputs},
        )
        entity_id = f"automation.{key}"
        async with asyncio.timeout(10):
            while await self.state(entity_id) != "on":
                await asyncio.sleep(0.05)
        try:
            yield entity_id
        finally:
            await self.act("automation.turn_off", entity_id=entity_id)

    async def state(self, entity_id: str) -> str | None:
        """Return the state of an entity; None where there is none."""
        try:
            state: str = (await self.stage.client.get(f"/api/states/{entity_id}"))[
                "state"
            ]
        except RefusedError:
            return None
        return state

    async def act(self, action: str, **data: Any) -> None:
        """Call an action that answers nothing."""
        await self.stage.client.post(
            f"/api/services/{action.replace('.', '/')}", **data
        )

    async def start(self, meter: Meter, **request: Any) -> Json:
        """Start a transaction; returns the response."""
        return await self.stage.client.action(
            DOMAIN,
            "start_transaction",
            device_id=meter.device_id,
            **{"transaction_id": str(uuid4()), **request},
        )

    async def stop(self, meter: Meter) -> Json:
        """Stop the transaction; returns the response."""
        return await self.stage.client.action(
            DOMAIN, "stop_transaction", device_id=meter.device_id
        )

    async def running(self, meter: Meter) -> Json:
        """Look at the transaction."""
        return await self.stage.client.action(
            DOMAIN, "get_transaction", device_id=meter.device_id
        )

    async def fire(self, event_type: str, **data: Any) -> None:
        """Fire an event on the bus."""
        await self.stage.client.post(f"/api/events/{event_type}", **data)

    async def show(self, entity_id: str, state: str) -> None:
        """Let an entity that is none of ours have a state."""
        await self.stage.client.post(f"/api/states/{entity_id}", state=state)

    async def seen(self, kind: str, timeout_s: float = 10, **data: Any) -> Json:
        """Wait for one of our events, or for what an automation does; forgets all up to it."""

        def fits(event: Event) -> bool:
            named = event.data.get("what" if event.type == DID else "type")
            return named == kind and data.items() <= event.data.items()

        event = await self.socket.wait_for(fits, timeout_s)
        del self.socket.events[: self.socket.events.index(event) + 1]
        return event.data

    async def nothing_seen(self, seconds: float = 0.7) -> None:
        """Expect that nothing starts, stops or is done for a while."""
        self.socket.events.clear()
        await asyncio.sleep(seconds)
        assert not [event.data for event in self.socket.events]

    async def notification(self, key: str) -> str:
        """Wait for a notification; returns its message."""
        async with asyncio.timeout(20), self.stage.client.socket() as socket:
            while True:
                for notification in await socket.command("persistent_notification/get"):
                    if notification["notification_id"] == key:
                        message: str = notification["message"]
                        return message
                await asyncio.sleep(0.1)

    async def charge(self, meter: Meter, power_w: int) -> None:
        """Let the car charge, and wait until the meter has seen it; 0 lets no current flow."""
        if power_w:
            await self.stage.simulation.steer_car(power_w=power_w)
        else:
            await self.stage.simulation.steer_car(charging=False)
        async with asyncio.timeout(10):
            while float(
                await self.state(meter.entities["power"]) or "nan"
            ) != pytest.approx(power_w, rel=0.01):
                await asyncio.sleep(0.1)


@asynccontextmanager
async def website() -> AsyncIterator[str]:
    """Serve the blueprints, as GitHub would; yield the address."""
    application = web.Application()
    application.router.add_static("/", BLUEPRINTS)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def import_blueprints(socket: Socket) -> dict[str, str]:
    """Import every blueprint by its address, as My Home Assistant does; return their paths."""
    paths = {}
    async with website() as address:
        for file in BLUEPRINTS.glob("*.yaml"):
            url = f"{address}/{file.name}"
            found = await socket.command("blueprint/import", url=url)
            assert found["validation_errors"] is None
            paths[file.stem] = f"{found['suggested_filename']}.yaml"
            await socket.command(
                "blueprint/save",
                domain="automation",
                path=paths[file.stem],
                yaml=found["raw_data"],
                source_url=url,
            )
    return paths


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up() -> AsyncIterator[tuple[Stage, Mapping[str, str]]]:
    """Bring Home Assistant up with both meters and all blueprints."""
    open_home()
    async with stage() as up:
        await up.simulation.steer_car(charging=False)
        async with up.client.socket() as socket:
            paths = await import_blueprints(socket)
        yield up, paths


@pytest_asyncio.fixture(loop_scope="module")
async def house(up: tuple[Stage, Mapping[str, str]]) -> AsyncIterator[House]:
    """Provide a house where no transaction runs and no current flows, before and after."""
    running, paths = up
    async with running.client.socket() as socket:
        for event_type in (f"{DOMAIN}_event", DID):
            await socket.subscribe(event_type)
        house = House(stage=running, socket=socket, paths=paths)
        yield house
        await house.charge(house.dct1, 0)
        for meter in running.meters:
            if (await house.running(meter))["running"]:
                await house.stop(meter)
