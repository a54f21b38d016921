"""What a person sees first: the dashboard of all meters, and a car to steer beside it."""

from typing import Any

from .client import Socket
from .meters import Meter

URL_PATH = "dc-meter"

type Card = dict[str, Any]


async def show(socket: Socket, *meters: Meter) -> None:
    """Make the dashboards and the energy dashboard's devices, once: a person may edit them."""
    dashboards = await socket.command("lovelace/dashboards/list")
    if any(dashboard["url_path"] == URL_PATH for dashboard in dashboards):
        return
    for url_path, title, icon, config in (
        (
            URL_PATH,
            "Charging",
            "mdi:ev-station",
            {"strategy": {"type": "custom:dc-meter"}},
        ),
        ("dc-meter-car", "Car", "mdi:car-electric", {"views": [car()]}),
    ):
        await socket.command(
            "lovelace/dashboards/create", url_path=url_path, title=title, icon=icon
        )
        await socket.command("lovelace/config/save", url_path=url_path, config=config)
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


def car() -> dict[str, Any]:
    """Return the view of the car."""
    cards = [
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
    ]
    return {
        "title": "Car",
        "type": "sections",
        "sections": [{"type": "grid", "cards": cards}],
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
