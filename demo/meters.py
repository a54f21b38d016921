"""The two meters as Home Assistant knows them."""

from collections.abc import Mapping
from dataclasses import dataclass

from .client import Client, Socket
from .simulation import Simulation

DOMAIN = "dc_meter"
CHARGE_POINT_ID = "DE*DCM*E0001"


@dataclass(frozen=True, kw_only=True)
class Meter:
    """A device and its entities."""

    name: str
    serial_number: str
    device_id: str
    entities: Mapping[str, str]
    """Entity ids by the keys of the integration."""


async def add_dct1(
    client: Client, *, port: str, baud_rate: int = 9600, address: int = 1
) -> str:
    """Set a DCT1 up through the config flow; returns the title of its entry."""
    entry = await client.config_flow(
        DOMAIN,
        "dct1",
        "dct1_serial",
        device=port,
        baudrate=str(baud_rate),
        parity="none",
        stopbits="1",
        address=address,
        low_side_sensing=True,
    )
    return str(entry["title"])


async def add_iem_dcr(client: Client, *, url: str, tariff_text: str = "") -> str:
    """Set an IEM-DCR up through the config flow; returns the title of its entry."""
    entry = await client.config_flow(
        DOMAIN,
        "iem_dcr",
        url=url,
        charge_point_type="EVSEID",
        charge_point_id=CHARGE_POINT_ID,
        tariff_text=tariff_text,
        advanced={
            "clock_interval": 2,
            "retries": 3,
            "retry_delay": 250,
            "show_user_id": False,
        },
    )
    return str(entry["title"])


async def add_meters(client: Client, simulation: Simulation) -> list[str]:
    """Set up those of both meters that are not; returns the titles of the new entries."""
    entries = await client.get(f"/api/config/config_entries/entry?domain={DOMAIN}")
    titles = [entry["title"] for entry in entries]
    added = []
    if not any(simulation.dct1_serial_number in title for title in titles):
        added.append(await add_dct1(client, port=str(simulation.serial_port)))
    if not any(simulation.iem_dcr_serial_number in title for title in titles):
        added.append(
            await add_iem_dcr(
                client, url=simulation.iem_dcr_url, tariff_text="0.49 EUR/kWh"
            )
        )
    return added


async def find_meter(socket: Socket, name: str, serial_number: str) -> Meter:
    """Look a meter up in the registries. Raises ``LookupError``."""
    devices = await socket.command("config/device_registry/list")
    device_id = next(
        (
            device["id"]
            for device in devices
            if [DOMAIN, serial_number] in device["identifiers"]
        ),
        None,
    )
    if device_id is None:
        raise LookupError(f"Home Assistant has no device {serial_number}")
    prefix = f"{serial_number}_"
    entities = {
        entity["unique_id"].removeprefix(prefix): entity["entity_id"]
        for entity in await socket.command("config/entity_registry/list")
        if entity["device_id"] == device_id and entity["disabled_by"] is None
    }
    return Meter(
        name=name,
        serial_number=serial_number,
        device_id=device_id,
        entities=entities,
    )


async def find_meters(socket: Socket, simulation: Simulation) -> tuple[Meter, Meter]:
    """Return the DCT1 and the IEM-DCR."""
    return (
        await find_meter(socket, "DCT1", simulation.dct1_serial_number),
        await find_meter(socket, "IEM-DCR", simulation.iem_dcr_serial_number),
    )
