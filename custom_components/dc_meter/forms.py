"""What a user is asked about a meter, and the settings that are made of it."""

from collections.abc import Mapping
from ipaddress import ip_address
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import voluptuous as vol
from yarl import URL

from homeassistant.const import (
    CONF_ADDRESS,
    CONF_DEVICE,
    CONF_HOST,
    CONF_PORT,
    CONF_URL,
)
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    SerialPortSelector,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.helpers.typing import VolDictType

from .connection import modbus_params
from .const import (
    CONF_BAUDRATE,
    CONF_CHARGE_POINT_ID,
    CONF_CHARGE_POINT_TYPE,
    CONF_CLOCK_INTERVAL,
    CONF_CURRENT_BOUND,
    CONF_FRAMER,
    CONF_LABEL_KEY,
    CONF_LONGEST_WAIT,
    CONF_LOW_SIDE_SENSING,
    CONF_METER,
    CONF_PARITY,
    CONF_POWER_BOUND,
    CONF_PRICE,
    CONF_PRICE_ENTITY,
    CONF_RECORDING,
    CONF_RETRIES,
    CONF_RETRY_DELAY,
    CONF_SHOW_USER_ID,
    CONF_STOPBITS,
    CONF_TARIFF_TEXT,
    CONF_VOLTAGE_BOUND,
    METER_DCT1,
    METER_IEM_DCR,
)
from .economy import Economy, Recording
from .metering.dct1_search import Line
from .metering.errors import InvalidRequestError
from .metering.iem_dcr import check_text
from .price import MAX_PRICE

SECTION_ADVANCED = "advanced"
SECTION_ECONOMY = "economy"

OPTION_KEYS = {
    METER_DCT1: (CONF_LOW_SIDE_SENSING,),
    METER_IEM_DCR: (
        CONF_TARIFF_TEXT,
        CONF_CLOCK_INTERVAL,
        CONF_RETRIES,
        CONF_RETRY_DELAY,
        CONF_SHOW_USER_ID,
    ),
}


def _number(minimum: int, maximum: int, unit: str | None = None) -> vol.All[Any]:
    config = NumberSelectorConfig(
        min=minimum, max=maximum, step=1, mode=NumberSelectorMode.BOX
    )
    if unit is not None:
        config["unit_of_measurement"] = unit
    return vol.All(NumberSelector(config), vol.Coerce(int))


def _choice(key: str, *options: str) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=list(options),
            translation_key=key,
            mode=SelectSelectorMode.DROPDOWN,
        )
    )


DCT1_COMMON: VolDictType = {
    vol.Required(CONF_ADDRESS, default=1): _number(1, 247),
    vol.Required(CONF_LOW_SIDE_SENSING, default=True): BooleanSelector(),
}

# Factory settings and choices of Carlo Gavazzi's sister meters (inferred).
BAUDRATES = ("9600", "19200", "38400", "57600", "115200")
PARITIES = ("none", "even")
STOPBITS = ("1", "2")
FRAMERS = ("rtu", "socket")

SERIAL_PORT: VolDictType = {vol.Required(CONF_DEVICE): SerialPortSelector()}

GATEWAY: VolDictType = {
    vol.Required(CONF_HOST): TextSelector(),
    vol.Required(CONF_PORT, default=502): _number(1, 65535),
}

DCT1_SERIAL_SCHEMA = vol.Schema(
    {
        **SERIAL_PORT,
        vol.Required(CONF_BAUDRATE, default="9600"): _choice(CONF_BAUDRATE, *BAUDRATES),
        vol.Required(CONF_PARITY, default="none"): _choice(CONF_PARITY, *PARITIES),
        vol.Required(CONF_STOPBITS, default="1"): _choice(CONF_STOPBITS, *STOPBITS),
        **DCT1_COMMON,
    }
)

DCT1_NETWORK_SCHEMA = vol.Schema(
    {
        **GATEWAY,
        vol.Required(CONF_FRAMER, default="rtu"): _choice(CONF_FRAMER, *FRAMERS),
        **DCT1_COMMON,
    }
)

