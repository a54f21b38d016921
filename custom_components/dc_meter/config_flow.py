"""Choose a meter or search for it, learn who it is; reconfigure; options."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
import math
from types import MappingProxyType
from typing import Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlowWithReload,
)
from homeassistant.const import CONF_ADDRESS, CONF_URL
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)

from .archive import ArchiveError
from .connection import (
    LineInUseError,
    dct1_search,
    line_settings,
    modbus_params,
    temporary_meter,
)
from .const import (
    CONF_LABEL_KEY,
    CONF_LOW_SIDE_SENSING,
    CONF_METER,
    CONF_TARIFF_TEXT,
    DOMAIN,
    METER_DCT1,
    METER_IEM_DCR,
)
from .coordinator import DcMeterData
from .forms import (
    DCT1_NETWORK_SCHEMA,
    DCT1_SERIAL_SCHEMA,
    GATEWAY,
    IEM_DCR_CONNECTION,
    IEM_DCR_FACTORY,
    IEM_DCR_SCHEMA,
    NAMES,
    OPTION_KEYS,
    OPTIONS_SCHEMAS,
    REACHED_BY,
    SECTIONS,
    SERIAL_PORT,
    FieldError,
    check_texts,
    data_and_options,
    dct1_settings,
    filled_in,
    iem_dcr_settings,
    possible_lines,
)
from .metering.dct1_search import Dct1Search, FoundDct1, Line
from .metering.errors import (
    InvalidAddressError,
    MeterError,
    MeterUnreachableError,
    WrongMeterError,
)
from .metering.meter import MeterIdentity
from .trust import TrustOrigin, is_same_key

FOUND = "found"
SEARCH_ON = "search_on"


async def _leave(
    hass: HomeAssistant, entry: ConfigEntry, lines: Iterable[Line]
) -> bool:
    """Unload an entry that holds one of these lines with other settings; tell whether it did.

    One line serves one set of settings. An entry that waits to retry would set the line up
    with the old ones meanwhile, so it counts as holding it.
    """
    async with entry.setup_lock:
        holds = entry.state in (ConfigEntryState.LOADED, ConfigEntryState.SETUP_RETRY)
    held = modbus_params(entry.data)
    return (
        holds
        and any(line.endpoint == held.endpoint and line != held for line in lines)
        and await hass.config_entries.async_unload(entry.entry_id)
    )


class DcMeterConfigFlow(ConfigFlow, domain=DOMAIN):
    """Set up a meter."""

    VERSION = 1

    _place: Mapping[str, Any] = MappingProxyType({})
    """Where was searched last, as it was typed."""

    _sensing: Mapping[str, Any] = MappingProxyType({})
    """What was chosen before the search went on."""

    _search: Dct1Search
    _search_step: str
    _lines: Mapping[Line, Mapping[str, Any]]
    _searching: asyncio.Task[FoundDct1 | None] | None = None
    _search_error: MeterError | LineInUseError | None = None

    @property
    def _reconfigured(self) -> ConfigEntry | None:
        """The entry that is reconfigured; None when a meter is set up."""
        if self.source != SOURCE_RECONFIGURE:
            return None
        return self._get_reconfigure_entry()

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> DcMeterOptionsFlow:
        """Return the options flow."""
        return DcMeterOptionsFlow()

    @override
    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose the meter."""
        return self.async_show_menu(
            step_id="user", menu_options=[METER_DCT1, METER_IEM_DCR]
        )

    async def async_step_dct1(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose how the DCT1 is reached."""
        return self.async_show_menu(
            step_id="dct1",
            menu_options=[
                "dct1_search_serial",
                "dct1_search_network",
                "dct1_serial",
                "dct1_network",
            ],
        )

    async def async_step_dct1_search_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Search a serial port for DCT1s."""
        return await self._async_step_search(
            "dct1_search_serial", vol.Schema(SERIAL_PORT), user_input
        )

    async def async_step_dct1_search_network(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Search behind a network gateway for DCT1s."""
        return await self._async_step_search(
            "dct1_search_network", vol.Schema(GATEWAY), user_input
        )

    async def _async_step_search(
        self, step_id: str, schema: vol.Schema, user_input: dict[str, Any] | None
    ) -> ConfigFlowResult:
        """Ask where to search, and say why that could not be."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        entry = self._reconfigured
        if user_input is not None:
            try:
                self._lines = possible_lines(user_input)
                self._search = await dct1_search(
                    self.hass, list(self._lines), self._known(), leaving=entry
                )
            except FieldError as err:
                errors[err.field] = err.error
            except LineInUseError as err:
                errors["base"] = err.key
                placeholders |= err.details
            else:
                self._search_step, self._place = step_id, user_input
                return await self.async_step_dct1_searching()
        elif (failed := self._search_error) is not None:
            self._search_error = None
            errors["base"] = failed.key
            placeholders |= failed.details
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or {**(entry.data if entry else {}), **self._place}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_dct1_searching(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Search until a meter is found or the likely places are through.

        Closing the dialogue cancels the task, and Home Assistant's stop does as well.
        """
        if self._searching is None:
            self._searching = self.hass.async_create_background_task(
                self._async_search_on(),
                f"{DOMAIN} search",
                # Done at once, it would hand the form that began it on to the next step.
                eager_start=False,
            )
        if not self._searching.done():
            return self.async_show_progress(
                step_id="dct1_searching",
                progress_action="searching",
                description_placeholders=self._searched(),
                progress_task=self._searching,
            )
        searched, self._searching = self._searching, None
        try:
            searched.result()
        except (MeterError, LineInUseError) as err:
            self._search_error = err
            return self.async_show_progress_done(next_step_id=self._search_step)
        return self.async_show_progress_done(
            next_step_id="dct1_found" if self._offers() else "dct1_nothing"
        )

    async def _async_search_on(self) -> FoundDct1 | None:
        """Search; an entry that is reconfigured leaves the line meanwhile."""
        entry = self._reconfigured
        left = entry is not None and await _leave(self.hass, entry, self._lines)
        try:
            return await self._search.go_on(self._show_progress())
        finally:
            if left and entry is not None:
                self.hass.config_entries.async_schedule_reload(entry.entry_id)

    def _show_progress(self) -> Callable[[float], None]:
        """Return what shows the progress, each percent once."""
        shown = 0

        @callback
        def show(share: float) -> None:
            nonlocal shown
            if (percent := int(100 * share)) > shown:
                shown = percent
                self.async_update_progress(percent / 100)

        return show

    def _known(self) -> set[str]:
        """Return the serial numbers of the meters that are set up, but for a reconfigured one."""
        entry = self._reconfigured
        return {
            unique_id
            for unique_id in self._async_current_ids()
            if unique_id is not None and (entry is None or unique_id != entry.unique_id)
        }

    def _offers(self) -> dict[str, FoundDct1]:
        """Return the meters that can be set up, by serial number."""
        known = self._known()
        return {
            found.identity.serial_number: found
            for found in self._search.found
            if found.identity.serial_number not in known
        }

    def _searched(self) -> dict[str, str]:
        """Return, in words of no language, how far the search is."""
        search, offers = self._search, self._offers()
        known = [
            found.identity.serial_number
            for found in search.found
            if found.identity.serial_number not in offers
        ]
        lines = [line_settings(line) for line in search.due_lines]
        return {
            "settings": f"{lines[0]} …" if len(lines) > 1 else "".join(lines),
            "minutes": str(math.ceil(search.expected_s / 60)),
            "known": ", ".join(known) or "–",
            "others": ", ".join(map(str, sorted(search.others))) or "–",
        }

    async def async_step_dct1_nothing(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that nothing new was found, and offer to search on."""
        by_hand = self._search_step.replace("search_", "")
        if self._reconfigured is not None:
            by_hand = f"reconfigure_{by_hand}"
        more = [] if self._search.is_over else ["dct1_searching"]
        return self.async_show_menu(
            step_id="dct1_nothing",
            menu_options=[*more, self._search_step, by_hand],
            description_placeholders=self._searched(),
        )

    async def async_step_dct1_found(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user choose from what was found, or search on."""
        errors: dict[str, str] = {}
        placeholders = self._searched()
        offers = self._offers()
        if user_input is not None:
            if user_input[FOUND] == SEARCH_ON:
                self._sensing = {
                    CONF_LOW_SIDE_SENSING: user_input[CONF_LOW_SIDE_SENSING]
                }
                return await self.async_step_dct1_searching()
            if (found := offers.get(user_input[FOUND])) is None:
                # Another dialogue was faster.
                return self.async_abort(reason="already_configured")
            form = {
                **self._lines[found.line],
                CONF_ADDRESS: found.address,
                CONF_LOW_SIDE_SENSING: user_input[CONF_LOW_SIDE_SENSING],
            }
            answer: dict[str, str] = {}
            settings, identity = await self._async_probe(form, answer, placeholders)
            if identity is not None:
                return await self._async_finish(settings, identity)
            errors["base"] = next(iter(answer.values()))
        options = [
            SelectOptionDict(
                value=serial_number,
                label=f"{serial_number} · Modbus {found.address}"
                f" · {line_settings(found.line)}",
            )
            for serial_number, found in offers.items()
        ]
        if not self._search.is_over:
            options.append(SelectOptionDict(value=SEARCH_ON, label=SEARCH_ON))
        entry = self._reconfigured
        likeliest = next(reversed(offers))
        if entry is not None and entry.unique_id in offers:
            likeliest = entry.unique_id
        schema = vol.Schema(
            {
                vol.Required(FOUND, default=likeliest): SelectSelector(
                    SelectSelectorConfig(
                        options=options,
                        translation_key=FOUND,
                        mode=SelectSelectorMode.LIST,
                    )
                ),
                vol.Required(CONF_LOW_SIDE_SENSING, default=True): BooleanSelector(),
            }
        )
        return self.async_show_form(
            step_id="dct1_found",
            data_schema=self.add_suggested_values_to_schema(
                schema,
                user_input or {**(entry.options if entry else {}), **self._sensing},
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def async_step_dct1_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up a DCT1 on a serial port."""
        return await self._async_step_meter(
            "dct1_serial", DCT1_SERIAL_SCHEMA, user_input
        )

    async def async_step_dct1_network(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up a DCT1 behind a network gateway."""
        return await self._async_step_meter(
            "dct1_network", DCT1_NETWORK_SCHEMA, user_input
        )

    async def async_step_iem_dcr(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Set up an IEM-DCR."""
        return await self._async_step_meter(
            "iem_dcr", IEM_DCR_SCHEMA, user_input, IEM_DCR_FACTORY
        )

    async def _async_step_meter(
        self,
        step_id: str,
        schema: vol.Schema,
        user_input: dict[str, Any] | None,
        suggested: Mapping[str, Any] | None = None,
    ) -> ConfigFlowResult:
        """Ask for the settings, then the meter behind them who it is."""
        errors: dict[str, str] = {}
        placeholders: dict[str, str] = {}
        if (entry := self._reconfigured) is not None:
            suggested = filled_in(entry.data | entry.options)
        if user_input is not None:
            settings, identity = await self._async_probe(
                user_input, errors, placeholders
            )
            if identity is not None:
                return await self._async_finish(settings, identity)
        return self.async_show_form(
            step_id=step_id,
            data_schema=self.add_suggested_values_to_schema(
                schema, user_input or {**(suggested or {}), **self._place}
            ),
            errors=errors,
            description_placeholders=placeholders,
        )

    async def _async_finish(
        self, settings: Mapping[str, Any], identity: MeterIdentity
    ) -> ConfigFlowResult:
        """Let the entry that is reconfigured use these settings, or make one."""
        data, options = data_and_options(settings)
        if (entry := self._reconfigured) is not None:
            return self.async_update_reload_and_abort(
                entry, data=data, options=entry.options | options
            )
        await self.async_set_unique_id(identity.serial_number)
        self._abort_if_unique_id_configured()
        return self.async_create_entry(
            title=f"{NAMES[data[CONF_METER]]} {identity.serial_number}",
            data=data,
            options=options,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the user change how the meter is reached; it must stay the same meter."""
        entry = self._get_reconfigure_entry()
        if entry.data[CONF_METER] == METER_IEM_DCR:
            return await self.async_step_reconfigure_iem_dcr()
        return self.async_show_menu(
            step_id="reconfigure",
            menu_options=[
                "dct1_search_serial",
                "dct1_search_network",
                "reconfigure_dct1_serial",
                "reconfigure_dct1_network",
            ],
        )

    async def async_step_reconfigure_dct1_serial(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Reconfigure a DCT1 on a serial port."""
        return await self._async_step_meter(
            "reconfigure_dct1_serial", DCT1_SERIAL_SCHEMA, user_input
        )

    async def async_step_reconfigure_dct1_network(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Reconfigure a DCT1 behind a network gateway."""
        return await self._async_step_meter(
            "reconfigure_dct1_network", DCT1_NETWORK_SCHEMA, user_input
        )

    async def async_step_reconfigure_iem_dcr(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Reconfigure an IEM-DCR."""
        return await self._async_step_meter(
            "reconfigure_iem_dcr", vol.Schema(IEM_DCR_CONNECTION), user_input
        )

    async def _async_probe(
        self,
        user_input: dict[str, Any],
        errors: dict[str, str],
        placeholders: dict[str, str],
    ) -> tuple[dict[str, Any], MeterIdentity | None]:
        """Talk to the meter behind the form; what is wrong goes into ``errors``."""
        kind = METER_IEM_DCR if CONF_URL in user_input else METER_DCT1
        entry = self._reconfigured
        options = (
            {}
            if entry is None
            else {
                key: entry.options[key]
                for key in OPTION_KEYS[kind]
                if key in entry.options
            }
        )
        left = False
        try:
            settings = (
                iem_dcr_settings(options | user_input)
                if kind == METER_IEM_DCR
                else dct1_settings(options | user_input)
            )
            if entry is not None and kind == METER_DCT1:
                left = await _leave(self.hass, entry, [modbus_params(settings)])
            async with temporary_meter(self.hass, settings) as meter:
                identity = await meter.identify()
            if entry is not None and identity.serial_number != entry.unique_id:
                raise WrongMeterError(
                    expected=entry.unique_id, found=identity.serial_number
                )
        except FieldError as err:
            errors[err.field] = err.error
        except InvalidAddressError:
            errors[CONF_URL] = "invalid_url"
        except MeterUnreachableError as err:
            errors[next(field for field in REACHED_BY if field in user_input)] = err.key
            placeholders |= err.details
        except MeterError as err:
            errors["base"] = err.key
            placeholders |= err.details
        except LineInUseError as err:
            errors["base"] = err.key
            placeholders |= err.details
        else:
            return settings, identity
        if left and entry is not None:
            # The old settings stay in force, so the meter goes back to work with them.
            await self.hass.config_entries.async_setup(entry.entry_id)
        return {}, None


class DcMeterOptionsFlow(OptionsFlowWithReload):
    """Change what does not touch the connection."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show and keep the options of this kind of meter."""
        kind = self.config_entry.data[CONF_METER]
        errors: dict[str, str] = {}
        if user_input is not None:
            options = dict(user_input)
            for name in SECTIONS.keys() & user_input.keys():
                options |= options.pop(name)
            if CONF_TARIFF_TEXT in self.config_entry.options:
                # The text before is in the meter, and is to be taken out of it.
                options.setdefault(CONF_TARIFF_TEXT, "")
            try:
                check_texts(options)
                await self._confirm_key(options.pop(CONF_LABEL_KEY, ""))
            except FieldError as err:
                errors[err.field] = err.error
            else:
                return self.async_create_entry(data=options)
        return self.async_show_form(
            step_id=kind,
            data_schema=self.add_suggested_values_to_schema(
                OPTIONS_SCHEMAS[kind],
                user_input or filled_in(self.config_entry.options),
            ),
            errors=errors,
        )

    async def _confirm_key(self, label: str) -> None:
        """Trust the meter's key for good when its label says the same."""
        if not label.strip():
            return
        if self.config_entry.state is not ConfigEntryState.LOADED:
            raise FieldError(CONF_LABEL_KEY, "not_loaded")
        data: DcMeterData = self.config_entry.runtime_data
        identity = data.meter.identity
        if identity.public_key is None or not is_same_key(
            label, identity.public_key, identity.signing_method
        ):
            raise FieldError(CONF_LABEL_KEY, "label_key_differs")
        try:
            await data.trust.set(identity, identity.public_key, TrustOrigin.LABEL)
        except ArchiveError as err:
            raise FieldError("base", "archive_unusable") from err
        data.coordinator.async_update_listeners()

    async_step_dct1 = async_step_init
    async_step_iem_dcr = async_step_init
