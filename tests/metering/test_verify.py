"""scripts/verify: whatever file it is given, a verdict or a plain refusal."""

from base64 import b64encode
from dataclasses import asdict, replace
from datetime import UTC, datetime
from hashlib import sha256
import io
import json
import os
from pathlib import Path
import sqlite3
import subprocess
import sys
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile

import pytest

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.metering import receipt_file
from custom_components.dc_meter.metering.__main__ import argument_parser, run
from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.receipt_file import (
    UnusableFileError,
    receipts_in,
)
from custom_components.dc_meter.metering.verdict import Receipt
from simulators.dct1 import SimulatedDct1

from .signed import BEGIN, END, KEY, OTHER_KEY, ocmf, ocmf_value, snapshot

ROOT = Path(__file__).parents[2]
DCT1_ANSWER = ROOT / "tests" / "vectors" / "dct1.json"
KEY_HEX = KEY.subject_public_key_info.hex()

TEXT = ocmf()
FORGED = TEXT.replace("447.541", "447.542")
VALUE = ocmf_value(TEXT)

_METER = SimulatedDct1(import_wh=70_000)
BLOCKS = (
    snapshot(_METER),
    snapshot(SimulatedDct1(import_wh=90_000), _METER.key),
)


def verify(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does."""
    done = subprocess.run(
        [ROOT / "scripts" / "verify", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def answered(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path
) -> tuple[int, Any]:
    """Return the exit code and the answer in JSON."""
    code = run(argument_parser().parse_args(["--json", *map(str, arguments)]))
    return code, json.loads(capsys.readouterr().out)


def xml_value(
    text: str,
    *,
    context: str | None = None,
    key: str | None = KEY_HEX,
    encoding: str = "plain",
    transaction: str = "1",
) -> str:
    """Return a value of the S.A.F.E. transparency software's XML."""
    named = "" if context is None else f' context="Transaction.{context}"'
    public_key = "" if key is None else f'<publicKey encoding="plain">{key}</publicKey>'
    return (
        f'<value transactionId="{transaction}"{named}>'
        f'<signedData format="OCMF" encoding="{encoding}">{text}</signedData>'
        f"{public_key}</value>"
    )


def xml(*values: str) -> str:
    """Return the whole XML."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<values>{"".join(values)}</values>'


def stop_response(
    begin: SignedMeterValue | None, end: SignedMeterValue
) -> dict[str, Any]:
    """Return what an action answers."""
    answer: dict[str, Any] = {"status": "OK", "signed_meter_value": asdict(end)}
    if begin is not None:
        answer["start_signed_meter_value"] = asdict(begin)
    return answer | {"session": {"user_data": [1.5, None]}, "verdict": {}}


BEGIN_TEXT, END_TEXT = ocmf(RD=[BEGIN]), ocmf(RD=[END], PG="T8")
PAIR = Receipt(begin=ocmf_value(BEGIN_TEXT), end=ocmf_value(END_TEXT))
SESSION = Receipt(begin=BLOCKS[0], end=BLOCKS[1])

FILES: dict[str, tuple[str, tuple[Receipt, ...]]] = {
    "a signed value": (json.dumps(asdict(VALUE)), (Receipt(end=VALUE),)),
    "a stop response of a meter that signs once": (
        json.dumps(stop_response(None, VALUE)),
        (Receipt(end=VALUE),),
    ),
    "a stop response of a meter that signs twice": (
        json.dumps(stop_response(*BLOCKS)),
        (SESSION,),
    ),
    "a stop response without a begin": (
        json.dumps(stop_response(None, VALUE) | {"start_signed_meter_value": None}),
        (Receipt(end=VALUE),),
    ),
    "a start response": (
        json.dumps({"status": "OK", "start_signed_meter_value": asdict(BLOCKS[0])}),
        (Receipt(end=BLOCKS[0]),),
    ),
    "a list": (
        json.dumps([stop_response(*BLOCKS), stop_response(None, VALUE)]),
        (SESSION, Receipt(end=VALUE)),
    ),
    "a list inside an answer": (
        json.dumps({"service_response": {"receipts": [asdict(VALUE)]}}),
        (Receipt(end=VALUE),),
    ),
    "lines of JSON": (
        "\n".join((json.dumps(asdict(VALUE)), "", json.dumps(stop_response(*BLOCKS)))),
        (Receipt(end=VALUE), SESSION),
    ),
    "XML of one text": (xml(xml_value(TEXT)), (Receipt(end=VALUE),)),
    "XML of a whole transaction at its begin": (
        xml(xml_value(TEXT, context="Begin")),
        (Receipt(end=VALUE),),
    ),
    "XML of several texts": (
        xml(xml_value(TEXT, transaction="1"), xml_value(TEXT, transaction="2")),
        (Receipt(end=VALUE), Receipt(end=VALUE)),
    ),
    "XML of a begin and an end": (
        xml(xml_value(BEGIN_TEXT, context="Begin"), xml_value(END_TEXT, context="End")),
        (PAIR,),
    ),
    "XML of two transactions, mixed": (
        xml(
            xml_value(BEGIN_TEXT, context="Begin", transaction="1"),
            xml_value(BEGIN_TEXT, context="Begin", transaction="2"),
            xml_value(END_TEXT, context="End", transaction="2"),
            xml_value(END_TEXT, context="End", transaction="1"),
        ),
        (PAIR, PAIR),
    ),
    "XML of ends before their begins": (
        xml(
            xml_value(END_TEXT, context="End", transaction="1"),
            xml_value(END_TEXT, context="End", transaction="2"),
            xml_value(BEGIN_TEXT, context="Begin", transaction="1"),
            xml_value(BEGIN_TEXT, context="Begin", transaction="2"),
        ),
        (PAIR, PAIR),
    ),
    "XML of an end before a begin, and of no transaction": (
        xml(
            xml_value(END_TEXT, context="End"),
            xml_value(BEGIN_TEXT, context="Begin"),
        ).replace(' transactionId="1"', ""),
        (Receipt(end=PAIR.end), Receipt(end=PAIR.begin or PAIR.end)),
    ),
    "XML of two ends of one transaction": (
        xml(
            xml_value(END_TEXT, context="End", transaction="1"),
            xml_value(END_TEXT, context="End", transaction="1"),
        ),
        (Receipt(end=PAIR.end),) * 2,
    ),
    "XML of begins without an end": (
        xml(
            xml_value(BEGIN_TEXT, context="Begin"),
            xml_value(BEGIN_TEXT, context="Begin"),
        ),
        (Receipt(end=PAIR.begin or PAIR.end),) * 2,
    ),
    "XML in base64": (
        xml(xml_value(b64encode(TEXT.encode()).decode(), encoding="base64")),
        (Receipt(end=VALUE),),
    ),
    "XML in hex": (
        xml(xml_value(TEXT.encode().hex(), encoding="hex")),
        (Receipt(end=VALUE),),
    ),
    "XML in another encoding than it says": (
        xml(xml_value(TEXT, encoding="hex")),
        (Receipt(end=VALUE),),
    ),
    "XML with a namespace": (
        xml(xml_value(TEXT)).replace("<values>", '<values xmlns="urn:x">'),
        (Receipt(end=VALUE),),
    ),
    "XML with escapes and character data": (
        xml(xml_value(f"\n<![CDATA[{TEXT}]]>\n")),
        (Receipt(end=VALUE),),
    ),
    "XML without a key": (
        xml(xml_value(TEXT, key=None)),
        (Receipt(end=replace(VALUE, public_key="")),),
    ),
}


@pytest.mark.parametrize(("content", "receipts"), FILES.values(), ids=FILES.keys())
def test_each_kind_of_file_holds_these_receipts(
    content: str, receipts: tuple[Receipt, ...]
) -> None:
    found = receipts_in(content)
    # An OCMF text names its algorithm itself.
    assert [
        (
            r.begin and r.begin.signed_meter_data,
            r.end.signed_meter_data,
            r.end.public_key,
        )
        for r in found
    ] == [
        (
            r.begin and r.begin.signed_meter_data,
            r.end.signed_meter_data,
            r.end.public_key,
        )
        for r in receipts
    ]


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (TEXT, 1),
        (f'"{TEXT}"\r\n', 1),
        (json.dumps(TEXT), 1),
        (json.dumps([TEXT, TEXT]), 2),
        (f"{TEXT}\r\n{TEXT}\n", 2),
        (TEXT.replace('{"FV"', '{\n "FV"'), 1),
    ],
    ids=["bare", "quoted", "a JSON string", "JSON strings", "lines", "laid out"],
)
def test_ocmf_texts_are_taken_as_they_come(content: str, number: int) -> None:
    assert len(receipts_in(content)) == number


UNUSABLE = {
    "nothing": "",
    "a word": "receipt",
    "half a JSON": '{"signed_meter_value":',
    "JSON of something else": '{"status": "OK"}',
    "JSON lines of which one is none": '{"a": 1}\n{"a": \n',
    "a key twice": '{"signed_meter_data": "a", "signed_meter_data": "b"}',
    "a number for a text": '{"signed_meter_data": 1}',
    "deep JSON": "[" * 100_000,
    "half an XML": "<values>",
    "XML of something else": "<html></html>",
    "a value without data": "<values><value/></values>",
    "a document type": xml(xml_value(TEXT)).replace("\n", "<!DOCTYPE values>"),
    "an entity": xml(xml_value("&a;")).replace(
        "\n", f"<!DOCTYPE values [<!ENTITY a '{TEXT}'>]>"
    ),
    "an entity that is not declared": xml(xml_value("&a;")),
    "a character XML has not": xml(xml_value("\0")),
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_holds_no_receipt_is_refused(content: str) -> None:
    with pytest.raises(UnusableFileError):
        receipts_in(content)


def test_a_byte_order_mark_within_a_text_is_named() -> None:
    """That of a file is left aside; one more cannot be seen by whoever looks for what is wrong."""
    with pytest.raises(UnusableFileError, match="byte order mark"):
        receipts_in("\ufeff{}")


def test_a_file_larger_than_any_export_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is read into memory."""
    monkeypatch.setattr(receipt_file, "MAX_BYTES", 100)
    file = tmp_path / "large"
    file.write_text(TEXT)
    with pytest.raises(UnusableFileError, match="larger"):
        receipt_file.read_receipts(file)


def zipped(compression: int = ZIP_DEFLATED, **files: str) -> bytes:
    """Return a ZIP of these files, with names and texts."""
    content = io.BytesIO()
    with ZipFile(content, "w", compression) as archive:
        for name, text in files.items():
            archive.writestr(f"sessions/{name}/receipt.json", text)
    return content.getvalue()


PACKED = zipped(one=TEXT)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(
            PACKED.replace(b"receipt.json", b"another.json"),
            "without any receipt.json",
            id="of something else",
        ),
        pytest.param(zipped(one="{}"), "no signed value", id="nothing signed"),
        pytest.param(zipped(one=" " * 1000), "unpacks to more", id="a bomb"),
        pytest.param(zipped(ZIP_LZMA, one=TEXT), "in another way", id="LZMA"),
        pytest.param(zipped(one="\ud7ff" * 9)[:-5], "UTF-8|damaged", id="cut short"),
        pytest.param(
            zipped(one="[" * 99).replace(b"[", b"]"), "damaged|neither", id="changed"
        ),
        pytest.param(PACKED[:55] + b"\xff" + PACKED[56:], "damaged", id="garbled"),
    ],
)
def test_a_zip_that_is_no_export_of_ours_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    """And never unpacked beyond a bound."""
    monkeypatch.setattr(receipt_file, "MAX_ZIP_BYTES", 500)
    file = tmp_path / "receipts.zip"
    file.write_bytes(content)
    with pytest.raises(UnusableFileError, match=reason):
        receipt_file.read_receipts(file)


