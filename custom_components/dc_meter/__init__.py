"""DC Charging Meter: signing energy meters of DC chargers in Home Assistant."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import ConfigEntryError, ConfigEntryNotReady
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util

from .actions import async_setup_actions
from .adapter import follow_adapter, note_adapter, watch_adapter
from .archive import ArchiveError
from .archive_file import async_archive, async_setup_archive
from .connection import LineInUseError, connect, endpoint_of
from .const import DOMAIN
from .coordinator import DcMeterConfigEntry, DcMeterCoordinator, DcMeterData
from .downloads import async_setup_downloads
from .entity import device_info
from .events import announcer
from .frontend import async_setup_frontend
from .ledger import Ledger
from .metering.errors import InvalidRequestError, MeterError, WrongMeterError
from .metering.meter import Meter
from .moments import take_moment
from .presence import forget_lost, report_lost
from .price import async_follow_price_entities, is_priced, price_at
from .registers import register_store
from .registry import is_replaced
from .repairs import (
    WHILE_LOADED,
    async_hide_issues_of_disabled,
    hide_issues,
    show_archive_issues,
    show_exchange,
    show_issues,
    show_line_in_use,
    show_loss,
)
from .sessions import Sessions
from .trust import Trust
from .websocket_api import async_setup_websocket_api

PLATFORMS = [
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TEXT,
]

CONFIG_SCHEMA = cv.config_entry_only_config_schema(DOMAIN)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up what all meters share."""
    async_setup_archive(hass, partial(show_archive_issues, hass))
    async_setup_downloads(hass)
    async_setup_actions(hass)
    async_setup_websocket_api(hass)
    async_follow_price_entities(hass)
    async_hide_issues_of_disabled(hass)
    await async_setup_frontend(hass)
    return True


async def async_setup_entry(hass: HomeAssistant, entry: DcMeterConfigEntry) -> bool:
    """Set up a meter."""
    with _archive_needed():
        archive = await async_archive(hass)
    meter = _connect(hass, entry)
    entry.async_on_unload(meter.close)
    await _meet(hass, entry, meter)
    identity = meter.identity
    device = dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, **device_info(identity)
    )
    trust = Trust(hass, archive, dt_util.now)
    sessions = Sessions(
        hass,
        meter,
        ledger=Ledger(hass, archive, trust, identity.serial_number),
        trust=trust,
        price=price_at(hass, entry),
        price_unseen=price_at(hass, entry, at_any_time=True),
        is_priced=partial(is_priced, entry),
        announce=announcer(hass, device.id, identity.serial_number),
    )
    with _archive_needed():
        await trust.load(identity)
        await sessions.resume()
    coordinator = DcMeterCoordinator(
        hass,
        entry,
        meter,
        sessions,
        moment_s=take_moment(hass, entry, endpoint_of(entry)),
    )
    await coordinator.async_config_entry_first_refresh()
    entry.runtime_data = DcMeterData(
        meter=meter,
        coordinator=coordinator,
        sessions=sessions,
        trust=trust,
    )
    _watch(hass, entry)
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


@contextmanager
def _archive_needed() -> Iterator[None]:
    """Try again later when the archive fails: without it there are no sessions."""
    try:
        yield
    except ArchiveError as err:
        # A lock is released and a disk is freed without anybody thinking of this entry.
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key="archive_unusable",
            translation_placeholders={"error": str(err)},
        ) from err


def _connect(hass: HomeAssistant, entry: DcMeterConfigEntry) -> Meter:
    """Return the meter of an entry. Raises ``ConfigEntryNotReady``."""
    try:
        meter = connect(hass, entry)
    except LineInUseError as err:
        # A config flow that has the line for a moment is nothing to repair.
        show_line_in_use(hass, entry, err.details if err.holders else None)
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err
    show_line_in_use(hass, entry, None)
    return meter


async def _meet(hass: HomeAssistant, entry: DcMeterConfigEntry, meter: Meter) -> None:
    """See that it is the entry's meter that answers, and set it up; or find out where it is.

    Raises ``ConfigEntryNotReady``, or ``ConfigEntryError`` for what the meter refuses.
    """
    try:
        identity = await meter.identify()
        if identity.serial_number != entry.unique_id:
            raise WrongMeterError(
                expected=entry.unique_id, found=identity.serial_number
            )
        await meter.set_up()
    except InvalidRequestError as err:
        # Not the meter is at fault but the configuration: trying again mends nothing.
        raise ConfigEntryError(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err
    except MeterError as err:
        if await follow_adapter(hass, entry):
            hass.config_entries.async_schedule_reload(entry.entry_id)
        elif isinstance(err, WrongMeterError):
            show_exchange(hass, entry, err.details)
        report_lost(hass, entry, err)
        raise ConfigEntryNotReady(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err
    show_exchange(hass, entry, None)
    await note_adapter(hass, entry)


def _watch(hass: HomeAssistant, entry: DcMeterConfigEntry) -> None:
    """Follow the adapter, the end of Home Assistant, and what there is to mend."""
    coordinator, sessions = entry.runtime_data.coordinator, entry.runtime_data.sessions
    watch_adapter(hass, entry, lambda: not coordinator.last_update_success)
    entry.async_on_unload(sessions.close)

    async def stopping(_: Event) -> None:
        coordinator.show_exact()
        await coordinator.registers.save()
        await sessions.pause()

    entry.async_on_unload(
        hass.bus.async_listen_once(EVENT_HOMEASSISTANT_STOP, stopping)
    )

    shown: Collection[str] = WHILE_LOADED

    @callback
    def show() -> None:
        nonlocal shown
        shown = show_issues(hass, entry, shown)

    show()
    entry.async_on_unload(coordinator.async_add_listener(show))


async def async_unload_entry(hass: HomeAssistant, entry: DcMeterConfigEntry) -> bool:
    """Unload a meter; what it had to say is no longer shown."""
    await entry.runtime_data.sessions.quiet()
    coordinator = entry.runtime_data.coordinator
    if coordinator.last_update_success:
        coordinator.show_exact()
    await coordinator.registers.save()
    if unloaded := await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        hide_issues(hass, entry)
    return unloaded


async def async_remove_entry(hass: HomeAssistant, entry: DcMeterConfigEntry) -> None:
    """Take back what was said of the entry, and forget its registers; receipts stay."""
    forget_lost(hass, entry)
    hide_issues(hass, entry)
    show_loss(hass, entry, None)
    await register_store(hass, entry).async_remove()


async def async_remove_config_entry_device(
    hass: HomeAssistant, entry: DcMeterConfigEntry, device: dr.DeviceEntry
) -> bool:
    """Let the device of a replaced meter be deleted; that of the present one goes with its entry."""
    return is_replaced(device, entry)
