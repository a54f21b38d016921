"""Is this receipt genuine, and what does it prove."""

from base64 import b64decode
from dataclasses import dataclass
from enum import StrEnum

from modbus_connection import WordOrder

from .dct1_block import BLOCK_LENGTH, SignedBlock, likely_word_order
from .ecdsa import SignatureScheme, UnknownAlgorithmError, parse_public_key, verify
from .errors import UnexpectedAnswerError
from .meter import SignedMeterValue
from .ocmf import parse

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


class Covered(StrEnum):
    """What a signature can speak for."""

    METER = "meter"
    READING = "reading"
    TIME = "time"
    USER = "user"
    TARIFF = "tariff"
    TRANSACTION = "transaction"


_DCT1_COVERS = (Covered.METER, Covered.READING)
_OCMF_COVERS = tuple(Covered)


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A verdict, why, and what the signature speaks for: nothing, unless it is valid."""

    verdict: Verdict
    reason: Reason
    covers: tuple[Covered, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Signed:
    data: bytes
    signature: bytes
    scheme: SignatureScheme
    covers: tuple[Covered, ...]


def judge(value: SignedMeterValue, *, trusted_key: str | None = None) -> Judgement:
    """Judge one signed value, whatever is in it.

    ``trusted_key`` is the key the meter is trusted by, in any form; when left out, the value's
    own key is. A value signed with the trusted key is valid whichever key it names.
    """
    if not (value.public_key or trusted_key):
        return _unverifiable(Reason.NO_KEY)
    try:
        signed = _signed(value)
        if _is_made_with(trusted_key or value.public_key, signed):
            return Judgement(
                verdict=Verdict.VALID, reason=Reason.GENUINE, covers=signed.covers
            )
        if trusted_key and value.public_key and _is_made_with(value.public_key, signed):
            return _invalid(Reason.KEY_CHANGED)
    except UnknownAlgorithmError:
        return _unverifiable(Reason.UNKNOWN_ALGORITHM)
    except ValueError:
        return _unverifiable(Reason.DAMAGED)
    return _invalid(Reason.SIGNATURE_MISMATCH)


def judge_pair(
    begin: SignedMeterValue, end: SignedMeterValue, *, trusted_key: str | None = None
) -> Judgement:
    """Judge the two snapshots of a DCT1's transaction, whatever is in them.

    Valid when both are under one key, come from one meter, and no register runs backwards.
    """
    key = trusted_key or begin.public_key
    judgements = [judge(value, trusted_key=key) for value in (begin, end)]
    for verdict in (Verdict.INVALID, Verdict.UNVERIFIABLE):
        for judgement in judgements:
            if judgement.verdict is verdict:
                return judgement
    try:
        first, last = _blocks(begin, end)
    except UnexpectedAnswerError, ValueError:
        return _unverifiable(Reason.DAMAGED)
    if (first.model, first.serial_number) != (last.model, last.serial_number):
        return _invalid(Reason.OTHER_METER)
    if (
        last.energy_import_wh < first.energy_import_wh
        or last.energy_export_wh < first.energy_export_wh
    ):
        return _invalid(Reason.RUNS_BACKWARDS)
    return judgements[1]


def _signed(value: SignedMeterValue) -> _Signed:
    """Take a value apart. Raises ``ValueError``."""
    if value.encoding_method == OCMF:
        receipt = parse(value.signed_meter_data)
        return _Signed(
            data=receipt.signed_bytes,
            signature=receipt.signature,
            scheme=SignatureScheme.named(receipt.algorithm),
            covers=_OCMF_COVERS,
        )
    if value.encoding_method:
        raise UnknownAlgorithmError(f"encoding {value.encoding_method!r}")
    data = b64decode(value.signed_meter_data, validate=True)
    return _Signed(
        data=data[:BLOCK_LENGTH],
        signature=data[BLOCK_LENGTH:],
        scheme=SignatureScheme.named(value.signing_method),
        covers=_DCT1_COVERS,
    )


def _is_made_with(key: str, signed: _Signed) -> bool:
    return verify(
        signed.data,
        signed.signature,
        parse_public_key(key, signed.scheme),
        signed.scheme,
    )


def _blocks(*values: SignedMeterValue) -> tuple[SignedBlock, ...]:
    """Read the blocks in one word order: no block says which, but one of them may show it."""
    data = [b64decode(value.signed_meter_data)[:BLOCK_LENGTH] for value in values]
    word_order: WordOrder = (
        "little" if "little" in map(likely_word_order, data) else "big"
    )
    return tuple(SignedBlock.parse(block, word_order=word_order) for block in data)


def _invalid(reason: Reason) -> Judgement:
    return Judgement(verdict=Verdict.INVALID, reason=reason)


def _unverifiable(reason: Reason) -> Judgement:
    return Judgement(verdict=Verdict.UNVERIFIABLE, reason=reason)
