"""What automations call: start, stop and look at a transaction, find receipts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import voluptuous as vol

from homeassistant.auth.models import User
from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.const import ATTR_DEVICE_ID, Platform
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import (
    HomeAssistantError,
    ServiceValidationError,
    Unauthorized,
    UnknownUser,
)
from homeassistant.helpers import config_validation as cv, device_registry as dr
from homeassistant.helpers.json import json_bytes
from homeassistant.helpers.service import (
    async_get_device_and_config_entry,
    async_register_admin_service,
)
from homeassistant.helpers.typing import VolDictType
from homeassistant.util import dt as dt_util
from homeassistant.util.json import json_loads

from .archive import Archive, ArchiveError
from .archive_file import archive_path, async_archive
from .const import DOMAIN
from .coordinator import DcMeterConfigEntry
from .downloads import Download, async_offer
from .events import account_data, outcome_data, without_user
from .export.parties import Language, Parties
from .exports import Export, ExportFormat, export
from .metering.errors import InvalidRequestError, MeterError
from .metering.meter import (
    MAX_IDENTIFICATION_FLAGS,
    MAX_TARIFF_TEXT,
    IdentificationFlag,
    IdentificationLevel,
    IdentificationStatus,
    IdentificationType,
    TransactionRequest,
    is_line,
)
from .metering.verdict import Verdict
from .outcome import AlreadyRunningError
from .receipts import Query, Receipts, page
from .registry import find_entity, is_replaced, serial_number_of
from .session import Account, Particulars

ACTION_START = "start_transaction"
ACTION_STOP = "stop_transaction"
ACTION_RUNNING = "get_transaction"
ACTION_GET = "get_receipts"
ACTION_EXPORT = "export_receipts"

ATTR_TRANSACTION_ID = "transaction_id"

_MAX_TEXT = 255
_MAX_LINES = 5
"""As many as there is room for on paper, however long they are."""

_BEGINS_WITH_SIGNS = (IdentificationType.PHONE_NUMBER, IdentificationType.KEY_CODE)

_MAX_USER_DATA = 4096
"""Bytes of JSON; leaves the event well below the recorder's 32 KiB."""