ADVANCED_SCHEMA = vol.Schema(
    {
        vol.Required(CONF_CLOCK_INTERVAL, default=2): _number(1, 24, "h"),
        vol.Required(CONF_RETRIES, default=3): _number(0, 5),
        vol.Required(CONF_RETRY_DELAY, default=250): _number(200, 1000, "ms"),
        vol.Required(CONF_SHOW_USER_ID, default=False): BooleanSelector(),
    }
)

TARIFF_TEXT: VolDictType = {
    vol.Optional(CONF_TARIFF_TEXT): TextSelector(),
}

IEM_DCR_CONNECTION: VolDictType = {
    vol.Required(CONF_URL): TextSelector(TextSelectorConfig(type=TextSelectorType.URL)),
    vol.Required(CONF_CHARGE_POINT_TYPE): TextSelector(),
    vol.Required(CONF_CHARGE_POINT_ID): TextSelector(),
}

IEM_DCR_OPTIONS: VolDictType = {
    **TARIFF_TEXT,
    vol.Required(SECTION_ADVANCED): section(ADVANCED_SCHEMA, {"collapsed": True}),
}

IEM_DCR_SCHEMA = vol.Schema({**IEM_DCR_CONNECTION, **IEM_DCR_OPTIONS})

PRICE: VolDictType = {
    vol.Optional(CONF_PRICE): NumberSelector(
        NumberSelectorConfig(
            min=0, max=MAX_PRICE, step="any", mode=NumberSelectorMode.BOX
        )
    ),
    vol.Optional(CONF_PRICE_ENTITY): EntitySelector(
        EntitySelectorConfig(domain=["sensor", "input_number", "number"])
    ),
}
LABEL_KEY: VolDictType = {vol.Optional(CONF_LABEL_KEY): TextSelector()}

ECONOMY_SCHEMA = vol.Schema(
    {
        vol.Required(key, default=float(getattr(Economy(), field))): NumberSelector(
            NumberSelectorConfig(
                min=minimum,
                max=maximum,
                step=step,
                unit_of_measurement=unit,
                mode=NumberSelectorMode.BOX,
            )
        )
        for key, field, minimum, maximum, step, unit in (
            (CONF_VOLTAGE_BOUND, "voltage_v", 0.1, 100, 0.1, "V"),
            (CONF_CURRENT_BOUND, "current_a", 0.01, 100, 0.01, "A"),
            (CONF_POWER_BOUND, "power_w", 1, 100_000, 1, "W"),
            (CONF_LONGEST_WAIT, "longest_wait_s", 5, 3600, 1, "s"),
        )
    }
)
RECORDING: VolDictType = {
    vol.Required(CONF_RECORDING, default=Recording.EVERY_CHANGE.value): _choice(
        CONF_RECORDING, *Recording
    ),
    # Without a default of its own: the form would take that, and not the fields'.
    vol.Required(SECTION_ECONOMY): section(ECONOMY_SCHEMA, {"collapsed": True}),
}

OPTIONS_SCHEMAS = {
    METER_DCT1: vol.Schema(
        {
            vol.Required(CONF_LOW_SIDE_SENSING, default=True): BooleanSelector(),
            **PRICE,
            **LABEL_KEY,
            **RECORDING,
        }
    ),
    METER_IEM_DCR: vol.Schema({**IEM_DCR_OPTIONS, **PRICE, **LABEL_KEY, **RECORDING}),
}

# As the meter leaves the factory.
IEM_DCR_FACTORY = {CONF_URL: "192.168.60.12"}

SECTIONS = {SECTION_ADVANCED: ADVANCED_SCHEMA, SECTION_ECONOMY: ECONOMY_SCHEMA}

# Short, since every entity id begins with it; the device shows the whole model.
NAMES = {METER_DCT1: "DCT1", METER_IEM_DCR: "IEM-DCR"}

# The fields that say where a meter is.
REACHED_BY = (CONF_DEVICE, CONF_HOST, CONF_URL)

_PARITIES = {"none": "N", "even": "E"}


class FieldError(Exception):
    """A field of the form holds what cannot be right."""

    def __init__(self, field: str, error: str) -> None:
        """Name the field, and the key of what its user is told."""
        super().__init__(error)
        self.field = field
        self.error = error


def _host(text: str) -> str:
    """Return a host name or address as the connection wants it."""
    host = text.strip().strip("[]").lower()
    try:
        if URL.build(scheme="tcp", host=host).host:
            return host
    except ValueError:
        pass
    raise FieldError(CONF_HOST, "invalid_host")


