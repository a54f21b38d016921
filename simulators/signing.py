"""The meters' keys and the forms their signatures take; a key is made once and kept."""

from enum import StrEnum
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)


class SignatureForm(StrEnum):
    """How r and s are written."""

    PADDED = "padded"
    """Strict DER."""

    UNPADDED = "unpadded"
    """DER as IEM-DCR-125 firmware writes it: both integers always full width, so that a set top
    bit reads as a negative number. Confirmed by a real receipt; that leading zeros stay too is
    inferred."""

    BARE = "bare"
    """r, then s, each of the curve's width."""


class SigningKey:
    """One meter's private key."""

    def __init__(
        self, curve: ec.EllipticCurve, digest: HashAlgorithm, path: Path | None = None
    ) -> None:
        """Take the key kept at ``path``, or make one and keep it there."""
        self._curve, self._digest = curve, digest
        self._hash = ec.ECDSA(digest)
        if path is not None and path.exists():
            key = load_pem_private_key(path.read_bytes(), None)
            if (
                not isinstance(key, ec.EllipticCurvePrivateKey)
                or key.curve.name != curve.name
            ):
                raise ValueError(f"{path} holds no {curve.name} key")
        else:
            key = ec.generate_private_key(curve)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(
                    key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                )
        self._key = key
        self.width = (curve.key_size + 7) // 8
        """Bytes of one coordinate."""

    def another(self) -> SigningKey:
        """Return a new key of this kind, which is not kept."""
        return SigningKey(self._curve, self._digest)

    @property
    def point(self) -> bytes:
        """The public key as 04 X Y."""
        return self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )

    @property
    def subject_public_key_info(self) -> bytes:
        """The public key as DER."""
        return self._key.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, data: bytes, form: SignatureForm = SignatureForm.BARE) -> bytes:
        """Sign, each time with fresh randomness."""
        strict = self._key.sign(data, self._hash)
        if form is SignatureForm.PADDED:
            return strict
        halves = [
            number.to_bytes(self.width, "big")
            for number in decode_dss_signature(strict)
        ]
        if form is SignatureForm.BARE:
            return b"".join(halves)
        integers = b"".join(bytes((0x02, self.width)) + half for half in halves)
        return bytes((0x30, len(integers))) + integers
