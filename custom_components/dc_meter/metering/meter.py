"""The Meter protocol and the values that cross it.

Energies are exact ``Decimal`` watt-hours as the meter counts them: import is energy from
the charger into the car, export the other way. No value is made up: what a meter does not
know is ``None``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import Flag, StrEnum, auto
from typing import Any, Protocol
from unicodedata import category

_IN_NO_LINE = {"Cc", "Cs", "Cn", "Zl", "Zp"}


def is_line(text: str) -> bool:
    """Tell whether this is a line of text, with whatever people write.

    It has no control character, no line break, no half of a character, and none that Unicode
    does not know.
    """
    return _IN_NO_LINE.isdisjoint(map(category, text))


class Capability(Flag):
    """What one meter can do and another cannot."""

    TRANSACTIONS = auto()
    """Keeps transactions itself and signs a receipt at their end."""

    SIGNS_AT_BEGIN = auto()
    """Gives a signed value at the begin of a transaction."""

    CLOCK = auto()
    """Has a clock that is read and set."""

    TARIFF_TEXT = auto()
    """Shows a tariff text on its display."""

    ERROR_STATE = auto()
    """Reports error words."""

    CABLE_RESISTANCE = auto()
    """Corrects for the loss in the cable."""


class Notice(StrEnum):
    """What a meter lets its owner know, because only they can mend it."""

    CHARGE_POINT_FROZEN = "charge_point_frozen"
    """Receipts carry another charge point than the configured one, until a power cycle.

    Placeholders: ``frozen`` and ``configured``.
    """


class KeyForm(StrEnum):
    """The form in which a meter hands out its public key."""

    SUBJECT_PUBLIC_KEY_INFO = "subject_public_key_info"
    UNCOMPRESSED_POINT = "uncompressed_point"
    BARE_POINT = "bare_point"


class ClockState(StrEnum):
    """How far a meter's time can be trusted (OCMF 1.4, reading field TM)."""

    UNSYNCHRONIZED = "unsynchronized"
    INFORMATIVE = "informative"
    SYNCHRONIZED = "synchronized"
    RELATIVE = "relative"


class IdentificationStatus(StrEnum):
    """Whether a user is assigned (OCMF IS, spelled as in EVerest)."""

    ASSIGNED = "ASSIGNED"
    NOT_ASSIGNED = "NOT_ASSIGNED"


class IdentificationLevel(StrEnum):
    """How the user's identity was established (OCMF IL)."""

    NONE = "NONE"
    HEARSAY = "HEARSAY"
    TRUSTED = "TRUSTED"
    VERIFIED = "VERIFIED"
    CERTIFIED = "CERTIFIED"
    SECURE = "SECURE"
    MISMATCH = "MISMATCH"
    INVALID = "INVALID"
    OUTDATED = "OUTDATED"
    UNKNOWN = "UNKNOWN"


class IdentificationFlag(StrEnum):
    """By which means the user was identified (OCMF IF, tables 11 to 14)."""

    RFID_NONE = "RFID_NONE"
    RFID_PLAIN = "RFID_PLAIN"
    RFID_RELATED = "RFID_RELATED"
    RFID_PSK = "RFID_PSK"
    OCPP_NONE = "OCPP_NONE"
    OCPP_RS = "OCPP_RS"
    OCPP_AUTH = "OCPP_AUTH"
    OCPP_RS_TLS = "OCPP_RS_TLS"
    OCPP_AUTH_TLS = "OCPP_AUTH_TLS"
    OCPP_CACHE = "OCPP_CACHE"
    OCPP_WHITELIST = "OCPP_WHITELIST"
    OCPP_CERTIFIED = "OCPP_CERTIFIED"
    ISO15118_NONE = "ISO15118_NONE"
    ISO15118_PNC = "ISO15118_PNC"
    PLMN_NONE = "PLMN_NONE"
    PLMN_RING = "PLMN_RING"
    PLMN_SMS = "PLMN_SMS"


class IdentificationType(StrEnum):
    """What the identification data are (OCMF IT)."""

    NONE = "NONE"
    DENIED = "DENIED"
    UNDEFINED = "UNDEFINED"
    ISO14443 = "ISO14443"
    ISO15693 = "ISO15693"
    EMAID = "EMAID"
    EVCCID = "EVCCID"
    EVCOID = "EVCOID"
    ISO7812 = "ISO7812"
    CARD_TXN_NR = "CARD_TXN_NR"
    CENTRAL = "CENTRAL"
    CENTRAL_1 = "CENTRAL_1"
    CENTRAL_2 = "CENTRAL_2"
    LOCAL = "LOCAL"
    LOCAL_1 = "LOCAL_1"
    LOCAL_2 = "LOCAL_2"
    PHONE_NUMBER = "PHONE_NUMBER"
    KEY_CODE = "KEY_CODE"


MAX_IDENTIFICATION_FLAGS = 4
"""OCMF 1.4 allows at most four flags."""