def _base_url(text: str) -> str:
    """Complete what the user typed: a host alone is enough."""
    text = text.strip()
    try:
        bare_ipv6 = ip_address(text).version == 6
    except ValueError:
        bare_ipv6 = False
    if bare_ipv6:
        text = f"[{text}]"
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        # Reading the port checks it, and so does building an address with the host.
        sound = url.port != 0 and URL.build(scheme="http", host=url.hostname or "").host
    except ValueError:
        sound = False
    if (
        not sound
        or url.scheme not in ("http", "https")
        or url.path.strip("/")
        or url.query
        or url.fragment
        or "@" in url.netloc
        or not text.isprintable()
        or " " in text
    ):
        raise FieldError(CONF_URL, "invalid_url")
    return f"{url.scheme}://{url.netloc.lower()}"


def dct1_settings(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the form of a DCT1 into settings; raises ``FieldError``."""
    settings = {CONF_METER: METER_DCT1, **user_input}
    if CONF_DEVICE in settings:
        settings[CONF_DEVICE] = settings[CONF_DEVICE].strip()
        if not settings[CONF_DEVICE]:
            raise FieldError(CONF_DEVICE, "empty")
        settings[CONF_BAUDRATE] = int(settings[CONF_BAUDRATE])
        settings[CONF_PARITY] = _PARITIES[settings[CONF_PARITY]]
        settings[CONF_STOPBITS] = int(settings[CONF_STOPBITS])
    else:
        settings[CONF_HOST] = _host(settings[CONF_HOST])
    return settings


def possible_lines(user_input: Mapping[str, Any]) -> dict[Line, dict[str, Any]]:
    """Return what a line can be, likeliest first, and the form that says so."""
    if CONF_HOST in user_input:
        forms = [{**user_input, CONF_FRAMER: framer} for framer in FRAMERS]
    elif user_input[CONF_DEVICE].strip().startswith("socket://"):
        # The gateway, not the port, has baud rate and parity.
        raise FieldError(CONF_DEVICE, "use_gateway")
    else:
        forms = [
            {
                **user_input,
                CONF_BAUDRATE: baudrate,
                CONF_PARITY: parity,
                CONF_STOPBITS: stopbits,
            }
            for stopbits, baudrate, parity in product(STOPBITS, BAUDRATES, PARITIES)
        ]
    return {modbus_params(dct1_settings(form)): form for form in forms}


def iem_dcr_settings(user_input: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the form of an IEM-DCR into settings; raises ``FieldError``."""
    settings = {CONF_METER: METER_IEM_DCR, **user_input}
    settings |= settings.pop(SECTION_ADVANCED, {})
    settings[CONF_URL] = _base_url(settings[CONF_URL])
    for field in (CONF_CHARGE_POINT_TYPE, CONF_CHARGE_POINT_ID):
        settings[field] = settings[field].strip()
        if not settings[field]:
            raise FieldError(field, "empty")
    check_texts(settings)
    return settings


def check_texts(settings: Mapping[str, Any]) -> None:
    """Raise ``FieldError`` for a text that no receipt of an IEM-DCR can carry."""
    for field in (CONF_CHARGE_POINT_TYPE, CONF_CHARGE_POINT_ID, CONF_TARIFF_TEXT):
        try:
            check_text(field, settings.get(field, ""))
        except InvalidRequestError as err:
            raise FieldError(field, err.key) from err


def filled_in(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn settings back into what the forms show."""
    form = dict(settings)
    if CONF_BAUDRATE in form:
        form[CONF_BAUDRATE] = str(form[CONF_BAUDRATE])
        form[CONF_PARITY] = {code: name for name, code in _PARITIES.items()}[
            form[CONF_PARITY]
        ]
        form[CONF_STOPBITS] = str(form[CONF_STOPBITS])
    for name, schema in SECTIONS.items():
        fields = {str(key) for key in schema.schema}
        form[name] = {key: form.pop(key) for key in fields & settings.keys()}
    return form


def data_and_options(
    settings: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part settings into the entry's data and its options."""
    keys = OPTION_KEYS[settings[CONF_METER]]
    return (
        {key: value for key, value in settings.items() if key not in keys},
        {key: settings[key] for key in keys if key in settings},
    )
