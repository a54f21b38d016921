"""What only the owner of a meter can mend or decide, as repair issues."""

from collections.abc import Collection, Mapping
from typing import Any, override

from homeassistant.components.repairs import RepairsFlow, RepairsFlowResult
from homeassistant.config_entries import (
    SIGNAL_CONFIG_ENTRY_CHANGED,
    ConfigEntry,
    ConfigEntryChange,
    ConfigEntryState,
)
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.device_registry import DeviceEntry
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .actions import translated_errors
from .archive import DamagedRecordError, Link
from .archive_file import ARCHIVE_HEALTH, async_archive
from .connection import line_settings, modbus_params
from .const import DOMAIN, LOGGER
from .coordinator import DcMeterConfigEntry
from .events import announcer
from .ledger import Ledger
from .metering.errors import MeterUnreachableError, WrongMeterError
from .metering.meter import Notice
from .outcome import NoLongerSoError
from .plausible import LIFETIME, TRANSACTION
from .registry import find_device, find_entity, serial_number_of, take_place
from .sessions import fail_replaced
from .trust import Trust, TrustOrigin

KEY_CHANGED = "key_changed"
FOREIGN_TRANSACTION = "foreign_transaction"
METER_EXCHANGED = "meter_exchanged"
LINE_IN_USE = "line_in_use"
RECEIPTS_LOST = "receipts_lost"

ARCHIVE_UNUSABLE = "archive_unusable"
ARCHIVE_DAMAGED = "archive_damaged"
CLOCK_OFF = "clock_off"
REGISTER_REFUSED = "register_refused"

_LEARN_MORE = (
    "https://github.com/dc-meter/dc-meter/blob/main/docs/troubleshooting.md#repairs"
)

_REGISTERS = {f"{REGISTER_REFUSED}_{key}": key for key in (*LIFETIME, *TRANSACTION)}
"""The registers by the key of their issue: each steps, and is taken, on its own."""

WHILE_LOADED = (
    *Notice,
    *(KEY_CHANGED, FOREIGN_TRANSACTION, METER_EXCHANGED, CLOCK_OFF),
    *_REGISTERS,
)
"""What is shown of a meter only while it is loaded."""

_FIXABLE = (KEY_CHANGED, FOREIGN_TRANSACTION, METER_EXCHANGED, *_REGISTERS)
_WARNINGS = {*WHILE_LOADED} - {KEY_CHANGED, METER_EXCHANGED}


@callback
def show_issues(
    hass: HomeAssistant, entry: DcMeterConfigEntry, shown: Collection[str]
) -> Collection[str]:
    """Show exactly what there is to mend or decide at a loaded meter, and return the keys of it.

    ``shown`` are the keys of what may be shown already.
    """
    data = entry.runtime_data
    identity = data.meter.identity
    found: dict[str, Mapping[str, str]] = dict(data.meter.notices().items())
    if data.trust.key is not None and data.trust.is_broken_by(identity):
        found[KEY_CHANGED] = {
            "trusted": data.trust.key.public_key,
            "shown": str(identity.public_key),
        }
    if data.sessions.is_foreign(data.coordinator.data):
        found[FOREIGN_TRANSACTION] = {}
    if data.coordinator.another is not None:
        found[METER_EXCHANGED] = data.coordinator.another
    if data.coordinator.clock.is_off:
        found[CLOCK_OFF] = {}
    for key, refusal in data.coordinator.registers.refusals.items():
        found[f"{REGISTER_REFUSED}_{key}"] = {
            "register": f"{entry.title} {_name_of(hass, entry, key)}",
            "good": str(refusal.good_wh.scaleb(-3)),
            "refused": str(refusal.refused_wh.scaleb(-3)),
        }
    for key in {*shown, *found}:
        _show(hass, key, found.get(key), entry)
    return found.keys()


def _name_of(hass: HomeAssistant, entry: ConfigEntry, key: str) -> str:
    """Return what a sensor is called; its key before it has been shown for the first time."""
    entity = find_entity(hass, Platform.SENSOR, entry, key)
    return (entity and (entity.name or entity.original_name)) or key


