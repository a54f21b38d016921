"""ECDSA keys and signatures in all the forms meters deliver them."""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from string import hexdigits

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from .meter import KeyForm

_DER_SEQUENCE = 0x30
_DER_INTEGER = 0x02
_UNCOMPRESSED = b"\x04"
_HEX_DIGITS = frozenset(hexdigits)


class UnknownAlgorithmError(ValueError):
    """The algorithm is not known, or nothing here can compute it."""


class UnreadableKeyError(ValueError):
    """The public key has none of the known forms, or is no point of the curve."""


class UnreadableSignatureError(ValueError):
    """The signature has none of the known forms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignatureScheme:
    """A curve and a hash under the name a meter gives them."""

    name: str
    curve: ec.EllipticCurve | None
    """None where `cryptography` lacks the curve."""

    hash: HashAlgorithm

    @classmethod
    def named(cls, name: str) -> SignatureScheme:
        """Return the scheme of an OCMF "SA" or a DCT1 signing method, in capitals or not.

        Raises ``UnknownAlgorithmError``.
        """
        try:
            return _SCHEMES[name.lower()]
        except KeyError:
            raise UnknownAlgorithmError(f"unknown algorithm {name!r}") from None

    @property
    def usable_curve(self) -> ec.EllipticCurve:
        """The curve; raises ``UnknownAlgorithmError`` where there is none to compute with."""
        if self.curve is None:
            raise UnknownAlgorithmError(f"the curve of {self.name} is not available")
        return self.curve

    @property
    def width(self) -> int:
        """Bytes of one coordinate, and of r or s; the same on all curves known here."""
        return self.usable_curve.key_size // 8


DCT1_384_BIT = SignatureScheme(  # confirmed: both sample receipts verify
    name="384 bit ECDSA SHA 384, using curve brainpoolP384r1",
    curve=ec.BrainpoolP384R1(),
    hash=SHA384(),
)
DCT1_256_BIT = SignatureScheme(  # inferred: the open driver's label, no sample
    name="256 bit ECDSA SHA 256, using curve brainpoolP256r1",
    curve=ec.BrainpoolP256R1(),
    hash=SHA256(),
)
OCMF_DEFAULT = "ECDSA-secp256r1-SHA256"

_OCMF_CURVES: dict[str, ec.EllipticCurve | None] = {
    "secp192k1": None,
    "secp192r1": ec.SECP192R1(),
    "secp256k1": ec.SECP256K1(),
    "secp256r1": ec.SECP256R1(),
    "secp384r1": ec.SECP384R1(),
    "brainpool256r1": ec.BrainpoolP256R1(),
    "brainpool384r1": ec.BrainpoolP384R1(),
}
_SCHEMES = {
    scheme.name.lower(): scheme
    for scheme in (
        DCT1_384_BIT,
        DCT1_256_BIT,
        *(
            SignatureScheme(
                name=f"ECDSA-{curve_name}-SHA256", curve=curve, hash=SHA256()
            )
            for curve_name, curve in _OCMF_CURVES.items()
        ),
    )
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PublicKey:
    """A public key; two are equal when their key material is, whatever form they came in."""

    curve_name: str
    point: bytes
    """04 X Y."""

    form: KeyForm = field(compare=False)
    key: ec.EllipticCurvePublicKey = field(compare=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, in hex: one for every form of a key."""
        return sha256(
            self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()


def parse_public_key(key: str | bytes, scheme: SignatureScheme) -> PublicKey:
    """Read a public key: DER SubjectPublicKeyInfo, 04 X Y, or X Y alone.

    ``key`` is the bytes themselves, or text: hex in any case with spaces and colons, or
    base64. Text of nothing but hex digits is hex. Raises ``UnreadableKeyError``, and
    ``UnknownAlgorithmError`` for a curve that cannot be computed with.
    """
    curve = scheme.usable_curve
    data = _key_bytes(key) if isinstance(key, str) else key
    try:
        if len(data) == 2 * scheme.width:
            form = KeyForm.BARE_POINT
            loaded = ec.EllipticCurvePublicKey.from_encoded_point(
                curve, _UNCOMPRESSED + data
            )
        elif len(data) == 1 + 2 * scheme.width and data.startswith(_UNCOMPRESSED):
            form = KeyForm.UNCOMPRESSED_POINT
            loaded = ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
        else:
            form = KeyForm.SUBJECT_PUBLIC_KEY_INFO
            loaded = _load_public_key_info(data, curve)
    except UnsupportedAlgorithm as err:
        raise UnknownAlgorithmError(str(err)) from err
    except ValueError as err:
        raise UnreadableKeyError(f"no public key of {scheme.name}: {err}") from err
    return PublicKey(
        curve_name=curve.name,
        point=loaded.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        form=form,
        key=loaded,
    )


def is_public_key(text: str) -> bool:
    """Tell whether this is a public key on any curve known here."""
    for scheme in _SCHEMES.values():
        try:
            parse_public_key(text, scheme)
        except UnknownAlgorithmError, UnreadableKeyError:
            continue
        return True
    return False


def is_strict_der(signature: bytes) -> bool:
    """Tell whether a verifier that takes nothing but strict DER can read this signature."""
    try:
        decode_dss_signature(signature)
    except ValueError:
        return False
    return True


def verify(
    data: bytes, signature: bytes, key: PublicKey, scheme: SignatureScheme
) -> bool:
    """Tell whether ``signature`` over ``data`` was made with ``key``.

    Where the bytes can be read both as DER and as bare r s, they are genuine when one of
    the readings is. Raises ``UnreadableSignatureError`` when they can be read as neither,
    and ``UnknownAlgorithmError`` for a curve that cannot be computed with.
    """
    curve = scheme.usable_curve
    readings = parse_signature(signature, scheme)
    if key.curve_name != curve.name:
        return False
    for r, s in readings:
        if not (1 <= r < curve.group_order and 1 <= s < curve.group_order):
            continue
        try:
            key.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(scheme.hash))
        except InvalidSignature:
            continue
        return True
    return False


