"""Is this receipt genuine, is it to be billed, and what does it prove."""

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from .dct1_block import BLOCK_LENGTH
from .ecdsa import (
    PublicKey,
    SignatureScheme,
    UnknownAlgorithmError,
    UnreadableKeyError,
    decode_base64,
    is_public_key,
    is_strict_der,
    parse_public_key,
    verify,
)
from .errors import UnexpectedAnswerError
from .meter import SignedMeterValue
from .ocmf import OcmfReceipt, parse
from .statement import Caveat, Objection, SignedReading, Statement, state

__all__ = [
    "OCMF",
    "Caveat",
    "Covered",
    "Judgement",
    "KeyOrigin",
    "Objection",
    "Reason",
    "Receipt",
    "SignedReading",
    "Verdict",
    "judge",
]

OCMF = "OCMF"
"""The encoding method of an OCMF text; that of a DCT1's block is empty."""


class Verdict(StrEnum):
    """What can be said of a receipt."""

    VALID = "valid"
    """Genuine, and made with the trusted key."""

    INVALID = "invalid"
    UNVERIFIABLE = "unverifiable"
    """Not known to be either."""


class Reason(StrEnum):
    """Why a verdict is what it is."""

    GENUINE = "genuine"
    SIGNATURE_MISMATCH = "signature_mismatch"
    KEY_CHANGED = "key_changed"
    OTHER_METER = "other_meter"
    RUNS_BACKWARDS = "runs_backwards"
    NO_KEY = "no_key"
    UNKNOWN_ALGORITHM = "unknown_algorithm"
    DAMAGED = "damaged"

    @property
    def verdict(self) -> Verdict:
        """The verdict it leads to."""
        match self:
            case Reason.GENUINE:
                return Verdict.VALID
            case Reason.NO_KEY | Reason.UNKNOWN_ALGORITHM | Reason.DAMAGED:
                return Verdict.UNVERIFIABLE
            case _:
                return Verdict.INVALID


_CONTRADICTIONS = {
    Objection.OTHER_METER: Reason.OTHER_METER,
    Objection.REGISTER_BACKWARDS: Reason.RUNS_BACKWARDS,
}
"""What keeps two signed values from proving a session together."""


class Covered(StrEnum):
    """What a signature can speak for."""

    METER = "meter"
    READING = "reading"
    TIME = "time"
    USER = "user"
    TARIFF = "tariff"
    TRANSACTION = "transaction"


_DCT1_COVERS = (Covered.METER, Covered.READING)


class KeyOrigin(StrEnum):
    """Where the key came from that a receipt was checked with."""

    TRUSTED = "trusted"
    """The key the meter is trusted by."""

    RECEIPT = "receipt"
    """The receipt itself: it was not changed since, and who made it is not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What proves a session: one OCMF text, or what was signed at its begin and its end."""

    begin: SignedMeterValue | None = None
    end: SignedMeterValue


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A verdict and why, and what the signatures speak for: nothing, unless it is valid.

    Everything below ``covers`` is taken from signed values alone; None is what they do not
    say. Registers and energies are in Wh, as the meter counts them.
    """

    verdict: Verdict
    reason: Reason
    objections: tuple[Objection, ...] = ()
    """Why it is not to be billed although it may be genuine."""

    caveats: tuple[Caveat, ...] = ()
    key: KeyOrigin | None = None
    """Which key the verdict was reached with; None where there was none to use."""

    key_fingerprint: str | None = None
    """SHA-256 of that key's SubjectPublicKeyInfo, in hex."""

    covers: tuple[Covered, ...] = ()
    meter: str | None = None
    """Serial number."""

    model: str | None = None
    begin: SignedReading | None = None
    end: SignedReading | None = None
    energy_import_wh: Decimal | None = None
    """What is billed: the difference of the register 1.8 or its like."""

    energy_export_wh: Decimal | None = None
    """Shown and never billed."""

    user: str | None = None
    """OCMF ID."""

    tariff_text: str | None = None
    charge_point_id: str | None = None
    """OCMF CI; None also in what was archived before this was kept."""

    transaction: str | None = None
    """OCMF PG: the meter's own count."""

    @property
    def billable(self) -> bool:
        """Whether it is valid and nothing speaks against billing it."""
        return self.verdict is Verdict.VALID and not self.objections

    @property
    def begins_at(self) -> datetime | None:
        """The signed time of the begin."""
        return None if self.begin is None else self.begin.at

    @property
    def ends_at(self) -> datetime | None:
        """The signed time of the end."""
        return None if self.end is None else self.end.at


@dataclass(frozen=True, kw_only=True, slots=True)
class _Check:
    """What came of one value's signature."""

    reason: Reason
    origin: KeyOrigin | None = None
    key: PublicKey | None = None
    content: OcmfReceipt | bytes = b""
    strict: bool = True