@callback
def hide_issues(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Show nothing of a meter that is not loaded."""
    for key in (*WHILE_LOADED, LINE_IN_USE):
        ir.async_delete_issue(hass, DOMAIN, _issue_id(key, entry))


@callback
def async_hide_issues_of_disabled(hass: HomeAssistant) -> None:
    """Show nothing of an entry that is disabled, also of one that could not be set up."""

    @callback
    def changed(_: ConfigEntryChange, entry: ConfigEntry) -> None:
        if entry.domain == DOMAIN and entry.disabled_by is not None:
            hide_issues(hass, entry)

    async_dispatcher_connect(hass, SIGNAL_CONFIG_ENTRY_CHANGED, changed)


@callback
def show_archive_issues(hass: HomeAssistant) -> None:
    """Show what is wrong with the archive of all meters."""
    health = hass.data[ARCHIVE_HEALTH]
    for key, reason in (
        (ARCHIVE_UNUSABLE, health.unusable),
        (ARCHIVE_DAMAGED, health.damage),
    ):
        _show(hass, key, None if reason is None else {"error": reason})


@callback
def show_exchange(
    hass: HomeAssistant, entry: ConfigEntry, details: Mapping[str, str] | None
) -> None:
    """Show that another meter answers in this one's place; None that none does."""
    _show(hass, METER_EXCHANGED, details, entry)


@callback
def show_line_in_use(
    hass: HomeAssistant, entry: ConfigEntry, details: Mapping[str, str] | None
) -> None:
    """Show who keeps an entry from its line; None that nobody does."""
    if details is not None:
        details = {"wanted": line_settings(modbus_params(entry.data)), **details}
    _show(hass, LINE_IN_USE, details, entry)


@callback
def show_loss(
    hass: HomeAssistant, entry: ConfigEntry, details: Mapping[str, str] | None
) -> None:
    """Show that the archive lacks a record that was told of, until it has it; None that it does.

    ``details`` name transaction, number and hash.
    """
    if details is not None:
        LOGGER.error(
            "%s: the archive has no record %s any more, of transaction %s",
            entry.title,
            details["number"],
            details["transaction_id"],
        )
    _show(hass, RECEIPTS_LOST, details, entry)


def lost_record(hass: HomeAssistant, entry: ConfigEntry) -> Link | None:
    """Return the record that the archive was last found to lack."""
    issue = ir.async_get(hass).async_get_issue(DOMAIN, _issue_id(RECEIPTS_LOST, entry))
    if issue is None or issue.data is None:
        return None
    return Link(number=int(str(issue.data["number"])), hash=str(issue.data["hash"]))


def _show(
    hass: HomeAssistant,
    key: str,
    details: Mapping[str, str] | None,
    entry: ConfigEntry | None = None,
) -> None:
    """Show an issue, of one meter or of all; None takes it back."""
    issue_id = key if entry is None else _issue_id(key, entry)
    if details is None:
        ir.async_delete_issue(hass, DOMAIN, issue_id)
        return
    ir.async_create_issue(
        hass,
        DOMAIN,
        issue_id,
        data={"entry_id": entry.entry_id, "key": key, **details} if entry else None,
        is_fixable=key in _FIXABLE,
        # The archive alone does not show it again once another session was kept.
        is_persistent=key == RECEIPTS_LOST,
        learn_more_url=_LEARN_MORE,
        severity=ir.IssueSeverity.WARNING
        if key in _WARNINGS
        else ir.IssueSeverity.ERROR,
        translation_key=REGISTER_REFUSED if key in _REGISTERS else key,
        translation_placeholders={**details, "meter": entry.title}
        if entry
        else dict(details),
    )


def _issue_id(key: str, entry: ConfigEntry) -> str:
    return f"{key}_{entry.entry_id}"


class _Flow(RepairsFlow):
    """A decision about one meter."""

    _needs_meter = True
    """Whether the meter must be there for it."""

    def __init__(self, entry: DcMeterConfigEntry, data: Mapping[str, Any]) -> None:
        self._entry = entry
        self._data = data

    def _placeholders(self) -> dict[str, str]:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        return dict((issue and issue.translation_placeholders) or {})

    async def _decide(self) -> None:
        """Carry the decision out."""
        raise NotImplementedError

    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Explain and ask."""
        return await self.async_step_confirm()

    async def async_step_confirm(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Carry out what was confirmed."""
        if user_input is None:
            return self.async_show_form(
                step_id="confirm", description_placeholders=self._placeholders()
            )
        return await self._carry_out()

    async def _carry_out(self) -> RepairsFlowResult:
        try:
            with translated_errors():
                if (
                    self._needs_meter
                    and self._entry.state is not ConfigEntryState.LOADED
                ):
                    raise MeterUnreachableError(error=self._entry.reason or "–")
                await self._decide()
        except HomeAssistantError as err:
            return self.async_abort(
                reason="failed",
                description_placeholders={"error": await self._told(err)},
            )
        return self.async_create_entry(data={})

    async def _told(self, err: HomeAssistantError) -> str:
        """Return what an error says, in Home Assistant's language; its own text is English."""
        texts = await async_get_translations(
            self.hass, self.hass.config.language, "exceptions", [DOMAIN]
        )
        text = texts.get(f"component.{DOMAIN}.exceptions.{err.translation_key}.message")
        if text is None:
            return str(err)
        return text.format(**(err.translation_placeholders or {}))


class _KeyChangedFlow(_Flow):
    """Accept the key that was shown: not what the meter may show since."""

    @override
    async def _decide(self) -> None:
        data = self._entry.runtime_data
        shown = str(self._data["shown"])
        await data.trust.set(data.meter.identity, shown, TrustOrigin.EXCHANGED)
        data.coordinator.async_update_listeners()


class _RegisterRefusedFlow(_Flow):
    """Take what the register shows now."""

    @override
    async def _decide(self) -> None:
        coordinator = self._entry.runtime_data.coordinator
        await coordinator.take_register(_REGISTERS[self._data["key"]])


class _MeterExchangedFlow(_Flow):
    """Let the entry belong to the meter that answers now."""

    _needs_meter = False

    @override
    async def _decide(self) -> None:
        issue = ir.async_get(self.hass).async_get_issue(DOMAIN, self.issue_id)
        if issue is None or issue.data != self._data:
            raise NoLongerSoError
        expected, found = str(self._data["expected"]), str(self._data["found"])
        if self.hass.config_entries.async_entry_for_domain_unique_id(DOMAIN, found):
            # It has an entry of its own: two meters changed places, or it was added since.
            raise WrongMeterError(expected=expected, found=found)
        if self._entry.state is ConfigEntryState.LOADED:
            # Its session would be written of once more.
            await self.hass.config_entries.async_unload(self._entry.entry_id)
        old = find_device(self.hass, self._entry)
        try:
            if old is not None:
                error = WrongMeterError(expected=expected, found=found)
                await self._fail_session(old, error)
            self.hass.config_entries.async_update_entry(
                self._entry,
                unique_id=found,
                title=self._entry.title.replace(expected, found),
            )
            if old is not None:
                take_place(self.hass, self._entry, old)
        finally:
            self.hass.config_entries.async_schedule_reload(self._entry.entry_id)

    async def _fail_session(self, old: DeviceEntry, error: WrongMeterError) -> None:
        """Tell of the old meter's session, if one runs, that it has failed."""
        archive = await async_archive(self.hass)
        trust = Trust(self.hass, archive, dt_util.now)
        serial_number = serial_number_of(old)
        try:
            await fail_replaced(
                self.hass,
                Ledger(self.hass, archive, trust, serial_number),
                announcer(self.hass, old.id, serial_number),
                error,
            )
        except DamagedRecordError as err:
            LOGGER.warning("What %s did last cannot be read: %s", serial_number, err)


class _ForeignTransactionFlow(_Flow):
    """Take a transaction over, or end it and keep its receipt."""

    @override
    async def async_step_init(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Let the owner choose."""
        return self.async_show_menu(
            step_id="init",
            menu_options=["adopt", "end"],
            description_placeholders=self._placeholders(),
        )

    async def async_step_adopt(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """Take it over."""
        self._end = False
        return await self._carry_out()

    async def async_step_end(
        self, user_input: dict[str, str] | None = None
    ) -> RepairsFlowResult:
        """End it."""
        self._end = True
        return await self._carry_out()

    @override
    async def _decide(self) -> None:
        sessions = self._entry.runtime_data.sessions
        if self._end:
            await sessions.end_foreign()
        else:
            await sessions.adopt()


_FLOWS: dict[str, type[_Flow]] = {
    KEY_CHANGED: _KeyChangedFlow,
    METER_EXCHANGED: _MeterExchangedFlow,
    FOREIGN_TRANSACTION: _ForeignTransactionFlow,
    **dict.fromkeys(_REGISTERS, _RegisterRefusedFlow),
}


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: dict[str, Any] | None
) -> RepairsFlow:
    """Return the flow for an issue of this integration."""
    assert data is not None
    entry = hass.config_entries.async_get_known_entry(data["entry_id"])
    return _FLOWS[data["key"]](entry, data)
