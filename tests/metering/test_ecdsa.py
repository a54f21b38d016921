"""Keys and signatures: every form a meter uses is read, and nothing else is."""

from base64 import b64encode
from collections.abc import Callable
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, strategies as st
import pytest

from custom_components.dc_meter.metering.ecdsa import (
    DCT1_256_BIT,
    DCT1_384_BIT,
    SignatureScheme,
    UnknownAlgorithmError,
    UnreadableKeyError,
    UnreadableSignatureError,
    parse_public_key,
    parse_signature,
    verify,
)
from custom_components.dc_meter.metering.meter import KeyForm

SCHEMES = [
    DCT1_384_BIT,
    DCT1_256_BIT,
    *(
        SignatureScheme.named(f"ECDSA-{curve}-SHA256")
        for curve in (
            "secp192r1",
            "secp256k1",
            "secp256r1",
            "secp384r1",
            "brainpool256r1",
            "brainpool384r1",
        )
    ),
]
P256 = SignatureScheme.named("ECDSA-secp256r1-SHA256")

every_scheme = pytest.mark.parametrize(
    "scheme", SCHEMES, ids=lambda scheme: scheme.name
)


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    """Return 04 X Y."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


KEY_FORMS: dict[KeyForm, Callable[[ec.EllipticCurvePublicKey], bytes]] = {
    KeyForm.SUBJECT_PUBLIC_KEY_INFO: lambda key: key.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ),
    KeyForm.UNCOMPRESSED_POINT: point,
    KeyForm.BARE_POINT: lambda key: point(key)[1:],
}
KEY_TEXTS: dict[str, Callable[[bytes], str | bytes]] = {
    "the bytes": lambda data: data,
    "hex": lambda data: data.hex(),
    "upper-case hex": lambda data: data.hex().upper(),
    "hex with colons": lambda data: data.hex(":"),
    "hex in lines": lambda data: "\n".join(data.hex(" ", 4).split()) + "\n",
    "base64": lambda data: b64encode(data).decode(),
}


def integer(content: bytes) -> bytes:
    """Return a DER INTEGER of these bytes, right or wrong."""
    return bytes((0x02, len(content))) + content


def sequence(*integers: bytes) -> bytes:
    """Return a DER SEQUENCE of these."""
    return bytes((0x30, len(b"".join(integers)))) + b"".join(integers)


def minimal(number: int) -> bytes:
    """Return a number without a byte too many, and without one for its sign."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def bare(r: int, s: int, width: int) -> bytes:
    """Return r, then s, each of the full width."""
    return r.to_bytes(width) + s.to_bytes(width)


