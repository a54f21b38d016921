"""Sensors of a meter."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import (
    EntityCategory,
    UnitOfElectricCurrent,
    UnitOfElectricPotential,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfTime,
)
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.helpers.event import async_call_later

from .coordinator import DcMeterConfigEntry, DcMeterCoordinator
from .economy import ALWAYS, Economy, may_wait
from .entity import DcMeterValueDescription, DcMeterValueEntity, has
from .metering.meter import Capability, ClockState, MeterReading
from .session import Session

PARALLEL_UPDATES = 0

type _Value = str | int | float | Decimal | datetime | None


@dataclass(frozen=True, kw_only=True)
class DcMeterSensorDescription(
    DcMeterValueDescription[_Value], SensorEntityDescription
):
    """What a sensor takes from the last reading, the running session, or the meter."""

    last_reset_fn: Callable[[DcMeterCoordinator], datetime | None] | None = None

    waits_below: Callable[[Economy], Decimal] | None = None
    """The change below which a value may wait to be shown; None where none may."""


def _session[T](
    value_fn: Callable[[Session], T],
) -> Callable[[DcMeterCoordinator], T | None]:
    def value(coordinator: DcMeterCoordinator) -> T | None:
        session = coordinator.sessions.current
        return None if session is None else value_fn(session)

    return value


def _transaction_wh(
    coordinator: DcMeterCoordinator,
    counted: Callable[[MeterReading], Decimal | None],
    register: Callable[[Any], Decimal | None],
) -> Decimal | None:
    """Energy of the running transaction: the meter's own count, else register less begin."""
    reading = coordinator.data
    session = coordinator.sessions.current
    if session is None or not coordinator.sessions.is_running(
        reading.transaction_active
    ):
        return None
    if (count := counted(reading)) is not None:
        return count
    now = register(reading)
    if session.start is None or now is None:
        return None
    begin = register(session.start.turned(reversed_=reading.reversed))
    # The reading can be older than the begin.
    return None if begin is None or now < begin else now - begin


def transaction_import_wh(coordinator: DcMeterCoordinator) -> Decimal | None:
    """Energy into the car since the running transaction began."""
    return _transaction_wh(
        coordinator,
        lambda reading: reading.transaction_import_wh,
        lambda registers: registers.energy_import_wh,
    )


def transaction_export_wh(coordinator: DcMeterCoordinator) -> Decimal | None:
    """Energy out of the car since the running transaction began."""
    return _transaction_wh(
        coordinator,
        lambda reading: reading.transaction_export_wh,
        lambda registers: registers.energy_export_wh,
    )


def _trust(coordinator: DcMeterCoordinator) -> str | None:
    """Why the key is trusted, or that it is not."""
    trust = coordinator.config_entry.runtime_data.trust
    if trust.is_broken_by(coordinator.meter.identity):
        return "changed"
    return None if trust.key is None else trust.key.origin


def _poll_duration_ms(coordinator: DcMeterCoordinator) -> float | None:
    took_s = coordinator.polls.last_duration_s
    return None if took_s is None else took_s * 1000


def _kwh(watt_hours: Decimal | None) -> Decimal | None:
    """Move the decimal point: exact, where a conversion through float is not."""
    return None if watt_hours is None else watt_hours.scaleb(-3)


def _energy(
    key: str,
    value_fn: Callable[[DcMeterCoordinator], Decimal | None],
    last_reset_fn: Callable[[DcMeterCoordinator], datetime | None] | None = None,
) -> DcMeterSensorDescription:
    """Describe a count of energy."""
    return DcMeterSensorDescription(
        key=key,
        translation_key=key,
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=3,
        value_fn=value_fn,
        last_reset_fn=last_reset_fn,
        waits_below=lambda _: ALWAYS,
    )


