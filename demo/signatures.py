"""Receipts taken apart and verified with ``cryptography`` alone: no line of the integration takes part."""

import base64
from dataclasses import dataclass
from decimal import Decimal
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

DCT1_BLOCK = 154
DCT1_METHOD = "384 bit ECDSA SHA 384, using curve brainpoolP384r1"
DCT1_COORDINATE = 48

OCMF_METHOD = "ECDSA-secp256r1-SHA256"
OCMF_IMPORT = "1-b:1.8.e"
SPKI_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")

FIELDS = {"signed_meter_data", "signing_method", "encoding_method", "public_key"}


@dataclass(frozen=True, kw_only=True)
class Signed:
    """What a genuine signature speaks for: registers of imported energy at its readings."""

    meter: str
    import_wh: tuple[Decimal, ...]


def verify_dct1(value: dict[str, Any]) -> Signed:
    """Verify one snapshot. Raises ``InvalidSignature``, ``ValueError``."""
    require_fields(value, method=DCT1_METHOD, encoding="")
    raw = base64.b64decode(value["signed_meter_data"], validate=True)
    block, signature = raw[:DCT1_BLOCK], raw[DCT1_BLOCK:]
    if len(signature) != 2 * DCT1_COORDINATE:
        raise ValueError(f"a signature of {len(signature)} bytes")
    key = ec.EllipticCurvePublicKey.from_encoded_point(
        ec.BrainpoolP384R1(), bytes.fromhex(value["public_key"])
    )
    r, s = signature[:DCT1_COORDINATE], signature[DCT1_COORDINATE:]
    key.verify(
        encode_dss_signature(int.from_bytes(r), int.from_bytes(s)),
        block,
        ec.ECDSA(hashes.SHA384()),
    )
    scaler = int.from_bytes(block[10:12], signed=True)
    register = int.from_bytes(block[12:20], signed=True)
    return Signed(
        meter=block[124:138].rstrip(b"\0").decode(),
        import_wh=(Decimal(register).scaleb(scaler),),
    )


def verify_ocmf(value: dict[str, Any]) -> Signed:
    """Verify one OCMF text. Raises ``InvalidSignature``, ``ValueError``."""
    require_fields(value, method=OCMF_METHOD, encoding="OCMF")
    header, payload, signature = value["signed_meter_data"].split("|", 2)
    if header != "OCMF":
        raise ValueError(f"{header} is not OCMF")
    key = load_der_public_key(subject_public_key_info(value["public_key"]))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("not an elliptic curve key")  # noqa: TRY004, as every refusal here
    r, s = unpadded_der(bytes.fromhex(json.loads(signature)["SD"]))
    key.verify(encode_dss_signature(r, s), payload.encode(), ec.ECDSA(hashes.SHA256()))
    content = json.loads(payload)
    return Signed(
        meter=content["MS"],
        import_wh=tuple(
            Decimal(str(reading["RV"])) * 1000
            for reading in content["RD"]
            if reading.get("RI") == OCMF_IMPORT
        ),
    )


def require_fields(value: dict[str, Any], *, method: str, encoding: str) -> None:
    """Raise ``ValueError`` unless exactly the four fields are there, with these words."""
    if value.keys() != FIELDS:
        raise ValueError(f"fields {sorted(value)}")
    if (value["signing_method"], value["encoding_method"]) != (method, encoding):
        raise ValueError(f"{value['signing_method']!r}, {value['encoding_method']!r}")


def subject_public_key_info(text: str) -> bytes:
    """Return a key as DER; an older IEM-DCR hands out X and Y alone."""
    key = bytes.fromhex(text)
    return SPKI_PREFIX + b"\x04" + key if len(key) == 64 else key


def unpadded_der(signature: bytes) -> tuple[int, int]:
    """Read r and s as unsigned, which the padding is there for and IEM-DCR leaves out."""
    if signature[0] != 0x30 or signature[1] != len(signature) - 2:
        raise ValueError("the signature is not a DER sequence")
    numbers = []
    rest = signature[2:]
    while rest:
        tag, length = rest[0], rest[1]
        if tag != 0x02 or length > len(rest) - 2:
            raise ValueError("the signature holds something else than integers")
        numbers.append(int.from_bytes(rest[2 : 2 + length]))
        rest = rest[2 + length :]
    r, s = numbers
    return r, s