def strict(r: int, s: int, _width: int) -> bytes:
    """Return DER as the standard has it."""
    return sequence(*(integer(n.to_bytes(n.bit_length() // 8 + 1)) for n in (r, s)))


def unpadded(r: int, s: int, _width: int) -> bytes:
    """Return DER whose integers lack the byte that keeps them positive."""
    return sequence(integer(minimal(r)), integer(minimal(s)))


def unpadded_full_width(r: int, s: int, width: int) -> bytes:
    """Return DER as the IEM-DCR-125 writes it."""
    return sequence(integer(r.to_bytes(width)), integer(s.to_bytes(width)))


SIGNATURE_FORMS = [strict, unpadded, unpadded_full_width, bare]


class Signed(NamedTuple):
    """A genuine signature and what it was made over."""

    data: bytes
    r: int
    s: int
    key: ec.EllipticCurvePublicKey
    scheme: SignatureScheme


@st.composite
def private_keys(
    draw: st.DrawFn, scheme: SignatureScheme
) -> ec.EllipticCurvePrivateKey:
    """Draw a key of the curve."""
    curve = scheme.usable_curve
    return ec.derive_private_key(
        draw(st.integers(min_value=1, max_value=curve.group_order - 1)), curve
    )


@st.composite
def signed(draw: st.DrawFn) -> Signed:
    """Draw data, a key and a genuine signature."""
    scheme = draw(st.sampled_from(SCHEMES))
    key = draw(private_keys(scheme))
    data = draw(st.binary(max_size=200))
    algorithm = ec.ECDSA(scheme.hash, deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(data, algorithm))
    return Signed(data, r, s, key.public_key(), scheme)


def flipped(data: bytes, bit: int) -> bytes:
    """Return the bytes with one bit the other way round."""
    return (int.from_bytes(data) ^ (1 << bit)).to_bytes(len(data))


@every_scheme
@given(data=st.data())
def test_a_key_is_the_same_in_every_form(
    scheme: SignatureScheme, data: st.DataObject
) -> None:
    """Form and spelling differ from device to device; the key material decides."""
    key = data.draw(private_keys(scheme)).public_key()
    for form, encode in KEY_FORMS.items():
        for write in KEY_TEXTS.values():
            parsed = parse_public_key(write(encode(key)), scheme)
            assert parsed.form is form
            assert parsed.point == point(key)
            assert parsed == parse_public_key(point(key), scheme)


@given(signed=signed(), form=st.sampled_from(SIGNATURE_FORMS))
def test_a_signature_is_genuine_in_every_form(
    signed: Signed, form: Callable[[int, int, int], bytes]
) -> None:
    """On every curve, strict verifiers reject two of the four."""
    key = parse_public_key(point(signed.key), signed.scheme)
    signature = form(signed.r, signed.s, signed.scheme.width)
    assert verify(signed.data, signature, key, signed.scheme)


@given(signed=signed(), form=st.sampled_from(SIGNATURE_FORMS), where=st.data())
def test_no_flipped_bit_is_genuine(
    signed: Signed, form: Callable[[int, int, int], bytes], where: st.DataObject
) -> None:
    """Neither in what is signed nor in the signature."""
    key = parse_public_key(point(signed.key), signed.scheme)
    signature = form(signed.r, signed.s, signed.scheme.width)
    bit = where.draw(st.integers(0, 8 * (len(signature) + len(signed.data)) - 1))
    data = signed.data
    if bit < 8 * len(signature):
        signature = flipped(signature, bit)
    else:
        data = flipped(data, bit - 8 * len(signature))
    try:
        genuine = verify(data, signature, key, signed.scheme)
    except UnreadableSignatureError:
        return
    assert not genuine


@given(
    data=st.data(),
    form=st.sampled_from(list(KEY_FORMS)),
    scheme=st.sampled_from(SCHEMES),
)
def test_no_flipped_bit_is_the_same_key(
    data: st.DataObject, form: KeyForm, scheme: SignatureScheme
) -> None:
    """Most are no key at all."""
    key = data.draw(private_keys(scheme)).public_key()
    encoded = KEY_FORMS[form](key)
    bit = data.draw(st.integers(0, 8 * len(encoded) - 1))
    try:
        parsed = parse_public_key(flipped(encoded, bit), scheme)
    except UnreadableKeyError, UnknownAlgorithmError:
        return
    assert parsed.point != point(key)


@given(
    text=st.text() | st.text(alphabet="0123456789abcdefABCDEF=+/: \n") | st.binary(),
    scheme=st.sampled_from(SCHEMES),
)
def test_what_is_no_key_is_refused(text: str | bytes, scheme: SignatureScheme) -> None:
    """Whatever it is, by a typed error."""
    with pytest.raises((UnreadableKeyError, UnknownAlgorithmError)):
        parse_public_key(text, scheme)


KEY = ec.derive_private_key(7, ec.SECP256R1()).public_key()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            KEY.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
            id="compressed point",
        ),
        pytest.param(b"\x06" + point(KEY)[1:], id="hybrid point"),
        pytest.param(point(KEY) + b"\x00", id="point and a pad byte"),
        pytest.param(bytes(64), id="no point of the curve"),
        pytest.param(
            KEY_FORMS[KeyForm.SUBJECT_PUBLIC_KEY_INFO](KEY) + b"\x00",
            id="DER and a byte more",
        ),
        pytest.param(
            KEY_FORMS[KeyForm.SUBJECT_PUBLIC_KEY_INFO](
                ec.derive_private_key(7, ec.SECP256K1()).public_key()
            ),
            id="another curve",
        ),
        pytest.param(
            bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
            + KEY.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
            id="DER of a compressed point",
        ),
        pytest.param(
            bytes.fromhex("302a300506032b6570032100") + bytes(range(32)),
            id="an Ed25519 key",
        ),
    ],
)
def test_a_key_in_no_known_form_is_refused(data: bytes) -> None:
    """What is nearly a key is none."""
    with pytest.raises(UnreadableKeyError):
        parse_public_key(data, P256)


R = bytes(range(1, 33))
HIGH = bytes(range(129, 161))


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(63), id="one byte short of r and s"),
        pytest.param(sequence(integer(R)), id="r alone"),
        pytest.param(sequence(integer(R), integer(R), integer(R)), id="three integers"),
        pytest.param(sequence(integer(R), integer(R)) + b"\x00", id="a byte too many"),
        pytest.param(sequence(integer(R), integer(R))[:-1], id="a byte too few"),
        pytest.param(sequence(integer(b"\x00" + R), integer(R)), id="a zero too many"),
        pytest.param(
            sequence(integer(b"\x00\x00" + HIGH), integer(R)), id="two zeros too many"
        ),
        pytest.param(sequence(integer(b""), integer(R)), id="an integer of no bytes"),
        pytest.param(sequence(b"\x03" + integer(R)[1:], integer(R)), id="a bit string"),
        pytest.param(
            b"\x30\x81" + sequence(integer(R), integer(R))[1:],
            id="a length longer than needed",
        ),
        pytest.param(
            b"\x30\x80" + integer(R) + integer(R) + b"\x00\x00",
            id="an indefinite length",
        ),
    ],
)
def test_a_signature_in_no_known_form_is_refused(signature: bytes) -> None:
    """Leniency ends at the sign byte."""
    with pytest.raises(UnreadableSignatureError):
        parse_signature(signature, P256)