# As a user runs it


@pytest.mark.parametrize(
    ("content", "arguments", "code", "verdicts"),
    [
        pytest.param(TEXT, ("--public-key", KEY_HEX), 0, ["valid"], id="OCMF and key"),
        pytest.param(TEXT, (), 2, ["unverifiable"], id="OCMF alone"),
        pytest.param(FORGED, ("--public-key", KEY_HEX), 1, ["invalid"], id="forged"),
        pytest.param(
            TEXT,
            ("--public-key", OTHER_KEY.point.hex()),
            1,
            ["invalid"],
            id="another key",
        ),
        pytest.param(
            FILES["a stop response of a meter that signs twice"][0],
            (),
            0,
            ["valid"],
            id="stop response",
        ),
        pytest.param(
            xml(xml_value(TEXT), xml_value(FORGED), xml_value("OCMF|")),
            (),
            1,
            ["valid", "invalid", "unverifiable"],
            id="XML of each",
        ),
        pytest.param(
            "\ufeff" + xml(xml_value(TEXT), xml_value(TEXT, key=None)),
            (),
            2,
            ["valid", "unverifiable"],
            id="XML that begins with a mark",
        ),
        pytest.param(
            json.dumps(asdict(ocmf_value(ocmf(IL="INVALID")))),
            (),
            0,
            ["valid"],
            id="valid and not billable",
        ),
    ],
)
def test_the_exit_code_is_that_of_the_worst_verdict(
    tmp_path: Path,
    content: str,
    arguments: tuple[str, ...],
    code: int,
    verdicts: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In words and in JSON alike."""
    file = tmp_path / "receipt"
    file.write_text(content)
    words = verify(file, *arguments)
    assert words.returncode == code
    shouted = [line for line in words.stdout.splitlines() if line[:1].isupper()]
    assert [
        line.partition(":")[0].lower() for line in shouted if ":" in line
    ] == verdicts
    same_code, answer = answered(capsys, file, *arguments)
    assert same_code == code
    reports = answer if isinstance(answer, list) else [answer]
    assert [report["verdict"] for report in reports] == verdicts
    assert isinstance(answer, list) is (len(verdicts) > 1)


def test_the_answer_in_json_says_it_all(tmp_path: Path) -> None:
    file = tmp_path / "receipt.ocmf"
    file.write_text(ocmf(IL="UNKNOWN", RD=[BEGIN, END | {"EF": "t", "RV": "447.5415"}]))
    assert json.loads(verify(file, "--public-key", KEY_HEX, "--json").stdout) == {
        "verdict": "valid",
        "billable": False,
        "reasons": ["genuine", "identification_level", "time_unsynchronized"],
        "covers": ["meter", "reading", "time", "user", "tariff", "transaction"],
        "energy_import_wh": 1001.5,
        "energy_export_wh": None,
        "begins_at": "2026-07-01T14:00:00+02:00",
        "ends_at": "2026-07-01T14:30:00+02:00",
        "meter": "1ISA0200000001",
        "model": "IEM-DCR-125",
        "user": "0A1B2C3D",
        "tariff_text": "0,20 €/kWh",
        "transaction": "T7",
        "key": "trusted",
        "key_fingerprint": sha256(KEY.subject_public_key_info).hexdigest(),
    }


def test_the_answer_in_words_says_what_is_vouched_for() -> None:
    """And what is not: a real DCT1 signs neither time nor user."""
    words = verify(DCT1_ANSWER).stdout
    assert words.startswith("VALID: the signature is genuine\n")
    assert "  vouches for  meter, reading\n" in words
    assert "  not for      time, user, tariff, transaction\n" in words
    assert "compare it with the meter's label" in words


def test_what_a_receipt_says_cannot_steer_the_terminal(tmp_path: Path) -> None:
    """Nor stop the output where the terminal lacks a character."""
    file = tmp_path / "receipt"
    file.write_text(ocmf(ID="\x1b[2J\u202eevil", TT="0,20 €\nVALID"))
    done = subprocess.run(
        [ROOT / "scripts" / "verify", file, "--public-key", KEY_HEX],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=True,
    )
    assert b"\\x1b[2J\\u202eevil" in done.stdout
    assert b"0,20 \\u20ac\\nVALID" in done.stdout
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("no such file",),
        (str(ROOT),),
        (str(DCT1_ANSWER), "--public-key", "a key"),
        (str(DCT1_ANSWER), "--public-key", ""),
        (str(DCT1_ANSWER), "--unknown"),
        (str(ROOT / "custom_components/dc_meter/brand/icon.png"),),
        (str(Path(__file__)),),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line(arguments: tuple[str, ...]) -> None:
    done = verify(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("verify: ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("no such file",), "no such file: No such file"),
        ((str(ROOT),), "Is a directory"),
        (("\0",), "null"),
        ((str(ROOT / "custom_components/dc_meter/brand/icon.png"),), "not UTF-8"),
        ((str(Path(__file__)),), "neither OCMF nor JSON"),
        ((str(DCT1_ANSWER), "--public-key", "a key"), "no public key"),
    ],
)
def test_a_refusal_is_json_where_json_is_asked_for(
    arguments: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = answered(capsys, *arguments)
    assert code == 2
    assert error in answer.pop("error")
    assert not answer


@pytest.mark.parametrize(
    ("kwh", "energy_wh"),
    [
        ("447.541", 1001),
        ("447.5415", 1001.5),
        ("447.54150000000000001", "1001.50000000000001"),
    ],
)
def test_an_energy_is_a_number_as_long_as_one_is_exact(
    kwh: str,
    energy_wh: float | str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "receipt"
    file.write_text(ocmf(RD=[BEGIN, END | {"RV": kwh}]))
    _, answer = answered(capsys, file, "--public-key", KEY_HEX)
    assert answer["energy_import_wh"] == energy_wh


def test_it_needs_nothing_but_cryptography() -> None:
    """No Home Assistant, no Modbus, no HTTP."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['verify', {str(DCT1_ANSWER)!r}, '--json']\n"
        "try:\n"
        f"    runpy.run_path({str(ROOT / 'scripts' / 'verify.py')!r})\n"
        "except SystemExit as done:\n"
        "    assert done.code == 0\n"
        "used = {name.partition('.')[0] for name, module in sys.modules.items()\n"
        "        if 'site-packages' in (getattr(module, '__file__', None) or '')}\n"
        "print(*used, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    # The last two are what cryptography itself takes where they are.
    assert set(done.stderr.split()) <= {"cryptography", "_cffi_backend", "bcrypt"}


def test_it_runs_as_a_module_too() -> None:
    """Where the integration is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "custom_components.dc_meter.metering", DCT1_ANSWER],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 0


# The archive


@pytest.fixture(name="archive")
def archive_fixture(tmp_path: Path) -> Path:
    """Return an archive of three records, closed."""
    path = tmp_path / "an archive?#.db"
    archive = Archive.open(path)
    for number in range(3):
        archive.append(
            meter="BY0520001002L",
            transaction_id=f"T{number}",
            kind=RecordKind.STOPPED,
            written_at=datetime(2026, 7, 1, tzinfo=UTC),
            body={"energy_wh": 1000 + number},
        )
    archive.close()
    return path


def test_an_archive_in_use_is_read_with_what_is_not_yet_in_its_file(
    archive: Path,
) -> None:
    """Home Assistant may run, or may have been killed."""
    in_use = Archive.open(archive)
    in_use.append(
        meter="BY0520001002L",
        transaction_id="T3",
        kind=RecordKind.STOPPED,
        written_at=datetime(2026, 7, 2, tzinfo=UTC),
        body={},
    )
    assert "each of 4 records fits" in verify("--archive", archive).stdout
    in_use.close()


def tamper(archive: Path, statement: str) -> None:
    """Change a record as somebody with the file in hand can."""
    connection = sqlite3.connect(archive)
    connection.execute("DROP TRIGGER record_is_never_changed")
    connection.execute("DROP TRIGGER record_is_never_removed")
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_an_archive_nobody_touched_is_intact(archive: Path) -> None:
    """And nobody touches it now."""
    before = archive.read_bytes()
    done = verify("--archive", archive)
    assert done.returncode == 0
    assert done.stdout == "INTACT: each of 3 records fits the one before\n"
    assert archive.read_bytes() == before
    assert list(archive.parent.iterdir()) == [archive]
    assert json.loads(verify("--archive", archive, "--json").stdout) == {
        "records": 3,
        "first_that_does_not_fit": None,
        "missing": [],
    }


@pytest.mark.parametrize(
    ("statement", "number"),
    [
        ("UPDATE record SET body = '{}' WHERE number = 2", 2),
        ("UPDATE record SET written_at = '2027' WHERE number = 1", 1),
        ("DELETE FROM record WHERE number = 2", 3),
    ],
)
def test_the_first_record_that_does_not_fit_is_named(
    archive: Path, statement: str, number: int
) -> None:
    tamper(archive, statement)
    done = verify("--archive", archive)
    assert done.returncode == 1
    assert f"record {number} is the first" in done.stdout
    answer = json.loads(verify("--archive", archive, "--json").stdout)
    assert answer["first_that_does_not_fit"] == number


@pytest.mark.parametrize(
    ("statement", "missing"),
    [
        ("SELECT 1", []),
        ("DELETE FROM record WHERE number = 3", [3]),
        ("DELETE FROM record WHERE number > 1", [2, 3]),
    ],
)
def test_whoever_holds_a_response_sees_that_the_end_was_removed(
    archive: Path, statement: str, missing: list[int]
) -> None:
    """The chain alone is intact without its end."""
    opened = Archive.open(archive)
    links = [opened.of_transaction("BY0520001002L", f"T{n}")[0].link for n in (1, 2)]
    opened.close()
    named = [word for link in links for word in ("--record", str(link))]
    tamper(archive, statement)
    done = verify("--archive", archive, *named)
    assert done.returncode == bool(missing)
    for number in (2, 3):
        assert (f"record {number} is not there" in done.stdout) is (number in missing)
    assert "INTACT" in done.stdout
    answer = json.loads(verify("--archive", archive, *named, "--json").stdout)
    assert answer["missing"] == missing


@pytest.mark.parametrize("named", ["12", "x:y", ""])
def test_what_names_no_record_is_refused(archive: Path, named: str) -> None:
    assert verify("--archive", archive, "--record", named).returncode == 2
    assert verify(archive, "--record", "1:ab").returncode == 2


@pytest.mark.parametrize("file", [str(DCT1_ANSWER), str(ROOT), "", "nothing"])
def test_what_is_no_archive_is_refused(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not made into one."""
    monkeypatch.chdir(tmp_path)
    done = verify("--archive", file)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("verify: ")
    assert list(tmp_path.iterdir()) == []