def _text(value: Any) -> str:
    """Accept what YAML makes of an id: text, or a number that was not quoted."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise vol.Invalid("expected text")
    text = str(value).strip()
    if len(text) > _MAX_TEXT:
        raise vol.Invalid(f"longer than {_MAX_TEXT} characters")
    return _line(text)


def _text_or_number(value: Any) -> str | int:
    """Accept the same, and let a number be known for one."""
    text = _text(value)
    return value if isinstance(value, int) else text


def _line[T](value: T) -> T:
    """Accept whatever is no text, and text that is a line."""
    if isinstance(value, str) and not is_line(value):
        raise vol.Invalid("contains a line break or another control character")
    return value


# Of half a character the parser behind cv.datetime (ciso8601) dies, and all with it.
_moment = vol.All(_line, cv.datetime)


def _lines(value: Any) -> str:
    """Accept a few lines, such as an address."""
    lines = [_text(line) for line in cv.string(value).strip().splitlines()]
    if len(lines) > _MAX_LINES:
        raise vol.Invalid(f"more than {_MAX_LINES} lines")
    return "\n".join(lines)


def _user_data(value: Any) -> Any:
    """Accept what Home Assistant's JSON can carry, up to a size that fits an event.

    What is no number in JSON (NaN) becomes null, as everywhere in Home Assistant.
    """
    try:
        text = json_bytes(value)
        if len(text) > _MAX_USER_DATA:
            raise vol.Invalid(f"larger than {_MAX_USER_DATA} bytes")
        return json_loads(text)
    except (TypeError, ValueError, RecursionError) as err:
        raise vol.Invalid("cannot be written as JSON") from err


START_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Optional("evse_id", default=""): _text,
        vol.Optional(ATTR_TRANSACTION_ID, default=""): _text,
        vol.Optional("identification_status", default=None): vol.Any(
            None, vol.Coerce(IdentificationStatus)
        ),
        vol.Optional("identification_level", default=None): vol.Any(
            None, vol.Coerce(IdentificationLevel)
        ),
        vol.Optional("identification_flags", default=list): vol.All(
            cv.ensure_list,
            vol.Length(max=MAX_IDENTIFICATION_FLAGS),
            [vol.Coerce(IdentificationFlag)],
        ),
        vol.Optional(
            "identification_type", default=IdentificationType.NONE
        ): vol.Coerce(IdentificationType),
        vol.Optional("identification_data", default=""): _text_or_number,
        vol.Optional("tariff_text", default=""): vol.All(
            _text, vol.Length(max=MAX_TARIFF_TEXT)
        ),
        vol.Optional("client_id", default=""): _text,
        vol.Optional("tariff_id", default=""): _text,
        vol.Optional("cable_id", default=""): _text,
        vol.Optional("user_data", default=None): _user_data,
        vol.Optional("unless_running", default=False): cv.boolean,
    }
)

STOP_SCHEMA = vol.Schema(
    {
        vol.Required(ATTR_DEVICE_ID): cv.string,
        vol.Optional(ATTR_TRANSACTION_ID, default=""): _text,
    }
)

RUNNING_SCHEMA = vol.Schema({vol.Required(ATTR_DEVICE_ID): cv.string})

_QUERY: VolDictType = {
    vol.Optional(ATTR_DEVICE_ID): cv.string,
    vol.Optional(ATTR_TRANSACTION_ID): _text,
    vol.Optional("from"): _moment,
    vol.Optional("to"): _moment,
    vol.Optional("verdict"): vol.Coerce(Verdict),
    vol.Optional("user"): _text,
}

GET_SCHEMA = vol.Schema(
    {
        **_QUERY,
        vol.Optional("limit", default=100): vol.All(
            vol.Coerce(int), vol.Range(min=1, max=10_000)
        ),
    }
)


EXPORT_SCHEMA = vol.Schema(
    {
        **_QUERY,
        vol.Required("format"): vol.Coerce(ExportFormat),
        vol.Optional("language"): vol.Coerce(Language),
        vol.Optional("issuer"): _lines,
        vol.Optional("recipient", default=""): _lines,
        vol.Optional("title", default=""): _text,
        vol.Optional("folder"): vol.All(cv.string, _line),
    }
)


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn what meter and archive raise into errors that Home Assistant translates.

    A request that cannot be carried out becomes ``ServiceValidationError``; a meter that
    says no or nothing at all, and a disk that fails, become ``HomeAssistantError``.
    """
    try:
        yield
    except InvalidRequestError as err:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err
    except MeterError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=err.key,
            translation_placeholders=err.details,
        ) from err
    except ArchiveError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="archive_unusable",
            translation_placeholders={"error": str(err)},
        ) from err


@contextmanager
def _disk_errors(folder: Path | str) -> Iterator[None]:
    """Turn what the disk raises into an error that Home Assistant translates."""
    try:
        yield
    except OSError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key="folder_not_writable",
            translation_placeholders={
                "folder": str(folder),
                "error": err.strerror or str(err),
            },
        ) from err


def _identification(data: dict[str, Any]) -> str:
    """Return the identification as text.

    Raises ``ServiceValidationError`` for a number in place of what may begin with + or zeros:
    these are lost by then.
    """
    identification = data["identification_data"]
    if (
        isinstance(identification, int)
        and data["identification_type"] in _BEGINS_WITH_SIGNS
    ):
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="identification_is_number"
        )
    return str(identification)


def transaction_request(data: dict[str, Any]) -> TransactionRequest:
    """Build a request from checked action data. Raises ``ServiceValidationError``.

    A UUID stands in for a missing id; whoever names a user and no status assigns the user.
    """
    identification = _identification(data)
    return TransactionRequest(
        transaction_id=data[ATTR_TRANSACTION_ID] or str(uuid4()),
        evse_id=data["evse_id"],
        identification_status=data["identification_status"]
        or (
            IdentificationStatus.ASSIGNED
            if identification
            else IdentificationStatus.NOT_ASSIGNED
        ),
        identification_level=data["identification_level"],
        identification_flags=tuple(data["identification_flags"]),
        identification_type=data["identification_type"],
        identification_data=identification,
        tariff_text=data["tariff_text"],
    )


