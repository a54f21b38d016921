"""Check what a DCT1 energy meter signed. Needs Python 3.9 or newer and ``cryptography``.

    pip install cryptography
    python verify_dct1.py sessions/0001_... [--public-key HEX]

A session is a folder with ``begin.bin`` and ``end.bin`` (154 bytes that the meter signed, then
its signature; one alone shows no energy) and ``public_key.txt`` (the meter's key in hex). Without a folder, all sessions
beside this file are checked. Compare the key with the one printed on the meter: give that with
``--public-key``, and no other is believed.

Exit code: 0 all valid, 1 one is invalid, 2 one cannot be checked.
"""

import argparse
from decimal import Decimal
from pathlib import Path
import sys

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_der_public_key

BLOCK_LENGTH = 154
VALID, INVALID, UNUSABLE = 0, 1, 2

# By the length of r and s together.
SCHEMES = {
    96: (ec.BrainpoolP384R1(), SHA384()),
    64: (ec.BrainpoolP256R1(), SHA256()),
}

IMPORT_CODE = bytes.fromhex("0100010800FF")  # OBIS 1-0:1.8.0*255
EXPORT_CODE = bytes.fromhex("0100020800FF")  # OBIS 1-0:2.8.0*255
WATT_HOUR = 30
IMPOSSIBLE_WH = 1 << 48
MAX_SCALER = 9


class Unusable(Exception):
    """What is here cannot be checked."""


class Wrong(Exception):
    """What is here is not what the meter signed, or not of one transaction."""


class Block:
    """What the meter signed: who it is and what it has counted."""

    def __init__(self, data: bytes, word_order: str) -> None:
        """Read the block with the words of its numbers in this order."""
        self.import_wh = register(data[0:20], IMPORT_CODE, word_order)
        self.export_wh = register(data[20:40], EXPORT_CODE, word_order)
        self.model = name(data[104:120])
        self.serial_number = name(data[124:138])

    @property
    def possible(self) -> bool:
        """Whether a meter can have counted this."""
        return all(
            0 <= energy < IMPOSSIBLE_WH for energy in (self.import_wh, self.export_wh)
        )


def register(record: bytes, code: bytes, word_order: str) -> Decimal:
    """Return a register in Wh: OBIS code, unit, power of ten, number."""
    if record[0:6] != code or int.from_bytes(record[6:10], "big") != WATT_HOUR:
        raise Unusable("not the block of a DCT1")
    scaler = int.from_bytes(record[10:12], "big", signed=True)
    if abs(scaler) > MAX_SCALER:
        raise Unusable("not the block of a DCT1")
    words = [record[start : start + 2] for start in range(12, 20, 2)]
    if word_order == "little":
        words.reverse()
    number = int.from_bytes(b"".join(words), "big", signed=True)
    return Decimal(number).scaleb(scaler)


def name(field: bytes) -> str:
    """Return a name of the block, padded with zeros, safe to print."""
    return field.rstrip(b"\0").decode("ascii", "backslashreplace")


def word_order_of(blocks: list[bytes]) -> str:
    """Tell the order of the words, which no block says: the one that gives possible numbers."""
    for block in blocks:
        if not Block(block, "big").possible and Block(block, "little").possible:
            return "little"
    return "big"


def read_key(text: str, curve: ec.EllipticCurve) -> ec.EllipticCurvePublicKey:
    """Read a public key in hex: X Y, 04 X Y, or SubjectPublicKeyInfo."""
    try:
        data = bytes.fromhex("".join(text.split()).replace(":", ""))
        width = curve.key_size // 8
        if len(data) == 2 * width:
            data = b"\x04" + data
        if len(data) == 1 + 2 * width:
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, data)
        key = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("the public key cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != curve.name:
        raise Unusable("the public key is of another kind than the signature")
    return key


def check_signature(value: bytes, key_text: str) -> bytes:
    """Return the block of a signed value once its signature is found genuine."""
    block, signature = value[:BLOCK_LENGTH], value[BLOCK_LENGTH:]
    if len(signature) not in SCHEMES:
        raise Unusable(f"{len(value)} bytes are not a block and its signature")
    curve, hash_ = SCHEMES[len(signature)]
    half = len(signature) // 2
    r = int.from_bytes(signature[:half], "big")
    s = int.from_bytes(signature[half:], "big")
    key = read_key(key_text, curve)
    try:
        key.verify(encode_dss_signature(r, s), block, ec.ECDSA(hash_))
    except InvalidSignature as error:
        raise Wrong("the signature does not fit the data and the key") from error
    return block


def check_session(folder: Path, trusted_key: str) -> str:
    """Return what the session in a folder proves; raise what is wrong with it."""
    for name, missing in (("end", "begin"), ("begin", "end")):
        if not (folder / f"{missing}.bin").exists():
            path = folder / f"{name}.bin"
            only = check_signature(read(path), trusted_key or key_in(folder))
            block = Block(only, word_order_of([only]))
            return (
                f"meter {block.serial_number} ({block.model}) at the {name}:"
                f" import {block.import_wh:f} Wh, export {block.export_wh:f} Wh;"
                f" no {missing}, so no energy of a session"
            )
    end = check_signature(read(folder / "end.bin"), trusted_key or key_in(folder))
    begin = check_signature(read(folder / "begin.bin"), trusted_key or key_in(folder))
    word_order = word_order_of([begin, end])
    first, last = Block(begin, word_order), Block(end, word_order)
    if (first.model, first.serial_number) != (last.model, last.serial_number):
        raise Wrong("begin and end are from two meters")
    if last.import_wh < first.import_wh or last.export_wh < first.export_wh:
        raise Wrong("a register runs backwards")
    return (
        f"meter {last.serial_number} ({last.model}):"
        f" import {first.import_wh:f} to {last.import_wh:f} Wh"
        f" = {last.import_wh - first.import_wh:f} Wh,"
        f" export {first.export_wh:f} to {last.export_wh:f} Wh"
        f" = {last.export_wh - first.export_wh:f} Wh"
    )


def key_in(folder: Path) -> str:
    """Return the key that was delivered with a session."""
    try:
        return read(folder / "public_key.txt").decode("ascii")
    except UnicodeDecodeError as error:
        raise Unusable("public_key.txt is not hex") from error


def read(path: Path) -> bytes:
    """Return what is in a file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path.name}: {error.strerror}") from error


def main() -> int:
    """Check the sessions that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="*", type=Path, help="folders of sessions")
    parser.add_argument("--public-key", default="", help="hex, as printed on the meter")
    options = parser.parse_args()
    beside = Path(__file__).resolve().parent
    folders = options.folder or sorted(
        {path.parent for path in beside.glob("**/*.bin")}
    )
    if not folders:
        parser.error("there is no session here")
    worst = VALID
    for folder in folders:
        try:
            result, text = VALID, check_session(folder, options.public_key)
        except Wrong as problem:
            result, text = INVALID, str(problem)
        except Unusable as problem:
            result, text = UNUSABLE, str(problem)
        word = ("VALID", "INVALID", "CANNOT BE CHECKED")[result]
        sys.stdout.write(f"{folder.name}: {word}: {text}\n")
        # What is invalid outweighs what cannot be checked.
        worst = INVALID if INVALID in (worst, result) else max(worst, result)
    sys.stdout.write(
        "The signature speaks for the meter and its registers. It says nothing of when, for\n"
        "whom or at which price: that is the record of the charging station.\n"
    )
    return worst


if __name__ == "__main__":
    sys.exit(main())