def decode_base64(text: str) -> bytes:
    """Decode base64 that can be written in this one way only. Raises ``ValueError``."""
    data = b64decode(text, validate=True)
    # The last character has bits to spare, which a plain decoder does not look at.
    if b64encode(data).decode() != text:
        raise ValueError("not base64 as it is written")
    return data


def parse_signature(
    signature: bytes, scheme: SignatureScheme
) -> tuple[tuple[int, int], ...]:
    """Return each (r, s) the bytes can mean, DER first; one as good as always.

    Raises ``UnreadableSignatureError``, and ``UnknownAlgorithmError`` for a curve that
    cannot be computed with.
    """
    width = scheme.width
    readings: list[tuple[int, int]] = []
    if (der := _der_integers(signature, width)) is not None:
        readings.append(der)
    if len(signature) == 2 * width:
        readings.append(
            (int.from_bytes(signature[:width]), int.from_bytes(signature[width:]))
        )
    if not readings:
        raise UnreadableSignatureError(
            f"{len(signature)} bytes are neither a DER signature nor r and s of {width} bytes"
        )
    return tuple(readings)


def _key_bytes(text: str) -> bytes:
    digits = "".join(text.split()).replace(":", "")
    try:
        if _HEX_DIGITS.issuperset(digits):
            return bytes.fromhex(digits)
        return b64decode("".join(text.split()), validate=True)
    except ValueError as err:
        raise UnreadableKeyError(f"the key is neither hex nor base64: {err}") from err


def _load_public_key_info(
    data: bytes, curve: ec.EllipticCurve
) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(data)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.name:
        raise ValueError(f"not a key on {curve.name}")
    # The loader also takes compressed points; no meter sends those.
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != data:
        raise ValueError("not in the distinguished encoding")
    return key


def _der_integers(signature: bytes, width: int) -> tuple[int, int] | None:
    """Read SEQUENCE { INTEGER r, INTEGER s }, whose integers may lack their sign byte.

    IEM-DCR-125 firmware puts r and s into DER without the zero byte that keeps them
    positive (confirmed by a receipt), so both are read as unsigned. At these curve sizes
    every length fits in one byte.
    """
    if len(signature) < 2 or signature[0] != _DER_SEQUENCE:
        return None
    if signature[1] != len(signature) - 2 or signature[1] >= 0x80:
        return None
    r, rest = _der_integer(signature[2:], width)
    s, rest = _der_integer(rest, width)
    return None if r is None or s is None or rest else (r, s)


def _der_integer(data: bytes, width: int) -> tuple[int | None, bytes]:
    if len(data) < 3 or data[0] != _DER_INTEGER:
        return None, b""
    content, rest = data[2 : 2 + data[1]], data[2 + data[1] :]
    if not content or len(content) != data[1]:
        return None, b""
    # A zero byte too many is no DER; firmware that pads nothing still writes the zero
    # that a short r or s begins with at full width.
    padded = len(content) > 1 and content[0] == 0 and content[1] < 0x80
    if padded and len(content) != width:
        return None, b""
    return int.from_bytes(content), rest
