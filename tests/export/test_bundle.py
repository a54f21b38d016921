"""The ZIP: whoever gets it can check each session, with what is in it."""

import ast
import csv
from dataclasses import replace
from datetime import datetime
import io
from pathlib import Path
import re
import subprocess
import sys
from time import process_time
import tracemalloc
from zipfile import ZipFile
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
import pytest

from custom_components.dc_meter.export import verify_dct1
from custom_components.dc_meter.export.bundle import bundle
from custom_components.dc_meter.export.parties import Language, Parties
from custom_components.dc_meter.export.pdf import statement
from custom_components.dc_meter.export.safe_xml import safe_xml
from custom_components.dc_meter.export.table import sessions_csv
from custom_components.dc_meter.metering.meter import TransactionRequest
from custom_components.dc_meter.metering.receipt_file import read_receipts
from custom_components.dc_meter.metering.verdict import judge
from custom_components.dc_meter.session import Account, Particulars
from simulators.dct1 import SignatureType, SimulatedDct1, WordOrder
from tests.metering.signed import BEGIN, END, KEY, ocmf, snapshot

from .accounts import (
    CREATED,
    GERMAN_PARTIES,
    PARTIES,
    dct1_account,
    ocmf_account,
    registers,
    unsigned_account,
)


def zipped(*accounts: Account, parties: Parties = PARTIES) -> io.BytesIO:
    """Return the bundle of these sessions."""
    file = io.BytesIO()
    bundle(accounts, parties, file, created_at=CREATED)
    return file


