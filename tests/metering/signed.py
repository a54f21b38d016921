"""Receipts made and signed for a test."""

from base64 import b64encode
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from custom_components.dc_meter.metering.ecdsa import DCT1_256_BIT, DCT1_384_BIT
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.verdict import Objection
from simulators.dct1 import SimulatedDct1
from simulators.signing import SignatureForm, SigningKey

IEM_DCR_VECTOR = Path(__file__).parents[3] / "shared" / "vectors" / "iem-dcr.json"
"""A real receipt, not published with this repository."""

KEY = SigningKey(ec.SECP256R1(), SHA256())
OTHER_KEY = SigningKey(ec.SECP256R1(), SHA256())

BEGIN = {
    "TM": "2026-07-01T14:00:00,000+0200 S",
    "TX": "B",
    "EF": "",
    "ST": "G",
    "RV": "00000446.540",
    "RI": "1-b:1.8.e",
    "RU": "kWh",
    "RT": "DC",
}
END = BEGIN | {
    "TM": "2026-07-01T14:30:00,000+0200 S",
    "TX": "E",
    "RV": "00000447.541",
}
"""1001 Wh later."""

PAYLOAD = {
    "FV": "1.0",
    "GI": "IEM-DCR-125",
    "GS": "1ISA0200000001",
    "GV": "1",
    "MM": "IEM-DCR-125",
    "MS": "1ISA0200000001",
    "CT": "EVSEID",
    "CI": "DE*ABC*E1",
    "IS": True,
    "IL": "TRUSTED",
    "IF": ["RFID_PLAIN"],
    "IT": "ISO14443",
    "ID": "0A1B2C3D",
    "PG": "T7",
    "TT": "0,20 €/kWh",
    "RD": [BEGIN, END],
}


def ocmf(
    payload: dict[str, Any] | None = None,
    *,
    key: SigningKey = KEY,
    algorithm: str = "ECDSA-secp256r1-SHA256",
    form: SignatureForm = SignatureForm.PADDED,
    **changes: Any,
) -> str:
    """Return an IEM-DCR's receipt over 1001 Wh, changed as given and signed after that."""
    signed = json.dumps(
        (PAYLOAD if payload is None else payload) | changes, ensure_ascii=False
    )
    signature = {
        "SA": algorithm,
        "SD": key.sign(signed.encode(), form).hex().upper(),
    }
    return f"OCMF|{signed}|{json.dumps(signature)}"


def ocmf_value(text: str, key: SigningKey = KEY) -> SignedMeterValue:
    """Return an OCMF text as a meter hands it out."""
    return SignedMeterValue(
        signed_meter_data=text,
        signing_method="ECDSA-secp256r1-SHA256",
        encoding_method="OCMF",
        public_key=key.subject_public_key_info.hex(),
    )


def snapshot(meter: SimulatedDct1, key: SigningKey | None = None) -> SignedMeterValue:
    """Return what this DCT1 signs now, with its own key or another meter's."""
    key = key or meter.key
    assert key is not None
    block = meter.block()
    return SignedMeterValue(
        signed_meter_data=b64encode(block + key.sign(block)).decode(),
        signing_method=(
            DCT1_256_BIT if meter.signature == "256" else DCT1_384_BIT
        ).name,
        encoding_method="",
        public_key=key.point.hex().upper(),
    )


CHARGING = BEGIN | {"TM": "2026-07-01T14:10:00,000+0200 S", "TX": "C"}
EXPORT_BEGIN = BEGIN | {"RI": "1-b:2.8.e", "RV": "00000004.000"}
EXPORT_END = END | {"RI": "1-b:2.8.e", "RV": "00000004.500"}
RELATIVE_BEGIN = BEGIN | {"TM": BEGIN["TM"].replace("S", "R")}
RELATIVE_END = END | {"TM": END["TM"].replace("S", "R")}
AT_DEVICE = {"RI": "01-0B:B1.08.00*FF"}
OF_TRANSACTION = [
    BEGIN | {"RI": "01-0B:B3.08.00*FF", "RV": "0.000"},
    END | {"RI": "01-0B:B3.08.00*FF", "RV": "1.001"},
]
"""Both without what the cable lost: a lifetime register, and one that begins at 0."""


