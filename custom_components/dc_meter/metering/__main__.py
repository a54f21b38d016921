"""Verdicts on the command line, wherever Python and ``cryptography`` are."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
import io
import json
from pathlib import Path
import sys
from typing import Any

from .ecdsa import is_public_key
from .receipt_file import UnusableFileError, read_receipts
from .verdict import (
    Caveat,
    Covered,
    Judgement,
    KeyOrigin,
    Objection,
    Reason,
    Verdict,
    judge,
)

UNUSABLE = 2
_EXIT_CODES = {Verdict.VALID: 0, Verdict.INVALID: 1, Verdict.UNVERIFIABLE: UNUSABLE}

_REASONS = {
    Reason.GENUINE: "the signature is genuine",
    Reason.SIGNATURE_MISMATCH: "the signature does not fit the data",
    Reason.KEY_CHANGED: "it is signed with another key than the trusted one",
    Reason.OTHER_METER: "begin and end are from two meters",
    Reason.RUNS_BACKWARDS: "a register runs backwards between begin and end",
    Reason.NO_KEY: "there is no public key in it; give the meter's with --public-key",
    Reason.UNKNOWN_ALGORITHM: "its format or algorithm is not known here",
    Reason.DAMAGED: "it, its signature or its key is damaged",
}
_OBJECTIONS = {
    Objection.NO_BEGIN: "there is no begin",
    Objection.NO_END: "there is no end",
    Objection.SEVERAL_BEGINS: "there is more than one begin",
    Objection.SEVERAL_ENDS: "there is more than one end",
    Objection.NO_BILLING_REGISTER: "no register that counts for billing was read",
    Objection.OTHER_REGISTER: "begin and end were read from two registers",
    Objection.REGISTER_BACKWARDS: "the register runs backwards",
    Objection.TIME_BACKWARDS: "the time runs backwards",
    Objection.MIXED_TIME: "one time is relative, the other absolute",
    Objection.STATUS_NOT_GOOD: "the meter's status was not good (ST)",
    Objection.ENERGY_FLAGGED: "the meter flagged its energy as unusable (EF)",
    Objection.IDENTIFICATION_LEVEL: "the user's identification failed (IL)",
    Objection.NOT_A_TRANSACTION: "it is not counted as a transaction (PG)",
    Objection.OTHER_METER: "begin and end are from two meters",
    Objection.OTHER_USER: "begin and end name two users",
    Objection.LIVE_REGISTER_DIFFERS: "the register read live was another",
}
_CAVEATS = {
    Caveat.TIME_UNSYNCHRONIZED: "the meter's clock was not synchronized",
    Caveat.SIGNATURE_FORM: "strict verifiers reject the form of this genuine signature",
}
_KEYS = {
    KeyOrigin.TRUSTED: "the one given",
    KeyOrigin.RECEIPT: "the one in the receipt; compare it with the meter's label",
}


def argument_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(
        prog="verify",
        description="Check receipts of DC energy meters: OCMF texts, signed values or stop"
        " responses in JSON, exports, S.A.F.E. XML.",
        epilog="Exit code: 0 valid, 1 invalid, 2 unverifiable or unusable. Of several"
        " receipts, one that is invalid outweighs one that is unverifiable.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser.add_argument(
        "--public-key",
        metavar="HEX",
        help="the key the meter is trusted by, as on its label; hex or base64",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    return parser


def run(options: Namespace) -> int:
    """Verify what the options ask for, print it and return the exit code."""
    if options.public_key is not None and not is_public_key(options.public_key):
        return refuse("--public-key is no public key", as_json=options.json)
    try:
        receipts = read_receipts(options.file)
    except UnusableFileError as err:
        return refuse(f"{options.file}: {err}", as_json=options.json)
    judgements = [
        judge(receipt, trusted_key=options.public_key) for receipt in receipts
    ]
    if options.json:
        reports = [report(judgement) for judgement in judgements]
        print(json.dumps(reports if len(reports) > 1 else reports[0], indent=2))
    else:
        for number, judgement in enumerate(judgements, 1):
            if len(judgements) > 1:
                print(f"Receipt {number} of {len(judgements)}")
            print("\n".join(lines(judgement)))
    verdicts = {judgement.verdict for judgement in judgements}
    worst = next(
        verdict
        for verdict in (Verdict.INVALID, Verdict.UNVERIFIABLE, Verdict.VALID)
        if verdict in verdicts
    )
    return _EXIT_CODES[worst]


def refuse(problem: str, *, as_json: bool) -> int:
    """Say why nothing can be verified and return the exit code."""
    if as_json:
        print(json.dumps({"error": problem}))
    else:
        print(f"verify: {_printable(problem)}", file=sys.stderr)
    return UNUSABLE


def report(judgement: Judgement) -> dict[str, Any]:
    """Return a judgement as JSON-serializable data; energies in Wh, exact."""
    return {
        "verdict": judgement.verdict,
        "billable": judgement.billable,
        "reasons": [judgement.reason, *judgement.objections, *judgement.caveats],
        "covers": judgement.covers,
        "energy_import_wh": _number(judgement.energy_import_wh),
        "energy_export_wh": _number(judgement.energy_export_wh),
        "begins_at": _time(judgement.begins_at),
        "ends_at": _time(judgement.ends_at),
        "meter": judgement.meter,
        "model": judgement.model,
        "user": judgement.user,
        "tariff_text": judgement.tariff_text,
        "transaction": judgement.transaction,
        "key": judgement.key,
        "key_fingerprint": judgement.key_fingerprint,
    }


def lines(judgement: Judgement) -> Iterator[str]:
    """Put a judgement into words."""
    yield f"{judgement.verdict.upper()}: {_REASONS[judgement.reason]}"
    yield from _line("meter", judgement.meter, judgement.model)
    for name, reading in (("begin", judgement.begin), ("end", judgement.end)):
        if reading is not None:
            yield from _line(
                name,
                _time(reading.at),
                _energy(reading.energy_import_wh, "import"),
                _energy(reading.energy_export_wh, "export"),
            )
    yield from _line("imported", _energy(judgement.energy_import_wh))
    yield from _line("exported", _energy(judgement.energy_export_wh))
    yield from _line("user", judgement.user)
    yield from _line("tariff", judgement.tariff_text)
    yield from _line("transaction", judgement.transaction)
    yield from _line("key", judgement.key and _KEYS[judgement.key])
    yield from _line("SHA-256", judgement.key_fingerprint)
    if judgement.verdict is Verdict.VALID:
        yield from _line("vouches for", _listed(judgement.covers))
        missing = [covered for covered in Covered if covered not in judgement.covers]
        yield from _line("not for", _listed(missing))
    yield from _line("billable", "yes" if judgement.billable else "no")
    for objection in judgement.objections:
        yield from _line("", _OBJECTIONS[objection])
    for caveat in judgement.caveats:
        yield from _line("note", _CAVEATS[caveat])


def _line(name: str, *parts: str | None) -> Iterator[str]:
    if text := ", ".join(part for part in parts if part):
        yield f"  {name:<12} {_printable(text)}"


def _printable(text: str) -> str:
    """Keep what a receipt says from steering the terminal."""
    return "".join(
        character
        if character.isprintable()
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items)


def _energy(energy_wh: Decimal | None, what: str = "") -> str | None:
    return None if energy_wh is None else f"{what} {energy_wh:f} Wh".strip()


def _number(value: Decimal | None) -> int | float | str | None:
    """Return the JSON number that reads back the same, as text where none does."""
    if value is None:
        return None
    if value == value.to_integral_value():
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else f"{value:f}"


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def main() -> int:
    """Verify what the command line names."""
    return run(argument_parser().parse_args())


def make_output_safe() -> None:
    """Let no character stop the output on a terminal that lacks it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    make_output_safe()
    sys.exit(main())
