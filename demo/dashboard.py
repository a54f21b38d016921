"""What a person sees first: both meters side by side, and the car."""

from typing import Any

from .client import Socket
from .meters import Meter

URL_PATH = "dc-meter"

type Card = dict[str, Any]


async def show(socket: Socket, *meters: Meter) -> None:
    """Make the dashboard and the energy dashboard's devices, once: a person may edit them."""
    dashboards = await socket.command("lovelace/dashboards/list")
    if any(dashboard["url_path"] == URL_PATH for dashboard in dashboards):
        return
    await socket.command(
        "lovelace/dashboards/create",
        url_path=URL_PATH,
        title="Charging",
        icon="mdi:ev-station",
        show_in_sidebar=True,
        require_admin=False,
    )
    await socket.command(
        "lovelace/config/save", url_path=URL_PATH, config=dashboard(*meters)
    )
    await socket.command(
        "frontend/set_system_data", key="core", value={"default_panel": URL_PATH}
    )
    await socket.command(
        "energy/save_prefs",
        device_consumption=[
            {
                "stat_consumption": meter.entities["energy_import"],
                "stat_rate": meter.entities["power"],
                "name": meter.name,
            }
            for meter in meters
        ],
    )


def dashboard(*meters: Meter) -> dict[str, Any]:
    """Return the dashboard: the car and one section for each meter."""
    return {
        "views": [
            {
                "title": "Charging",
                "path": "charging",
                "type": "sections",
                "max_columns": len(meters) + 1,
                "sections": [
                    *(meter_section(meter) for meter in meters),
                    car_section(),
                ],
            }
        ]
    }


def meter_section(meter: Meter) -> Card:
    """Return what there is to see and do with a meter."""

    def tiles(*keys: str, **options: Any) -> list[Card]:
        return [
            {
                "type": "tile",
                "entity": meter.entities[key],
                # The heading names the meter already.
                "name": {"type": "entity"},
                **options,
            }
            for key in keys
            if key in meter.entities
        ]

    return {
        "type": "grid",
        "cards": [
            {
                "type": "heading",
                "heading": f"{meter.name} {meter.serial_number}",
                "icon": "mdi:meter-electric",
            },
            *tiles("power", "energy_import", "voltage", "current"),
            {
                "type": "history-graph",
                "hours_to_show": 0.1,
                "entities": [
                    {"entity": meter.entities["power"], "name": {"type": "entity"}}
                ],
                "grid_options": {"columns": "full", "rows": 4},
            },
            *tiles(
                "transaction",
                features=[{"type": "toggle"}],
                features_position="inline",
                grid_options={"columns": "full"},
            ),
            *tiles("transaction_energy_import", "transaction_event"),
            *tiles("transaction_id", grid_options={"columns": "full"}),
            *tiles("energy_export", "transaction_energy_export"),
            *tiles("problem", "tariff_text"),
        ],
    }


def car_section() -> Card:
    """Return the car's buttons."""
    return {
        "type": "grid",
        "cards": [
            {"type": "heading", "heading": "Car", "icon": "mdi:car-electric"},
            {
                "type": "markdown",
                "content": "Both meters measure this car. The IEM-DCR begins and ends a transaction only"
                " while no current flows: pause the car first.",
                "grid_options": {"columns": "full"},
            },
            button("Charge", "mdi:battery-charging", curve=True, state_of_charge=0.2),
            button("Pause", "mdi:pause", charging=False),
            button("11 kW", "mdi:flash", power_w=11_000),
            button("150 kW", "mdi:flash-triangle", power_w=150_000),
            button("Feed back", "mdi:transmission-tower", power_w=-10_000),
        ],
    }


def button(name: str, icon: str, **settings: Any) -> Card:
    """Return a button that steers the car."""
    return {
        "type": "button",
        "name": name,
        "icon": icon,
        "tap_action": {
            "action": "perform-action",
            "perform_action": "rest_command.car",
            "data": {"settings": settings},
        },
        "grid_options": {"columns": 4, "rows": 2},
    }