INCOMPLETE: dict[str, tuple[dict[str, Any], tuple[Objection, ...]]] = {
    "no begin": ({"RD": [CHARGING, END]}, (Objection.NO_BEGIN,)),
    "no end": ({"RD": [BEGIN, CHARGING]}, (Objection.NO_END,)),
    "neither": ({"RD": [CHARGING]}, (Objection.NO_BEGIN, Objection.NO_END)),
    "two begins": ({"RD": [BEGIN, BEGIN, END]}, (Objection.SEVERAL_BEGINS,)),
    "two ends": ({"RD": [BEGIN, END, END]}, (Objection.SEVERAL_ENDS,)),
    "export only": (
        {"RD": [EXPORT_BEGIN, EXPORT_END]},
        (Objection.NO_BILLING_REGISTER,),
    ),
    "a begin of import, an end of export": (
        {"RD": [BEGIN, EXPORT_END]},
        (Objection.NO_END,),
    ),
    "two registers": (
        {"RD": [BEGIN, END | {"RI": "1-0:9E.8.0*255"}]},
        (Objection.OTHER_REGISTER,),
    ),
    "an energy in another unit": (
        {"RD": [BEGIN | {"RU": "mOhm"}, END | {"RU": "mOhm"}]},
        (Objection.NO_BILLING_REGISTER,),
    ),
    "a register that runs backwards": (
        {"RD": [BEGIN, END | {"RV": "446.539"}]},
        (Objection.REGISTER_BACKWARDS,),
    ),
    "a register that runs backwards in between": (
        {"RD": [BEGIN, CHARGING | {"RV": "447.542"}, END]},
        (Objection.REGISTER_BACKWARDS,),
    ),
    "two registers that compensate the cable": (
        {"RD": [BEGIN, END, BEGIN | AT_DEVICE, END | AT_DEVICE, *OF_TRANSACTION]},
        (Objection.SEVERAL_BEGINS, Objection.SEVERAL_ENDS),
    ),
    "a compensated register without its end": (
        {"RD": [BEGIN, END, BEGIN | AT_DEVICE]},
        (Objection.NO_END,),
    ),
    "a time that runs backwards": (
        {"RD": [BEGIN, END | {"TM": "2026-07-01T13:59:59,999+0200 S"}]},
        (Objection.TIME_BACKWARDS,),
    ),
    "a time that runs backwards by its offset": (
        {"RD": [BEGIN, END | {"TM": "2026-07-01T14:30:00,000+0300 S"}]},
        (Objection.TIME_BACKWARDS,),
    ),
    "the end before the begin": (
        {"RD": [END, BEGIN]},
        (Objection.TIME_BACKWARDS, Objection.REGISTER_BACKWARDS),
    ),
    "a bad status at the begin": (
        {"RD": [BEGIN | {"ST": "M"}, END]},
        (Objection.STATUS_NOT_GOOD,),
    ),
    "a bad status at the end": (
        {"RD": [BEGIN, END | {"ST": "T"}]},
        (Objection.STATUS_NOT_GOOD,),
    ),
    "a bad status that the end inherits": (
        {"RD": [BEGIN | {"ST": "M"}, {"TM": END["TM"], "TX": "E"}]},
        (Objection.STATUS_NOT_GOOD,),
    ),
    "an energy flagged at the end": (
        {"RD": [BEGIN, END | {"EF": "E"}]},
        (Objection.ENERGY_FLAGGED,),
    ),
    "an energy flagged by an exception": (
        {"RD": [BEGIN, CHARGING | {"TX": "X", "EF": "Et"}, END]},
        (Objection.ENERGY_FLAGGED,),
    ),
    "an exception that does not say what it is of": (
        {"RD": [BEGIN, CHARGING | {"TX": "X"}, END]},
        (Objection.ENERGY_FLAGGED,),
    ),
    **{
        f"a status {status} in between": (
            {"RD": [BEGIN, CHARGING | {"ST": status}, END]},
            (Objection.STATUS_NOT_GOOD,),
        )
        for status in ("M", "X")
    },
    "a relative begin": ({"RD": [RELATIVE_BEGIN, END]}, (Objection.MIXED_TIME,)),
    "a relative end": ({"RD": [BEGIN, RELATIVE_END]}, (Objection.MIXED_TIME,)),
    **{
        f"identification {level}": ({"IL": level}, (Objection.IDENTIFICATION_LEVEL,))
        for level in ("MISMATCH", "INVALID", "OUTDATED", "UNKNOWN")
    },
    "a fiscal record": ({"PG": "F7"}, (Objection.NOT_A_TRANSACTION,)),
    "no pagination": ({"PG": None}, (Objection.NOT_A_TRANSACTION,)),
    "a pagination without a counter": ({"PG": "T"}, (Objection.NOT_A_TRANSACTION,)),
    "two things at once": (
        {"IL": "INVALID", "RD": [BEGIN, END | {"ST": "M"}]},
        (Objection.IDENTIFICATION_LEVEL, Objection.STATUS_NOT_GOOD),
    ),
}
"""Genuine and not billable: changes of the payload, and what is objected to."""