SENSORS = (
    _energy(
        "energy_import",
        lambda coordinator: _kwh(coordinator.data.energy_import_wh),
    ),
    _energy(
        "energy_export",
        lambda coordinator: _kwh(coordinator.data.energy_export_wh),
    ),
    DcMeterSensorDescription(
        key="power",
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_display_precision=0,
        value_fn=lambda coordinator: coordinator.data.power_w,
        waits_below=lambda economy: economy.power_w,
    ),
    DcMeterSensorDescription(
        key="voltage",
        translation_key="voltage",
        device_class=SensorDeviceClass.VOLTAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricPotential.VOLT,
        suggested_display_precision=1,
        value_fn=lambda coordinator: coordinator.data.voltage_v,
        waits_below=lambda economy: economy.voltage_v,
    ),
    DcMeterSensorDescription(
        key="current",
        translation_key="current",
        device_class=SensorDeviceClass.CURRENT,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfElectricCurrent.AMPERE,
        suggested_display_precision=2,
        value_fn=lambda coordinator: coordinator.data.current_a,
        waits_below=lambda economy: economy.current_a,
    ),
    _energy(
        "transaction_energy_import",
        lambda coordinator: _kwh(transaction_import_wh(coordinator)),
        last_reset_fn=_session(lambda session: session.asked_at),
    ),
    _energy(
        "transaction_energy_export",
        lambda coordinator: _kwh(transaction_export_wh(coordinator)),
        last_reset_fn=_session(lambda session: session.asked_at),
    ),
    DcMeterSensorDescription(
        key="transaction_id",
        translation_key="transaction_id",
        value_fn=_session(lambda session: session.transaction_id),
    ),
    DcMeterSensorDescription(
        key="transaction_start",
        translation_key="transaction_start",
        device_class=SensorDeviceClass.TIMESTAMP,
        value_fn=_session(lambda session: session.started_at),
    ),
    DcMeterSensorDescription(
        key="public_key",
        translation_key="public_key",
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.meter.identity.public_key,
        attributes_fn=lambda coordinator: {
            "form": coordinator.meter.identity.public_key_form,
            "signing_method": coordinator.meter.identity.signing_method,
            "trust": _trust(coordinator),
        },
        exists_fn=lambda meter: meter.identity.public_key is not None,
    ),
    DcMeterSensorDescription(
        key="clock_offset",
        translation_key="clock_offset",
        device_class=SensorDeviceClass.DURATION,
        native_unit_of_measurement=UnitOfTime.SECONDS,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.data.clock_offset_s,
        exists_fn=has(Capability.CLOCK),
    ),
    DcMeterSensorDescription(
        key="clock_state",
        translation_key="clock_state",
        device_class=SensorDeviceClass.ENUM,
        options=[state.value for state in ClockState],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.data.clock_state,
        exists_fn=has(Capability.CLOCK),
    ),
    DcMeterSensorDescription(
        key="cable_resistance",
        translation_key="cable_resistance",
        native_unit_of_measurement="Ω",
        suggested_display_precision=3,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.data.cable_resistance_ohm,
        exists_fn=has(Capability.CABLE_RESISTANCE),
    ),
    DcMeterSensorDescription(
        key="poll_duration",
        translation_key="poll_duration",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MILLISECONDS,
        suggested_display_precision=0,
        entity_category=EntityCategory.DIAGNOSTIC,
        entity_registry_enabled_default=False,
        value_fn=_poll_duration_ms,
        waits_below=lambda _: ALWAYS,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: DcMeterConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors this meter has."""
    coordinator = entry.runtime_data.coordinator
    economy = Economy.chosen(entry.options)
    async_add_entities(
        DcMeterSensor(coordinator, description)
        if economy is None or description.waits_below is None
        else DcMeterWaitingSensor(coordinator, description, economy)
        for description in SENSORS
        if description.exists_fn(coordinator.meter)
    )


class DcMeterSensor(DcMeterValueEntity, SensorEntity):
    """A value of a meter."""

    entity_description: DcMeterSensorDescription

    @property
    @override
    def native_value(self) -> _Value:
        """The value, exact."""
        return self.entity_description.value_fn(self.coordinator)

    @property
    @override
    def last_reset(self) -> datetime | None:
        """When a count that begins anew with each session last did."""
        if (last_reset_fn := self.entity_description.last_reset_fn) is None:
            return None
        return last_reset_fn(self.coordinator)

    @override
    def _says(self) -> tuple[object, ...]:
        return (
            self.available,
            self.native_value,
            self.extra_state_attributes,
            self.last_reset,
        )


class DcMeterWaitingSensor(DcMeterSensor):
    """A value whose small changes wait, so that the database grows less."""

    def __init__(
        self,
        coordinator: DcMeterCoordinator,
        description: DcMeterSensorDescription,
        economy: Economy,
    ) -> None:
        """Let changes wait below the bound of this value."""
        super().__init__(coordinator, description)
        assert description.waits_below is not None
        self._bound = description.waits_below(economy)
        self._longest_wait_s = economy.longest_wait_s
        self._shown: _Value = None
        self._was_available = False
        self._stop_waiting: CALLBACK_TYPE | None = None

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        value = self.native_value
        if (
            self.coordinator.exact
            or self.available != self._was_available
            or not may_wait(self._shown, value, self._bound)
        ):
            self._show()
        elif value != self._shown and self._stop_waiting is None:
            self._stop_waiting = async_call_later(
                self.hass, self._longest_wait_s, self._show
            )

    @callback
    def _show(self, _: datetime | None = None) -> None:
        self._end_wait()
        self._shown, self._was_available = self.native_value, self.available
        self.async_write_ha_state()

    @callback
    def _end_wait(self) -> None:
        if self._stop_waiting is not None:
            self._stop_waiting()
            self._stop_waiting = None

    @override
    async def async_will_remove_from_hass(self) -> None:
        """Wait no more; what there was to show is shown before it comes to this."""
        self._end_wait()
