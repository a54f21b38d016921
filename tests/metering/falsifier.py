"""Falsify receipts, and write odd files, at random; as many as there is time for.

    python -m tests.metering.falsifier SECONDS [SEED]

Prints how many were tried of each kind and how many were taken for genuine, which is none.
"""

from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
import json
from random import Random
import sys
from time import monotonic
from typing import Any

from custom_components.dc_meter.metering.__main__ import lines, report
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.receipt_file import (
    UnusableFileError,
    receipts_in,
)
from custom_components.dc_meter.metering.verdict import Receipt, Verdict, judge
from simulators.dct1 import SimulatedDct1
from simulators.signing import SignatureForm

from .signed import BEGIN, END, KEY, OTHER_KEY, PAYLOAD, ocmf, ocmf_value, snapshot

_METER = SimulatedDct1(import_wh=70_000, export_wh=70_000)
_CHARGED = SimulatedDct1(import_wh=90_000, export_wh=70_001)
BLOCKS = (snapshot(_METER), snapshot(_CHARGED, _METER.key))
"""Begin and end of a DCT1's session."""

TEXTS = tuple(ocmf(form=form) for form in SignatureForm)
"""A genuine receipt with a signature in each form."""

_EARLIER = ocmf(PG="T6")
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**9,
    "",
    "G",
    "B",
    "E",
    "00000999.999",
    "T8",
    [],
    {},
)


def flip(data: bytes, random: Random) -> bytes:
    """Return the bytes with one bit the other way round."""
    bit = 1 << random.randrange(8 * len(data))
    return (int.from_bytes(data) ^ bit).to_bytes(len(data))


def _sections(text: str) -> tuple[str, dict[str, Any]]:
    _, payload, signature = text.split("|")
    return payload, json.loads(signature)


def _text(payload: str, signature: dict[str, Any]) -> Receipt:
    return Receipt(end=ocmf_value(f"OCMF|{payload}|{json.dumps(signature)}"))


def _bit_of_a_payload(random: Random) -> Receipt:
    payload, signature = _sections(random.choice(TEXTS))
    return _text(flip(payload.encode(), random).decode(errors="replace"), signature)


def _field_of_a_payload(random: Random) -> Receipt:
    payload, signature = _sections(random.choice(TEXTS))
    members = json.loads(payload)
    place = random.choice((members, *members["RD"]))
    name = random.choice(list(place))
    place[name] = random.choice(
        [value for value in _VALUES if value != place[name] or value is True]
    )
    changed = json.dumps(members, ensure_ascii=False)
    return _text(changed if changed != payload else changed + " ", signature)


def _bit_of_a_signature(random: Random) -> Receipt:
    payload, signature = _sections(random.choice(TEXTS))
    signature["SD"] = flip(bytes.fromhex(signature["SD"]), random).hex()
    return _text(payload, signature)


def _bytes_of_a_signature(random: Random) -> Receipt:
    payload, signature = _sections(random.choice(TEXTS))
    data = bytes.fromhex(signature["SD"])
    cut = random.randrange(len(data))
    signature["SD"] = random.choice(
        (
            data[:cut],
            data + random.randbytes(1),
            data[:cut] + random.randbytes(1) + data[cut:],
            data[cut:] + data[:cut] if cut else b"",
            random.randbytes(64),
            bytes(64),
            b"\xff" * 64,
            bytes.fromhex("3006020100020100"),
            bytes.fromhex("3006020101020101"),
        )
    ).hex()
    return _text(payload, signature)


def _another_receipts_signature(random: Random) -> Receipt:
    payload, _ = _sections(random.choice(TEXTS))
    _, signature = _sections(_EARLIER)
    return _text(payload, signature)


def _another_algorithm(random: Random) -> Receipt:
    payload, signature = _sections(random.choice(TEXTS))
    curve = random.choice(
        ("secp192k1", "secp256k1", "secp192r1", "brainpool256r1", "secp384r1", "none")
    )
    return _text(payload, signature | {"SA": f"ECDSA-{curve}-SHA256"})


def _another_key(random: Random) -> Receipt:
    """Signed well by somebody else, who may name the meter's key."""
    text = ocmf(key=OTHER_KEY, RD=[BEGIN, END | {"RV": f"{random.uniform(448, 999)}"}])
    return Receipt(end=ocmf_value(text, random.choice((KEY, OTHER_KEY))))


def _bit_of_a_key(random: Random) -> Receipt:
    value = ocmf_value(random.choice(TEXTS))
    key = flip(bytes.fromhex(value.public_key), random).hex()
    return Receipt(end=replace(value, public_key=key))


def _block(data: bytes, value: SignedMeterValue) -> SignedMeterValue:
    return replace(value, signed_meter_data=b64encode(data).decode())


def _bit_of_a_block(random: Random) -> Receipt:
    begin, end = BLOCKS
    if random.random() < 0.5:
        begin = _block(flip(b64decode(begin.signed_meter_data), random), begin)
    else:
        end = _block(flip(b64decode(end.signed_meter_data), random), end)
    return Receipt(begin=begin, end=end)