@pytest.mark.parametrize("first", [b"\x00\x01", b"\x00\x81", b"\x00\x00"])
def test_an_integer_of_full_width_may_begin_with_zeros(first: bytes) -> None:
    """Firmware that pads nothing takes nothing away either."""
    short = first + R[2:]
    number = int.from_bytes(short)
    assert parse_signature(sequence(integer(short), integer(short)), P256) == (
        (number, number),
    )


@pytest.mark.parametrize(
    ("r", "s"),
    [
        (0, 1),
        (1, 0),
        (P256.usable_curve.group_order, 1),
        (1, P256.usable_curve.group_order),
    ],
)
def test_r_and_s_outside_the_curves_order_are_not_genuine(r: int, s: int) -> None:
    """They are well formed, so they are judged."""
    assert not verify(b"", bare(r, s, 32), parse_public_key(point(KEY), P256), P256)


def test_bytes_that_are_der_and_bare_at_once_are_read_as_both() -> None:
    """DER comes first, so that the order is always the same."""
    short = R[:29]
    both = sequence(integer(short), integer(short))
    assert len(both) == 64
    assert parse_signature(both, P256) == (
        (int.from_bytes(short), int.from_bytes(short)),
        (int.from_bytes(both[:32]), int.from_bytes(both[32:])),
    )


def test_a_signature_of_another_curve_is_not_genuine() -> None:
    """A key cannot have signed on a curve it is not on."""
    other = SignatureScheme.named("ECDSA-secp256k1-SHA256")
    private = ec.derive_private_key(7, ec.SECP256R1())
    signature = private.sign(b"", ec.ECDSA(P256.hash))
    assert not verify(b"", signature, parse_public_key(point(KEY), P256), other)


def test_secp192k1_is_known_and_cannot_be_computed_with() -> None:
    """OCMF allows it; the cryptography library lacks it."""
    scheme = SignatureScheme.named("ECDSA-secp192k1-SHA256")
    with pytest.raises(UnknownAlgorithmError, match="secp192k1"):
        parse_public_key(bytes(48), scheme)
    with pytest.raises(UnknownAlgorithmError, match="secp192k1"):
        verify(b"", bytes(48), parse_public_key(point(KEY), P256), scheme)


def test_a_scheme_nobody_knows_is_refused_by_name() -> None:
    """The error says which."""
    with pytest.raises(UnknownAlgorithmError, match="ECDSA-rot13"):
        SignatureScheme.named("ECDSA-rot13")