MAX_TARIFF_TEXT = 250
"""Characters of a tariff text, the limit of OCMF 1.4 and of the IEM-DCR's display."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MeterIdentity:
    """Who a meter is."""

    manufacturer: str
    model: str
    serial_number: str
    firmware: str | None = None

    public_key: str | None = None
    """Hex, as the meter delivers it; None when it does not sign."""

    public_key_form: KeyForm | None = None
    signing_method: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class MeterReading:
    """What a meter shows at one moment; None is what it does not know or have."""

    energy_import_wh: Decimal | None
    energy_export_wh: Decimal | None
    power_w: Decimal
    voltage_v: Decimal
    current_a: Decimal

    energy_age_s: float = field(default=0.0, compare=False)
    """How long ago the energies were read, where they are read less often than the rest."""

    reversed: bool = False
    """Whether import and export have changed places against what the meter signs."""

    meter_time: datetime | None = None
    """The meter's own time, with the offset in force."""

    clock_state: ClockState | None = None

    clock_offset_s: int | None = None
    """Whole seconds the meter's clock is ahead; steadied against the meter's resolution."""

    transaction_active: bool | None = None
    """None where the meter keeps no transactions itself."""

    transaction_import_wh: Decimal | None = None
    transaction_export_wh: Decimal | None = None

    error_words: tuple[str, ...] | None = None
    """As the meter writes them; empty when all is well, None where it has none."""

    tariff_text: str | None = None
    cable_resistance_ohm: Decimal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedMeterValue:
    """One signature and what it speaks for, in the four fields of EVerest's interface."""

    signed_meter_data: str
    """The OCMF text, or base64 of the signed block and its signature."""

    signing_method: str
    encoding_method: str
    public_key: str
    """As the meter delivers it, hex."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """A meter's registers at the begin or the end of a transaction."""

    signed_value: SignedMeterValue | None
    """None where the meter signs nothing at this moment."""

    energy_import_wh: Decimal | None
    energy_export_wh: Decimal | None
    reversed: bool = False
    """Whether import and export have changed places against what is signed."""

    def turned(self, *, reversed_: bool) -> Snapshot:
        """Return the registers as an installation of this direction has them."""
        if self.reversed is reversed_:
            return self
        return replace(
            self,
            energy_import_wh=self.energy_export_wh,
            energy_export_wh=self.energy_import_wh,
            reversed=reversed_,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRequest:
    """For whom and under which terms a transaction begins (names as in EVerest)."""

    transaction_id: str
    evse_id: str = ""
    identification_status: IdentificationStatus = IdentificationStatus.NOT_ASSIGNED
    identification_level: IdentificationLevel | None = None
    identification_flags: tuple[IdentificationFlag, ...] = ()
    identification_type: IdentificationType = IdentificationType.NONE
    identification_data: str = ""
    tariff_text: str = ""


class Meter(Protocol):
    """One meter. Every method may raise ``MeterUnreachableError`` or ``UnexpectedAnswerError``."""

    @property
    def capabilities(self) -> Capability:
        """What this meter can do."""

    @property
    def identity(self) -> MeterIdentity:
        """Who this meter is; only after ``identify``."""

    async def identify(self) -> MeterIdentity:
        """Learn who the meter is; nothing is changed in it."""

    async def set_up(self) -> None:
        """Make the meter ready for work: charge point, tariff text, clock.

        Only after ``identify`` showed that it is the right meter. Raises
        ``InvalidRequestError`` for a configuration the meter cannot be given and
        ``WrongMeterError`` when another meter answers by now.
        """

    async def read(self) -> MeterReading:
        """Read the live values. Made to be called each second; takes well under one.

        Also does what the meter needs from time to time: sets it up again after a power
        cycle, keeps its clock. Raises ``WrongMeterError`` when another meter answers.
        """

    async def check(self, request: TransactionRequest) -> None:
        """Raise what would keep this transaction from beginning; change nothing.

        Raises ``InvalidRequestError`` for a wrong request, ``RefusedError`` for a meter
        that is not ready.
        """

    async def begin(self, request: TransactionRequest) -> Snapshot:
        """Begin a transaction.

        Raises ``RefusedError`` when the meter says no and ``InvalidRequestError`` when the
        request does not fit the meter.
        """

    async def end(self) -> Snapshot:
        """End the transaction that runs; where the meter signs, the receipt is in it.

        Raises ``NoTransactionError`` when the meter knows that none runs and
        ``RefusedError`` when it says no.
        """

    async def last_receipt(self) -> Snapshot | None:
        """Return the receipt the meter still holds; None where there is none."""

    async def synchronize_clock(self) -> None:
        """Set the meter's clock now.

        Raises ``TransactionRunningError`` while a transaction runs and
        ``UnsupportedError`` without ``Capability.CLOCK``.
        """

    async def set_tariff_text(self, text: str) -> None:
        """Show this text before a transaction.

        Raises ``TextTooLongError``, and ``UnsupportedError`` without
        ``Capability.TARIFF_TEXT``.
        """

    def notices(self) -> Mapping[Notice, Mapping[str, str]]:
        """Return what its owner should know now, each with its placeholders."""

    def diagnostics(self) -> Mapping[str, Any]:
        """Return what a maintainer needs: raw answers, timings, what was found out."""

    async def close(self) -> None:
        """End what still runs; the meter is not asked any more."""