def _language(hass: HomeAssistant) -> Language:
    """Return Home Assistant's language where exports have it, else English."""
    try:
        return Language(hass.config.language)
    except ValueError:
        return Language.ENGLISH


def _local(moment: datetime | None) -> datetime | None:
    """Read a time without an offset as Home Assistant's."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=dt_util.get_default_time_zone())


def switch_of(hass: HomeAssistant, entry: DcMeterConfigEntry) -> str | None:
    """Return the entity id of a meter's switch, by which its users' rights go."""
    switch = find_entity(hass, Platform.SWITCH, entry, "transaction")
    return None if switch is None else switch.entity_id


def check_present(device: dr.DeviceEntry, entry: DcMeterConfigEntry) -> None:
    """Raise ``ServiceValidationError`` for the device of a meter that was replaced."""
    if is_replaced(device, entry):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="meter_replaced",
            translation_placeholders={
                "replaced": serial_number_of(device),
                "present": str(entry.unique_id),
            },
        )


async def _check_control(call: ServiceCall, entry: DcMeterConfigEntry) -> User | None:
    """Return who calls, None when it is no person.

    Raises ``Unauthorized`` for whoever may not turn the meter's switch either.
    """
    if call.context.user_id is None:
        return None
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context, permission=POLICY_CONTROL)
    entity_id = switch_of(call.hass, entry)
    # One that was removed can be turned by whoever may turn everything.
    if not user.permissions.check_entity(entity_id or "", POLICY_CONTROL):
        raise Unauthorized(
            context=call.context, entity_id=entity_id, permission=POLICY_CONTROL
        )
    return user


def _folder_not_allowed(folder: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="folder_not_allowed",
        translation_placeholders={"folder": folder},
    )


def _write(hass: HomeAssistant, made: Export, folder: str) -> Path:
    """Write an export into an allowed folder. Raises ``OSError``.

    The folder is held open from its check on: what a link leads to by then is not written into.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        held = Path(f"/proc/self/fd/{descriptor}")
        real = held.readlink()
        if not hass.config.is_allowed_path(str(real)):
            raise _folder_not_allowed(folder)
        return real / made.write_into(held).name
    finally:
        os.close(descriptor)


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions."""

    def device_and_entry_of(
        call: ServiceCall,
    ) -> tuple[dr.DeviceEntry, DcMeterConfigEntry]:
        return async_get_device_and_config_entry(
            hass, DOMAIN, call.data[ATTR_DEVICE_ID], include_child_devices=False
        )

    def entry_of(call: ServiceCall) -> DcMeterConfigEntry:
        device, entry = device_and_entry_of(call)
        check_present(device, entry)
        return entry

    async def start(call: ServiceCall) -> ServiceResponse:
        entry = entry_of(call)
        await _check_control(call, entry)
        data = entry.runtime_data
        with translated_errors():
            outcome = await data.sessions.start(
                transaction_request(call.data),
                Particulars(
                    client_id=call.data["client_id"],
                    tariff_id=call.data["tariff_id"],
                    cable_id=call.data["cable_id"],
                    user_data=call.data["user_data"],
                ),
                call.context,
                unless_running=call.data["unless_running"],
            )
            if outcome is None:
                raise AlreadyRunningError
        data.coordinator.refresh_soon()
        return outcome_data(outcome)

    async def stop(call: ServiceCall) -> ServiceResponse:
        entry = entry_of(call)
        user = await _check_control(call, entry)
        data = entry.runtime_data
        with translated_errors():
            outcome = await data.sessions.stop(
                call.data[ATTR_TRANSACTION_ID], call.context
            )
        data.coordinator.refresh_soon()
        answer = outcome_data(outcome)
        if user is not None and not user.is_admin:
            # Somebody else may have charged. Ids, which everybody sees, lead to every receipt.
            return without_user(answer)
        return answer

    async def running(call: ServiceCall) -> ServiceResponse:
        with translated_errors():
            active, session = await entry_of(call).runtime_data.sessions.running()
        data = {} if session is None else account_data(Account(session=session))
        return {"running": active, **data}

    def meter_of(call: ServiceCall) -> str | None:
        """Return the serial number of the meter asked for, which may be away; None for all."""
        if ATTR_DEVICE_ID not in call.data:
            return None
        device, entry = dr.async_get_device_and_config_entry_for_domain(
            hass, call.data[ATTR_DEVICE_ID], domain=DOMAIN, include_child_devices=False
        )
        if device is None or entry is None:
            # It says what is wrong with it.
            device, _ = device_and_entry_of(call)
        return serial_number_of(device)

    async def find_receipts[T](
        call: ServiceCall, find: Callable[[Archive, Query], T]
    ) -> T:
        """Find what the call asks for; without a device at all meters."""
        meter = meter_of(call)
        with translated_errors():
            return await hass.async_add_executor_job(
                find,
                await async_archive(hass),
                Query(
                    meter=meter,
                    since=_local(call.data.get("from")),
                    until=_local(call.data.get("to")),
                    verdict=call.data.get("verdict"),
                    user=call.data.get("user"),
                    transaction_id=call.data.get(ATTR_TRANSACTION_ID),
                ),
            )

    async def get_receipts(call: ServiceCall) -> ServiceResponse:
        def newest(archive: Archive, query: Query) -> ServiceResponse:
            total = len(Receipts(archive, query))
            found = page(archive, query, limit=call.data["limit"])
            return {
                "total": total,
                "receipts": [account_data(one) for one in reversed(found.accounts)],
            }

        return await find_receipts(call, newest)

    def found(archive: Archive, query: Query) -> tuple[Receipts, int]:
        receipts = Receipts(archive, query)
        return receipts, len(receipts)

    async def export_receipts(call: ServiceCall) -> ServiceResponse:
        folder = call.data.get("folder")
        if folder is not None and not await hass.async_add_executor_job(
            hass.config.is_allowed_path, folder
        ):
            raise _folder_not_allowed(folder)
        receipts, total = await find_receipts(call, found)
        if not total:
            raise ServiceValidationError(
                translation_domain=DOMAIN, translation_key="nothing_to_export"
            )
        kind: ExportFormat = call.data["format"]
        if kind.most is not None and total > kind.most:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="too_many_receipts",
                translation_placeholders={
                    "number": str(total),
                    "format": kind,
                    "limit": str(kind.most),
                },
            )
        own_folder = archive_path(hass).parent
        with translated_errors(), _disk_errors(own_folder):
            made = await hass.async_add_executor_job(
                export,
                kind,
                receipts,
                Parties(
                    issuer=call.data.get("issuer", hass.config.location_name),
                    recipient=call.data["recipient"],
                    title=call.data["title"],
                    time_zone=dt_util.get_default_time_zone(),
                    language=call.data.get("language", _language(hass)),
                ),
                dt_util.now(),
                own_folder,
            )
        if len(made.left_out) == total:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="nothing_in_format",
                translation_placeholders={"format": kind},
            )
        response: dict[str, Any] = {
            "file_name": made.name,
            "receipts": total - len(made.left_out),
            "left_out": list(made.left_out),
        }
        if folder is not None:
            with _disk_errors(folder):
                written = await hass.async_add_executor_job(_write, hass, made, folder)
            response["path"] = str(written)
        response["url"], expires_at = await async_offer(
            hass,
            Download(
                name=made.name,
                content_type=made.content_type,
                file=made.file,
                user_id=call.context.user_id,
            ),
        )
        response["expires_at"] = expires_at.isoformat()
        return response

    async_register_admin_service(
        hass,
        DOMAIN,
        ACTION_EXPORT,
        export_receipts,
        schema=EXPORT_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        ACTION_RUNNING,
        running,
        schema=RUNNING_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    async_register_admin_service(
        hass,
        DOMAIN,
        ACTION_GET,
        get_receipts,
        schema=GET_SCHEMA,
        supports_response=SupportsResponse.ONLY,
    )
    hass.services.async_register(
        DOMAIN,
        ACTION_START,
        start,
        schema=START_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
    hass.services.async_register(
        DOMAIN,
        ACTION_STOP,
        stop,
        schema=STOP_SCHEMA,
        supports_response=SupportsResponse.OPTIONAL,
    )