def files(*accounts: Account) -> dict[str, bytes]:
    """Return what is in the bundle of these sessions."""
    with ZipFile(zipped(*accounts)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def unpacked(path: Path, *accounts: Account) -> Path:
    """Unpack a bundle of these sessions and return the folder of the sessions."""
    with ZipFile(zipped(*accounts)) as archive:
        archive.extractall(path)
    return path / "sessions"


def rows(content: bytes) -> list[dict[str, str]]:
    """Read an English CSV back."""
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def verify(path: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the verifier of a bundle by itself, cut off from everything else here."""
    return subprocess.run(
        [sys.executable, "-I", path / "verify_dct1.py", *arguments],
        cwd=path,
        capture_output=True,
        text=True,
        check=False,
        env={},
    )


def test_a_bundle_has_everything_under_names_that_tell() -> None:
    assert set(
        files(ocmf_account("o1"), dct1_account("d1"), unsigned_account("u1"))
    ) == {
        "README.txt",
        "sessions.csv",
        "statement.pdf",
        "safe.xml",
        "verify_dct1.py",
        "sessions/0001_o1/receipt.pdf",
        "sessions/0001_o1/receipt.json",
        "sessions/0001_o1/end.ocmf.txt",
        "sessions/0001_o1/public_key.txt",
        "sessions/0001_o1/public_key.pem",
        "sessions/0002_d1/receipt.pdf",
        "sessions/0002_d1/receipt.json",
        "sessions/0002_d1/begin.bin",
        "sessions/0002_d1/end.bin",
        "sessions/0002_d1/public_key.txt",
        "sessions/0002_d1/public_key.pem",
        "sessions/0003_u1/receipt.pdf",
    }


def test_what_was_signed_is_there_byte_for_byte() -> None:
    text = ocmf(TT="€ \r\n ÿ")
    meter = SimulatedDct1()
    assert meter.key is not None
    content = files(ocmf_account("o1", text=text), dct1_account("d1", meter=meter))
    assert content["sessions/0001_o1/end.ocmf.txt"] == text.encode()
    block = content["sessions/0002_d1/end.bin"]
    assert len(block) == 154 + 96
    key = content["sessions/0002_d1/public_key.txt"]
    assert key.decode() == meter.key.point.hex().upper()


def test_the_key_is_there_for_other_programs() -> None:
    pem = files(ocmf_account("o1"))["sessions/0001_o1/public_key.pem"]
    key = load_pem_public_key(pem)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert f"{key.public_numbers().x:064x}" == KEY.point[1:33].hex()


def test_a_bundle_explains_only_what_is_in_it() -> None:
    both = files(ocmf_account(), dct1_account())["README.txt"].decode("utf-8-sig")
    assert "safe.xml" in both
    assert "verify_dct1.py" in both
    assert "does not have: 1." in both
    only_ocmf = files(ocmf_account())["README.txt"].decode("utf-8-sig")
    assert "verify_dct1.py" not in only_ocmf
    assert "does not have" not in only_ocmf
    only_blocks = files(dct1_account())
    assert "safe.xml" not in only_blocks
    assert "safe.xml" not in only_blocks["README.txt"].decode("utf-8-sig")


def test_a_bundle_promises_an_unsigned_session_no_more_than_its_paper() -> None:
    content = files(unsigned_account("u1"))
    assert [name for name in content if name.startswith("sessions/")] == [
        "sessions/0001_u1/receipt.pdf"
    ]
    told = content["README.txt"].decode("utf-8-sig")
    assert "receipt.pdf and, where the meter signed, receipt.json" in told


def test_a_german_bundle_is_german() -> None:
    with ZipFile(zipped(dct1_account(), parties=GERMAN_PARTIES)) as archive:
        assert "LADEBELEGE" in archive.read("README.txt").decode("utf-8-sig")
        assert "Bezug (kWh);" in archive.read("sessions.csv").decode("utf-8-sig")


@pytest.mark.parametrize(
    "transaction_id",
    [
        "../../etc/passwd",
        "/root",
        "C:\\x",
        "a/b",
        "",
        "..",
        "x" * 500,
        "con",
        "\0\n",
        "ü",
    ],
)
def test_an_id_is_never_a_path(transaction_id: str) -> None:
    account = ocmf_account(request=TransactionRequest(transaction_id=transaction_id))
    for name in files(account):
        assert re.fullmatch(r"(sessions/0001_[A-Za-z0-9_-]{0,40}/)?[\w.]+", name)
        assert ".." not in name


def test_sessions_of_one_id_do_not_overwrite_each_other() -> None:
    names = files(ocmf_account("a"), ocmf_account("a"))
    assert {"sessions/0001_a/receipt.pdf", "sessions/0002_a/receipt.pdf"} <= set(names)


def test_the_same_input_gives_the_same_bytes() -> None:
    accounts = [ocmf_account(), dct1_account()]
    first, second = (zipped(*accounts).getvalue() for _ in range(2))
    assert first == second


def test_a_damaged_value_is_handed_out_as_it_was_received() -> None:
    account = dct1_account("d1")
    assert account.session.end is not None
    assert account.session.end.signed_value is not None
    damaged = replace(account.session.end.signed_value, signed_meter_data="*")
    content = files(dct1_account("d1", end=registers(1, 1, damaged)))
    assert content["sessions/0001_d1/end.damaged.txt"] == b"*"


def test_our_own_verifier_reads_what_is_in_it(tmp_path: Path) -> None:
    sessions = unpacked(tmp_path, ocmf_account("o1"))
    for path in (tmp_path / "safe.xml", sessions / "0001_o1" / "end.ocmf.txt"):
        (receipt,) = read_receipts(path)
        assert judge(receipt, trusted_key=KEY.point.hex()).billable


def test_our_own_verifier_reads_it_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "receipts.zip"
    accounts = ocmf_account("o1"), dct1_account("d1"), unsigned_account("u1")
    path.write_bytes(zipped(*accounts).getvalue())
    ocmf_receipt, dct1_receipt = read_receipts(path)
    assert ocmf_receipt == accounts[0].session.receipt
    assert dct1_receipt == accounts[1].session.receipt


@pytest.mark.parametrize("number", [1e-30, 6.02214076e23, 1e300, 2**64 - 1], ids=str)
def test_our_own_verifier_reads_it_whatever_numbers_a_user_keeps(
    tmp_path: Path, number: float
) -> None:
    path = tmp_path / "receipts.zip"
    account = ocmf_account(particulars=Particulars(user_data={"number": number}))
    path.write_bytes(zipped(account).getvalue())
    assert read_receipts(path) == (account.session.receipt,)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("0001-01-01T00:00:00,000+0200 U", "0001-01-01T00:30:00,000+0200 U"),
        ("9999-12-31T23:30:00,000+0000 U", "9999-12-31T23:59:59,999-1200 U"),
        ("0001-01-01T00:00:00,000+1400 U", "9999-12-31T23:59:59,999-1200 U"),
    ],
)
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Los_Angeles", "UTC"])
def test_a_time_at_the_end_of_the_calendar_keeps_nothing_from_being_exported(
    begin: str, end: str, zone: str
) -> None:
    """A meter that lost its clock may sign it."""
    text = ocmf(RD=[BEGIN | {"TM": begin}, END | {"TM": end}])
    account = ocmf_account("o1", text=text)
    content = zipped(
        account,
        dct1_account("d1"),
        parties=replace(PARTIES, time_zone=ZoneInfo(zone)),
    )
    with ZipFile(content) as archive:
        told, _ = rows(archive.read("sessions.csv"))
    assert account.judgement is not None
    for heading, moment in (
        ("Begin", account.judgement.begins_at),
        ("End", account.judgement.ends_at),
    ):
        assert datetime.fromisoformat(told[heading]) == moment


@pytest.mark.parametrize("signature", ["384", "256"])
def test_the_verifier_that_comes_with_it_finds_the_sessions_and_their_energy(
    tmp_path: Path, signature: SignatureType
) -> None:
    meter = SimulatedDct1(signature=signature, import_wh=1_000_000)
    unpacked(tmp_path, ocmf_account(), dct1_account("d1", meter=meter))
    answer = verify(tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "0002_d1: VALID" in answer.stdout
    assert "import 1000000 to 1023456 Wh = 23456 Wh" in answer.stdout


def test_the_verifier_believes_the_key_on_the_meter_alone(tmp_path: Path) -> None:
    meter, other = SimulatedDct1(), SimulatedDct1()
    assert meter.key is not None
    assert other.key is not None
    session = unpacked(tmp_path, dct1_account("d1", meter=meter)) / "0001_d1"
    for key, code in ((meter.key, 0), (other.key, 1)):
        for text in (key.point.hex(":"), key.subject_public_key_info.hex()):
            assert verify(tmp_path, session, "--public-key", text).returncode == code


@pytest.mark.parametrize("name", ["begin.bin", "end.bin"])
@pytest.mark.parametrize("byte", [12, 19, 39, 70, 137, 153, 154, 249])
def test_the_verifier_sees_a_changed_bit(tmp_path: Path, name: str, byte: int) -> None:
    path = unpacked(tmp_path, dct1_account("d1")) / "0001_d1" / name
    content = bytearray(path.read_bytes())
    content[byte] ^= 1
    path.write_bytes(content)
    answer = verify(tmp_path)
    assert answer.returncode == 1
    assert "INVALID" in answer.stdout


def test_the_verifier_sees_what_does_not_belong_together(tmp_path: Path) -> None:
    meter = SimulatedDct1(import_wh=1_000_000)
    twin = SimulatedDct1(serial_number="BY0000000002L", import_wh=1_000_001)
    behind = SimulatedDct1(import_wh=999_999)
    begin = dct1_account("d1", meter=meter)
    for number, (other, words) in enumerate(
        ((twin, "two meters"), (behind, "runs backwards"))
    ):
        end = registers(0, 0, snapshot(other, meter.key))
        path = tmp_path / str(number)
        unpacked(path, replace(begin, session=replace(begin.session, end=end)))
        answer = verify(path)
        assert answer.returncode == 1
        assert words in answer.stdout


@pytest.mark.parametrize("word_order", ["big", "little"])
def test_the_verifier_reads_both_word_orders(
    tmp_path: Path, word_order: WordOrder
) -> None:
    meter, later = (
        SimulatedDct1(word_order=word_order, import_wh=wh) for wh in (70_000, 70_500)
    )
    end = registers(0, 0, snapshot(later, meter.key))
    unpacked(tmp_path, dct1_account(meter=meter, end=end))
    assert "import 70000 to 70500 Wh = 500 Wh" in verify(tmp_path).stdout


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("end.bin", b""),
        ("end.bin", b"x" * 249),
        ("begin.bin", b"x" * 100_000),
        ("public_key.txt", b"\xff"),
        ("public_key.txt", b"04"),
        ("public_key.txt", b"zz"),
        # The SubjectPublicKeyInfo of an algorithm that nobody knows.
        ("public_key.txt", b"300f300906072a8648ce3d027f03020004"),
    ],
)
def test_what_cannot_be_checked_is_not_called_invalid(
    tmp_path: Path, name: str, content: bytes
) -> None:
    session = unpacked(tmp_path, dct1_account("d1")) / "0001_d1"
    (session / name).write_bytes(content)
    answer = verify(tmp_path)
    assert answer.returncode == 2
    assert "CANNOT BE CHECKED" in answer.stdout
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("start", "at the end: import 1023456 Wh, export 0 Wh; no begin,"),
        ("end", "at the begin: import 1000000 Wh, export 0 Wh; no end,"),
    ],
)
def test_a_begin_or_an_end_alone_proves_no_energy(
    tmp_path: Path, missing: str, words: str
) -> None:
    unpacked(tmp_path, dct1_account("d1", **{missing: registers(0, 0)}))
    answer = verify(tmp_path)
    assert answer.returncode == 0
    assert f"{words} so no energy of a session" in answer.stdout


def test_a_folder_without_a_signed_block_is_no_session(tmp_path: Path) -> None:
    session = unpacked(tmp_path, dct1_account("d1"), ocmf_account("o1")) / "0002_o1"
    answer = verify(tmp_path, session)
    assert answer.returncode == 2
    assert "CANNOT BE CHECKED" in answer.stdout


def test_the_verifier_needs_nothing_but_python_and_cryptography() -> None:
    tree = ast.parse(Path(verify_dct1.__file__).read_text(), feature_version=(3, 9))
    imported = {
        name.partition(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert imported - set(sys.stdlib_module_names) == {"cryptography"}


def test_ten_thousand_sessions_are_written_in_bounded_time_and_memory() -> None:
    accounts = [
        replace(
            account,
            session=replace(
                account.session, request=TransactionRequest(transaction_id=f"s{number}")
            ),
        )
        for number in range(5000)
        for account in (OCMF, DCT1)
    ]
    tracemalloc.start()
    begin = process_time()
    try:
        assert b"".join(safe_xml(accounts, [])).count(b"<value ") == 5000
        assert b"".join(sessions_csv(accounts, PARTIES, dialect=Language.ENGLISH))
        del accounts[2000:]
        assert statement(accounts, PARTIES, created_at=CREATED)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert process_time() - begin < 60
    assert peak < 200 * 1024 * 1024


OCMF, DCT1 = ocmf_account(), dct1_account()