def judge(receipt: Receipt, *, trusted_key: str | None = None) -> Judgement:
    """Judge a receipt, whatever is in it. Raises nothing.

    ``trusted_key`` is the key the meter is trusted by, in any form; when left out, the
    receipt's own is. What was signed with the trusted key is valid whichever key it names.
    Two values are valid when both are under one key and from one meter, and no register
    runs backwards.
    """
    values = [value for value in (receipt.begin, receipt.end) if value is not None]
    origin = KeyOrigin.TRUSTED if trusted_key else KeyOrigin.RECEIPT
    key = trusted_key or next((v.public_key for v in values if v.public_key), None)
    if key is None:
        return _judgement(_Check(reason=Reason.NO_KEY))
    checks = [_check(value, key, origin) for value in values]
    # What is invalid outweighs what cannot be checked.
    for verdict in (Verdict.INVALID, Verdict.UNVERIFIABLE):
        for check in checks:
            if check.reason.verdict is verdict:
                return _judgement(check)
    try:
        statement = state([check.content for check in checks])
    except UnexpectedAnswerError:
        return _judgement(replace(checks[-1], reason=Reason.DAMAGED))
    if receipt.begin is not None:
        for objection, reason in _CONTRADICTIONS.items():
            if objection in statement.objections:
                return _judgement(
                    replace(checks[-1], reason=reason), statement.objections
                )
    caveats = statement.caveats
    if not all(check.strict for check in checks):
        caveats += (Caveat.SIGNATURE_FORM,)
    return replace(
        _judgement(checks[-1], statement.objections),
        caveats=caveats,
        covers=_covered(checks[-1].content, statement),
        meter=statement.meter,
        model=statement.model,
        begin=statement.begin,
        end=statement.end,
        energy_import_wh=statement.energy_import_wh,
        energy_export_wh=statement.energy_export_wh,
        user=statement.user,
        tariff_text=statement.tariff_text,
        charge_point_id=statement.charge_point_id,
        transaction=statement.transaction,
    )


def _covered(content: OcmfReceipt | bytes, statement: Statement) -> tuple[Covered, ...]:
    """Return what the signature speaks for: of an OCMF text, what it says.

    Of its readings, those that are the one begin or the one end.
    """
    if not isinstance(content, OcmfReceipt):
        return _DCT1_COVERS
    reading = statement.begin or statement.end
    said = {
        Covered.METER: statement.meter,
        Covered.READING: reading,
        Covered.TIME: reading,
        Covered.USER: statement.user,
        Covered.TARIFF: statement.tariff_text,
        Covered.TRANSACTION: statement.transaction,
    }
    return tuple(covered for covered in Covered if said[covered] is not None)


def _judgement(check: _Check, objections: tuple[Objection, ...] = ()) -> Judgement:
    return Judgement(
        verdict=check.reason.verdict,
        reason=check.reason,
        objections=objections,
        key=check.origin,
        key_fingerprint=None if check.key is None else check.key.fingerprint,
    )


def _check(value: SignedMeterValue, key: str, origin: KeyOrigin) -> _Check:
    try:
        content, data, signature, scheme = _open(value)
        expected = _expected_key(key, scheme)
        if expected and verify(data, signature, expected, scheme):
            return _Check(
                reason=Reason.GENUINE,
                origin=origin,
                key=expected,
                content=content,
                strict=isinstance(content, bytes) or is_strict_der(signature),
            )
        own = _own_key(value, scheme)
        if own and own != expected and verify(data, signature, own, scheme):
            return _Check(reason=Reason.KEY_CHANGED, origin=KeyOrigin.RECEIPT, key=own)
    except UnknownAlgorithmError:
        return _Check(reason=Reason.UNKNOWN_ALGORITHM)
    except ValueError:
        return _Check(reason=Reason.DAMAGED)
    return _Check(reason=Reason.SIGNATURE_MISMATCH, origin=origin, key=expected)


def _open(
    value: SignedMeterValue,
) -> tuple[OcmfReceipt | bytes, bytes, bytes, SignatureScheme]:
    """Return what is said, the bytes it is signed as, their signature and its scheme.

    Raises ``ValueError``.
    """
    if value.encoding_method == OCMF:
        record = parse(value.signed_meter_data)
        scheme = SignatureScheme.named(record.algorithm)
        return record, record.signed_bytes, record.signature, scheme
    if value.encoding_method:
        raise UnknownAlgorithmError(f"encoding {value.encoding_method!r}")
    data = decode_base64(value.signed_meter_data)
    block, signature = data[:BLOCK_LENGTH], data[BLOCK_LENGTH:]
    return block, block, signature, SignatureScheme.named(value.signing_method)


def _expected_key(key: str, scheme: SignatureScheme) -> PublicKey | None:
    """Read the key; None for one of another curve, which cannot have made the signature.

    Raises ``ValueError`` for what is no key at all.
    """
    try:
        return parse_public_key(key, scheme)
    except UnreadableKeyError:
        if is_public_key(key):
            return None
        raise


def _own_key(value: SignedMeterValue, scheme: SignatureScheme) -> PublicKey | None:
    try:
        return parse_public_key(value.public_key, scheme)
    except UnreadableKeyError:
        return None