COMPLETE: dict[str, dict[str, Any]] = {
    "as it is": {},
    **{f"ended {reason}": {"RD": [BEGIN, END | {"TX": reason}]} for reason in "ELRAP"},
    "readings in between": {
        "RD": [BEGIN, CHARGING, CHARGING | {"TX": "S"}, CHARGING | {"TX": "T"}, END]
    },
    "an exception that spares the energy": {
        "RD": [BEGIN, CHARGING | {"TX": "X", "EF": "t"}, END]
    },
    "an export beside": {"RD": [BEGIN, EXPORT_BEGIN, END, EXPORT_END]},
    **{
        f"a compensated register {code}, the other beside": {
            "RD": [
                BEGIN,
                END | {"RV": "447.600"},
                BEGIN | {"RI": f"01-0B:{code}.08.00*FF"},
                END | {"RI": f"01-0B:{code}.08.00*FF"},
            ]
        }
        for code in ("98", "B1", "B3")
    },
    "a compensated register and the other in turn": {
        "RD": [
            BEGIN | {"RV": "447.000"},
            BEGIN | AT_DEVICE,
            END | {"RV": "448.060", "RI": BEGIN["RI"]},
            END | AT_DEVICE,
        ]
    },
    "a begin inherited from": {
        "RD": [BEGIN, {"TM": END["TM"], "TX": "E", "RV": END["RV"]}]
    },
    "numbers": {"RD": [BEGIN | {"RV": 446.54}, END | {"RV": 447.541}]},
    "watt-hours": {
        "RD": [BEGIN | {"RV": 446540, "RU": "Wh"}, END | {"RV": 447541, "RU": "Wh"}]
    },
    **{
        f"the maker's own number {number}": {
            "XY": number,
            "RD": [BEGIN | {"XY": number}, END],
        }
        for number in (1e-30, 6.02214076e23, 1e300, 10**30)
    },
    "both relative": {"RD": [RELATIVE_BEGIN, RELATIVE_END]},
    "nobody identified": {"IS": False, "IL": "NONE", "IF": [], "IT": "NONE", "ID": ""},
    "the algorithm in capitals": {"algorithm": "ECDSA-SECP256R1-SHA256"},
    "another offset, later": {
        "RD": [BEGIN, END | {"TM": "2026-07-01T13:30:00,000+0100 S"}]
    },
}
"""Other ways to say the same: changes of the payload."""
