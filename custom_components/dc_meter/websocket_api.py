"""What the dashboard card asks: which meters there are, the session that runs, the receipts.

What it does, it does through actions and entities like everybody else. Who may not read a
meter's switch gets nothing of that meter, and only administrators get what tells who charged.
"""

from collections.abc import Callable
from typing import Any

import voluptuous as vol

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.components import websocket_api
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_DEVICE_ID
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import Unauthorized
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .actions import check_present, switch_of, translated_errors
from .archive import MAX_NUMBER
from .archive_file import async_archive
from .const import DOMAIN
from .coordinator import DcMeterConfigEntry, DcMeterCoordinator
from .events import account_data, as_number
from .receipts import Query, page
from .registry import find_device, serial_number_of, unique_id
from .sensor import transaction_export_wh, transaction_import_wh

MAX_PAGE = 100


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register the commands."""
    websocket_api.async_register_command(hass, meters)
    websocket_api.async_register_command(hass, subscribe_session)
    websocket_api.async_register_command(hass, receipts)


@websocket_api.websocket_command({vol.Required("type"): f"{DOMAIN}/meters"})
@callback
def meters(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    """Answer with the meters: device, name, and the entity ids by their keys.

    ``shows_tariff_text`` tells whether a driver gets to read what is given as tariff text.
    """
    entities = er.async_get(hass)
    answer = []
    for entry in hass.config_entries.async_entries(DOMAIN, include_disabled=False):
        serial_number = entry.unique_id
        device = find_device(hass, entry)
        if device is None or not _may_read(hass, connection.user, entry):
            continue
        found = {
            entity.unique_id.removeprefix(unique_id(serial_number, "")): entity
            for entity in er.async_entries_for_config_entry(entities, entry.entry_id)
            if entity.device_id == device.id
        }
        answer.append(
            {
                "device_id": device.id,
                "name": device.name_by_user or device.name,
                "model": device.model,
                "serial_number": serial_number,
                # The entity exists where the meter has a display, also while it is away.
                "shows_tariff_text": "tariff_text" in found,
                "entities": {
                    key: entity.entity_id
                    for key, entity in found.items()
                    if not entity.disabled
                },
            }
        )
    connection.send_result(message["id"], answer)


@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/subscribe_session",
        vol.Required(ATTR_DEVICE_ID): str,
    }
)
@callback
def subscribe_session(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    """Send the session that runs, now and whenever it changes; null while none does.

    Goes on when the entry is loaded again.
    """
    if (asked := _device_and_entry(hass, connection, message)) is None:
        return
    device, entry = asked
    if not _may_read(hass, connection.user, entry):
        raise Unauthorized(permission=POLICY_READ)
    check_present(device, entry)
    sent: Any = NotImplemented
    stop_listening: Callable[[], None] | None = None

    @callback
    def send() -> None:
        nonlocal sent
        running = (
            _session(entry.runtime_data.coordinator, connection.user)
            if entry.state is ConfigEntryState.LOADED
            else None
        )
        if running != sent:
            sent = running
            connection.send_message(websocket_api.event_message(message["id"], running))

    @callback
    def listen() -> None:
        """Listen to the coordinator of now: each time an entry is loaded it has another."""
        nonlocal stop_listening
        if stop_listening is not None:
            stop_listening()
            stop_listening = None
        if entry.state is ConfigEntryState.LOADED:
            stop_listening = entry.runtime_data.coordinator.async_add_listener(send)
        send()

    stop_following = entry.async_on_state_change(listen)

    @callback
    def unsubscribe() -> None:
        stop_following()
        if stop_listening is not None:
            stop_listening()

    connection.subscriptions[message["id"]] = unsubscribe
    connection.send_result(message["id"])
    listen()


@websocket_api.require_admin
@websocket_api.websocket_command(
    {
        vol.Required("type"): f"{DOMAIN}/receipts",
        vol.Required(ATTR_DEVICE_ID): str,
        vol.Optional("limit", default=10): vol.All(int, vol.Range(min=1, max=MAX_PAGE)),
        vol.Optional("cursor", default=None): vol.Any(
            None, vol.All(int, vol.Range(min=1, max=MAX_NUMBER))
        ),
    }
)
@websocket_api.async_response
async def receipts(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> None:
    """Answer with a page of a meter's receipts, newest first, each as stop has answered.

    ``user`` and ``tariff_text`` are those that exports name: what is signed comes first.
    ``cursor`` of the answer asks for the page that follows; null when there is none.
    """
    if (asked := _device_and_entry(hass, connection, message)) is None:
        return
    device, _ = asked
    with translated_errors():
        archive = await async_archive(hass)
        found = await hass.async_add_executor_job(
            lambda: page(
                archive,
                Query(meter=serial_number_of(device)),
                limit=message["limit"],
                before=message["cursor"] or MAX_NUMBER,
            )
        )
    connection.send_result(
        message["id"],
        {
            "receipts": [
                {
                    **account_data(account),
                    "user": account.user,
                    "tariff_text": account.tariff_text,
                }
                for account in found.accounts
            ],
            "cursor": found.before,
        },
    )


def _device_and_entry(
    hass: HomeAssistant,
    connection: websocket_api.ActiveConnection,
    message: dict[str, Any],
) -> tuple[dr.DeviceEntry, DcMeterConfigEntry] | None:
    """Return the meter asked for, its entry loaded or not; say so when it is none."""
    device, entry = dr.async_get_device_and_config_entry_for_domain(
        hass, message[ATTR_DEVICE_ID], domain=DOMAIN, include_child_devices=False
    )
    if device is None or entry is None:
        connection.send_error(
            message["id"], websocket_api.ERR_NOT_FOUND, "This device is no meter"
        )
        return None
    return device, entry


def _may_read(hass: HomeAssistant, user: User, entry: DcMeterConfigEntry) -> bool:
    """Tell whether a user may know what a meter does."""
    entity_id = switch_of(hass, entry)
    return entity_id is not None and user.permissions.check_entity(
        entity_id, POLICY_READ
    )


def _session(coordinator: DcMeterCoordinator, user: User) -> dict[str, Any] | None:
    """Return what the card shows of the session that runs.

    Energies are in Wh, null while the meter does not answer; ``cost`` is what has come
    together so far.
    """
    session = coordinator.sessions.current
    if session is None:
        if coordinator.sessions.is_foreign(coordinator.data):
            return {"foreign": True}
        return None
    heard = coordinator.last_update_success
    imported = transaction_import_wh(coordinator) if heard else None
    exported = transaction_export_wh(coordinator) if heard else None
    price = session.price
    running: dict[str, Any] = {
        "foreign": False,
        "transaction_id": session.transaction_id,
        "started_at": session.started_at and session.started_at.isoformat(),
        "energy_import_wh": as_number(imported),
        "energy_export_wh": as_number(exported),
        "tariff_text": session.request.tariff_text,
        "price_per_kwh": price and as_number(price.per_kwh),
        "currency": price and price.currency,
        "cost": None
        if price is None or imported is None
        else as_number(price.cost(imported)),
        "gaps": [gap.as_dict() for gap in session.gaps],
        "warnings": list(session.warnings),
    }
    if user.is_admin:
        running["user"] = (
            session.request.identification_data or session.particulars.client_id
        )
    return running
