"""An independent verifier, pyocmf, comes to the same verdicts where it can read a receipt."""

import json
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
import pytest

from custom_components.dc_meter.metering.ecdsa import SignatureScheme, parse_signature
from custom_components.dc_meter.metering.ocmf import parse
from custom_components.dc_meter.metering.verdict import Receipt, Verdict, judge
from simulators.signing import SignatureForm, SigningKey

from .falsifier import FALSIFICATIONS
from .signed import COMPLETE, IEM_DCR_VECTOR, INCOMPLETE, KEY, ocmf, ocmf_value

pyocmf = pytest.importorskip("pyocmf", reason="pyocmf, the oracle, is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::pyocmf.SpecWarning")

STRICTER = {
    "a register that runs backwards in between",
    "an energy flagged by an exception",
    "an exception that does not say what it is of",
    "a status M in between",
    "a status X in between",
    "a relative end",
    "an energy in another unit",
    "the end before the begin",
}
"""The oracle looks at begin and end alone, in any order and unit, and takes a relative end after
an absolute begin."""

NO_TRANSACTION = {
    "no begin",
    "no end",
    "neither",
    "a fiscal record",
    "no pagination",
    "a pagination without a counter",
}
"""What the oracle takes for single readings, to which it has no objection."""


def re_encoded(text: str) -> str:
    """Write a receipt's signature, genuine or not, in the strict DER that the oracle reads."""
    receipt = parse(text)
    r, s = parse_signature(receipt.signature, SignatureScheme.named(receipt.algorithm))[
        0
    ]
    section = {"SA": receipt.algorithm, "SD": encode_dss_signature(r, s).hex()}
    return f"OCMF|{receipt.signed_bytes.decode()}|{json.dumps(section)}"


def is_genuine_to_the_oracle(text: str, key: str) -> bool:
    genuine: bool = pyocmf.OCMF.from_string(text).verify_signature(key)
    return genuine


def test_a_real_receipt_is_genuine_to_the_oracle_once_re_encoded() -> None:
    if not IEM_DCR_VECTOR.exists():
        pytest.skip("the real IEM-DCR receipt is not published with this repository")
    vector = json.loads(IEM_DCR_VECTOR.read_text())
    text = re_encoded(vector["ocmf"])
    assert is_genuine_to_the_oracle(text, vector["public_key"])
    assert not is_genuine_to_the_oracle(
        text.replace("446.540", "446.541"), vector["public_key"]
    )


@pytest.mark.parametrize("form", SignatureForm)
@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("secp192r1", ec.SECP192R1()),
        ("secp256k1", ec.SECP256K1()),
        ("secp256r1", ec.SECP256R1()),
        ("secp384r1", ec.SECP384R1()),
    ],
)
def test_what_is_valid_is_genuine_to_the_oracle(
    name: str, curve: ec.EllipticCurve, form: SignatureForm
) -> None:
    key = SigningKey(curve, SHA256())
    text = ocmf(key=key, algorithm=f"ECDSA-{name}-SHA256", form=form)
    assert judge(Receipt(end=ocmf_value(text, key))).verdict is Verdict.VALID
    assert is_genuine_to_the_oracle(re_encoded(text), key.subject_public_key_info.hex())


@pytest.mark.parametrize(
    "kind", ["bit of a payload", "field of a payload", "bit of a signature"]
)
def test_what_is_invalid_is_falsified_to_the_oracle(kind: str) -> None:
    random = Random(kind)
    compared = 0
    for _ in range(200):
        value = FALSIFICATIONS[kind](random).end
        if judge(Receipt(end=value)).verdict is not Verdict.INVALID:
            continue
        try:
            genuine = is_genuine_to_the_oracle(
                re_encoded(value.signed_meter_data), value.public_key
            )
        except pyocmf.PyOCMFError:
            continue  # It refuses what it calls no OCMF.
        assert not genuine
        compared += 1
    assert compared > 50


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(changes, id=name)
        for name, changes in (
            *COMPLETE.items(),
            *((name, changes) for name, (changes, _) in INCOMPLETE.items()),
        )
        if name not in STRICTER | NO_TRANSACTION
    ],
)
def test_the_oracle_has_objections_where_a_receipt_is_not_billed(
    changes: dict[str, Any],
) -> None:
    text = ocmf(**changes)
    assert (
        judge(Receipt(end=ocmf_value(text))).billable
        == pyocmf.OCMF.from_string(text).is_eichrecht_compliant
    )


@pytest.mark.parametrize("name", sorted(STRICTER | NO_TRANSACTION))
def test_where_the_oracle_is_less_strict_is_known(name: str) -> None:
    """So that nothing stands in the lists above that need not."""
    text = ocmf(**INCOMPLETE[name][0])
    assert not judge(Receipt(end=ocmf_value(text))).billable
    assert pyocmf.OCMF.from_string(text).is_eichrecht_compliant


def test_the_key_of_these_tests_is_one_to_the_oracle() -> None:
    """Strict DER needs no re-encoding."""
    assert is_genuine_to_the_oracle(ocmf(), KEY.subject_public_key_info.hex())
