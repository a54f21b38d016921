"""Constants of the DC Charging Meter integration."""

from datetime import timedelta
import logging
from typing import Final

DOMAIN: Final = "dc_meter"
LOGGER = logging.getLogger(__package__)

POLL_INTERVAL: Final = timedelta(seconds=1)

CONF_METER: Final = "meter"
METER_DCT1: Final = "dct1"
METER_IEM_DCR: Final = "iem_dcr"

CONF_ADAPTER: Final = "adapter"
CONF_BAUDRATE: Final = "baudrate"
CONF_PARITY: Final = "parity"
CONF_STOPBITS: Final = "stopbits"
CONF_FRAMER: Final = "framer"
CONF_LOW_SIDE_SENSING: Final = "low_side_sensing"

CONF_CHARGE_POINT_TYPE: Final = "charge_point_type"
CONF_CHARGE_POINT_ID: Final = "charge_point_id"
CONF_TARIFF_TEXT: Final = "tariff_text"
CONF_CLOCK_INTERVAL: Final = "clock_interval"
CONF_RETRIES: Final = "retries"
CONF_RETRY_DELAY: Final = "retry_delay"
CONF_SHOW_USER_ID: Final = "show_user_id"

CONF_PRICE: Final = "price"
CONF_PRICE_ENTITY: Final = "price_entity"
CONF_LABEL_KEY: Final = "label_key"

CONF_RECORDING: Final = "recording"
CONF_VOLTAGE_BOUND: Final = "voltage_bound"
CONF_CURRENT_BOUND: Final = "current_bound"
CONF_POWER_BOUND: Final = "power_bound"
CONF_LONGEST_WAIT: Final = "longest_wait"

EVENT_DC_METER: Final = f"{DOMAIN}_event"
EVENT_STARTED: Final = "transaction_started"
EVENT_STOPPED: Final = "transaction_stopped"
EVENT_FAILED: Final = "transaction_failed"
EVENT_LOST: Final = "meter_lost"
EVENT_BACK: Final = "meter_back"
