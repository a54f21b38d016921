"""Within Home Assistant: tells what is alive, names adapters, fills the disk, dies at a write."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
import gc
import json
import os
from pathlib import Path
import re
import signal
import threading
from typing import Any

import voluptuous as vol

from custom_components.dc_meter.archive import Archive, Link
from custom_components.dc_meter.archive_file import ARCHIVE
from homeassistant.components import usb
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
)
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

DOMAIN = "faults_probe"
CONFIG_SCHEMA = cv.empty_config_schema(DOMAIN)
ADAPTERS = "adapters.json"
"""In the configuration folder: a list of ports, and the serial number of the adapter at each."""

DIGITS = re.compile(r"\d+|0x[0-9a-f]+")
PRAGMAS = {
    "folded": "PRAGMA wal_checkpoint(TRUNCATE)",
    "full": "PRAGMA max_page_count = 1",  # SQLite raises it to what there is
    "read_only": "PRAGMA query_only = ON",
    "none": "PRAGMA max_page_count = 1073741823; PRAGMA query_only = OFF",
}


def alive() -> dict[str, Any]:
    """Return tasks, threads and objects of the integration by name, with how many there are."""
    gc.collect()
    counts = {
        "tasks": Counter(
            DIGITS.sub("#", getattr(task.get_coro(), "__qualname__", "?"))
            for task in asyncio.all_tasks()
        ),
        "threads": Counter(DIGITS.sub("#", one.name) for one in threading.enumerate()),
        "objects": Counter(
            type(one).__qualname__
            for one in gc.get_objects()
            if str(type(one).__module__).startswith("custom_components.dc_meter")
        ),
        "types": Counter(
            f"{type(one).__module__}.{type(one).__qualname__}"
            for one in gc.get_objects()
        ),
    }
    return {what: dict(count) for what, count in counts.items()}


def adapters(file: Path) -> Sequence[usb.USBDevice]:
    """Return the ports as the operating system would tell of them."""
    return [
        usb.USBDevice(
            device=port,
            serial_number=serial_number,
            manufacturer="Simulated",
            description="RS485 adapter",
            vid="0403",
            pid="6001",
        )
        for port, serial_number in json.loads(file.read_text()).items()
    ]


class Death:
    """Ends the process around the next write of a kind to the archive, or around none."""

    kind: str | None = None
    before = False

    def wrap(self, append: Callable[..., Link]) -> Callable[..., Link]:
        """Return what writes a record, and dies when it is time."""

        @wraps(append)
        def appending(archive: Archive, **record: Any) -> Link:
            due = self.kind == record["kind"]
            if due and self.before:
                os.kill(os.getpid(), signal.SIGKILL)
            link = append(archive, **record)
            if due:
                os.kill(os.getpid(), signal.SIGKILL)
            return link

        return appending


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Offer all of it as actions."""
    death = Death()
    Archive.append = death.wrap(Archive.append)  # type: ignore[method-assign]  # what it is for
    file = Path(hass.config.path(ADAPTERS))
    ports = await hass.async_add_executor_job(adapters, file)
    usb.async_register_serial_port_scanner(hass, lambda _: ports)

    async def tell(_: ServiceCall) -> ServiceResponse:
        return alive()

    async def ports_changed(_: ServiceCall) -> ServiceResponse:
        nonlocal ports
        ports = await hass.async_add_executor_job(adapters, file)
        usb.async_notify_serial_ports_changed(hass)  # type: ignore[attr-defined]  # since 2026.11
        return {}

    async def die(call: ServiceCall) -> ServiceResponse:
        death.kind, death.before = call.data["at"], call.data["before"]
        return {}

    async def disk(call: ServiceCall) -> ServiceResponse:
        connection = hass.data[ARCHIVE]._connection  # noqa: SLF001  # the disk behind it
        await hass.async_add_executor_job(
            connection.executescript, PRAGMAS[call.data["fault"]]
        )
        return {}

    for name, action, schema in (
        ("tell", tell, {}),
        ("ports_changed", ports_changed, {}),
        ("die", die, {"at": cv.string, "before": cv.boolean}),
        ("disk", disk, {"fault": vol.In(PRAGMAS)}),
    ):
        hass.services.async_register(
            DOMAIN,
            name,
            action,
            vol.Schema({vol.Required(key): value for key, value in schema.items()}),
            supports_response=SupportsResponse.OPTIONAL,
        )
    return True