def _parts_of_blocks(random: Random) -> Receipt:
    begin, end = BLOCKS
    first, last = (b64decode(value.signed_meter_data) for value in BLOCKS)
    cut = random.choice((40, 104, 154, random.randrange(20, 240)))
    forged = _block(random.choice((first[:cut] + last[cut:], last + b"\0")), end)
    return random.choice(
        (Receipt(begin=begin, end=forged), Receipt(begin=end, end=begin))
    )


FALSIFICATIONS: dict[str, Callable[[Random], Receipt]] = {
    function.__name__.strip("_").replace("_", " "): function
    for function in (
        _bit_of_a_payload,
        _field_of_a_payload,
        _bit_of_a_signature,
        _bytes_of_a_signature,
        _another_receipts_signature,
        _another_algorithm,
        _another_key,
        _bit_of_a_key,
        _bit_of_a_block,
        _parts_of_blocks,
    )
}

TRUSTED = {"another key"}
"""What can only be told by the key the meter is trusted by."""


def is_accepted(kind: str, random: Random) -> bool:
    """Falsify a receipt and tell whether it is taken for genuine."""
    receipt = FALSIFICATIONS[kind](random)
    trusted_key = KEY.point.hex() if kind in TRUSTED else None
    return judge(receipt, trusted_key=trusted_key).verdict is Verdict.VALID


_PIECES = (
    *(
        "OCMF|",
        "|",
        "{",
        "}",
        "[",
        "]",
        '"',
        ":",
        ",",
        "\n",
        "\\",
        "\\ud800",
        "\x1b",
        "\0",
    ),
    *("null", "true", "1e400", "NaN", "0", "é", '"RD"', '"TM"', '"SD"', "{}", "[]"),
    *("<values>", "</values>", "<value>", "</value>", "<signedData>", "</signedData>"),
    *("<publicKey>", "</publicKey>", "<!DOCTYPE x>", "<![CDATA[", "]]>", "&lt;", "&x;"),
    *('"signed_meter_data":', '"signed_meter_value":', '"encoding_method":"OCMF"'),
    *TEXTS,
    json.dumps(PAYLOAD),
    json.dumps({"signed_meter_data": BLOCKS[0].signed_meter_data}),
    f'<value context="Transaction.Begin"><signedData>{TEXTS[0]}</signedData></value>',
)


_DOCUMENTS = (
    *TEXTS,
    "\n".join(TEXTS),
    json.dumps(asdict(BLOCKS[1])),
    json.dumps(
        {
            "status": "OK",
            "start_signed_meter_value": asdict(BLOCKS[0]),
            "signed_meter_value": asdict(BLOCKS[1]),
        }
    ),
    json.dumps([asdict(ocmf_value(text)) for text in TEXTS]),
    "<values>"
    + "".join(
        f'<value transactionId="1" context="Transaction.{context}"><signedData format="OCMF"'
        f' encoding="plain">{ocmf(RD=[reading])}</signedData><publicKey encoding="plain">'
        f"{KEY.point.hex()}</publicKey></value>"
        for context, reading in (("Begin", BEGIN), ("End", END))
    )
    + "</values>",
)


def odd_file(random: Random) -> str:
    """Return what somebody could hand in, and nobody should."""
    if random.random() < 0.6:
        text = random.choice(_DOCUMENTS)
    else:
        text = "".join(random.choices(_PIECES, k=random.randrange(1, 12)))
    for _ in range(random.randrange(4)):
        cut = random.randrange(len(text) + 1)
        odd = random.choice((*_PIECES, chr(random.randrange(0xD800)), ""))
        text = text[:cut] + odd + text[cut + random.randrange(4) :]
    return text


def verdicts_on(text: str) -> Iterator[Verdict | None]:
    """Judge all that is in a text and put it into words; None where it is unusable."""
    try:
        receipts = receipts_in(text)
    except UnusableFileError:
        yield None
        return
    for receipt in receipts:
        judgement = judge(receipt)
        json.dumps(report(judgement))
        list(lines(judgement))
        yield judgement.verdict


def main(seconds: float, seed: int) -> int:
    """Try for so long; return how many were taken for genuine."""
    random = Random(seed)
    tried: Counter[str] = Counter()
    accepted: Counter[str] = Counter()
    odd: Counter[str] = Counter()
    kinds = list(FALSIFICATIONS)
    until = monotonic() + seconds
    while monotonic() < until:
        for kind in kinds:
            tried[kind] += 1
            accepted[kind] += is_accepted(kind, random)
        for _ in range(20):
            for verdict in verdicts_on(odd_file(random)):
                odd[str(verdict or "unusable")] += 1
    for kind, count in tried.items():
        sys.stdout.write(f"{count:>10} x {kind}: accepted {accepted[kind]}\n")
    sys.stdout.write(f"{tried.total():>10} falsified, accepted {accepted.total()}\n")
    sys.stdout.write(f"{odd.total():>10} odd files: {dict(odd)}\n")
    return accepted.total()


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int((sys.argv[2:] or ["0"])[0])))
