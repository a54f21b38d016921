"""Verdicts: what is genuine is called valid, what is not never is, and nothing else is guessed."""

from base64 import b64encode
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
import pytest

from custom_components.dc_meter.metering.meter import SignedMeterValue
from custom_components.dc_meter.metering.verdict import (
    Caveat,
    Covered,
    Judgement,
    KeyOrigin,
    Objection,
    Reason,
    Receipt,
    SignedReading,
    Verdict,
    judge,
)
from simulators.dct1 import SimulatedDct1, WordOrder
from simulators.signing import SignatureForm, SigningKey

from .signed import (
    BEGIN,
    CHARGING,
    COMPLETE,
    END,
    EXPORT_BEGIN,
    EXPORT_END,
    IEM_DCR_VECTOR,
    INCOMPLETE,
    KEY,
    OTHER_KEY,
    ocmf,
    ocmf_value,
    snapshot,
)

TESTS = Path(__file__).parents[1]

ANSWER = json.loads((TESTS / "vectors" / "dct1.json").read_text())
REAL_BEGIN = SignedMeterValue(**ANSWER["start_signed_meter_value"])
REAL_END = SignedMeterValue(**ANSWER["signed_meter_value"])
REAL_SESSION = Receipt(begin=REAL_BEGIN, end=REAL_END)

VALID = (Verdict.VALID, Reason.GENUINE)


def found(
    *values: SignedMeterValue, trusted_key: str | None = None
) -> tuple[Verdict, Reason]:
    """Judge one value, or a begin and an end."""
    begin, end = (None, *values) if len(values) == 1 else values
    judgement = judge(Receipt(begin=begin, end=end), trusted_key=trusted_key)
    # Whatever is not valid says nothing and is never billed.
    assert judgement.verdict is Verdict.VALID or judgement == Judgement(
        verdict=judgement.verdict,
        reason=judgement.reason,
        objections=judgement.objections,
        key=judgement.key,
        key_fingerprint=judgement.key_fingerprint,
    )
    assert judgement.verdict is Verdict.VALID or not judgement.billable
    return judgement.verdict, judgement.reason


def judged(**changes: Any) -> Judgement:
    """Judge a receipt over 1001 Wh, changed as given and signed after that."""
    return judge(Receipt(end=ocmf_value(ocmf(**changes))))


def fingerprint(key: SigningKey) -> str:
    """Return what `openssl dgst -sha256` says of the key's DER."""
    return hashlib.sha256(key.subject_public_key_info).hexdigest()


# What real meters signed


def test_a_real_dct1s_session_is_valid_for_meter_and_readings_only() -> None:
    """Its block holds neither time nor user."""
    zero = SignedReading(
        at=None, energy_import_wh=Decimal(0), energy_export_wh=Decimal(0)
    )
    judgement = judge(REAL_SESSION)
    assert judgement == Judgement(
        verdict=Verdict.VALID,
        reason=Reason.GENUINE,
        key=KeyOrigin.RECEIPT,
        key_fingerprint="36edccee31cbdc122ced42a40d41dabe09e4e5afea3cfd8ede47e8c61462482e",
        covers=(Covered.METER, Covered.READING),
        meter="BY0520001002L",
        model="DCT1A30V10LS3EC",
        begin=zero,
        end=zero,
        energy_import_wh=Decimal(0),
        energy_export_wh=Decimal(0),
    )
    assert judgement.billable
    assert judgement.begins_at is None


def test_a_snapshot_alone_is_valid_and_no_session() -> None:
    judgement = judge(Receipt(end=REAL_BEGIN))
    assert judgement.verdict is Verdict.VALID
    assert judgement.objections == (Objection.NO_BEGIN,)
    assert not judgement.billable
    assert judgement.energy_import_wh is None


@pytest.fixture(name="real_ocmf")
def real_ocmf_fixture() -> SignedMeterValue:
    """Return what a real IEM-DCR-125 signed."""
    if not IEM_DCR_VECTOR.exists():
        pytest.skip("the real IEM-DCR receipt is not published with this repository")
    vector = json.loads(IEM_DCR_VECTOR.read_text())
    return SignedMeterValue(
        signed_meter_data=vector["ocmf"],
        signing_method=vector["signing_method"],
        encoding_method="OCMF",
        public_key=vector["public_key"],
    )


def test_a_real_iem_dcrs_receipt_is_valid_for_all_it_says(
    real_ocmf: SignedMeterValue,
) -> None:
    """Strict verifiers reject this genuine receipt, which is told."""
    register = Decimal("446540.000")
    assert judge(Receipt(end=real_ocmf)) == Judgement(
        verdict=Verdict.VALID,
        reason=Reason.GENUINE,
        caveats=(Caveat.SIGNATURE_FORM,),
        key=KeyOrigin.RECEIPT,
        key_fingerprint="0dc8a25fd81cdd2ebdef2ab7acc11f90ae0df16c54039a8c0c1540c67bebe501",
        covers=tuple(Covered),
        meter="1ISA0200001132",
        model="IEM-DCR-125-1000-32-00-006-B_000",
        begin=SignedReading(
            at=datetime.fromisoformat("2025-06-06T09:26:24+02:00"),
            energy_import_wh=register,
            energy_export_wh=None,
        ),
        end=SignedReading(
            at=datetime.fromisoformat("2025-06-06T09:26:45+02:00"),
            energy_import_wh=register,
            energy_export_wh=None,
        ),
        energy_import_wh=Decimal(0),
        user="9109543224",
        tariff_text="0,20 EUR/kWh",
        charge_point_id="CP-DE-4711",
        transaction="T4",
    )


@pytest.mark.parametrize(
    ("what", "instead"),
    [("446.540", "446.541"), ('"PG":"T4"', '"PG": "T4"'), ("9109543224", "9109543225")],
    ids=["the energy", "a space", "the user"],
)
def test_a_changed_ocmf_text_is_invalid(
    real_ocmf: SignedMeterValue, what: str, instead: str
) -> None:
    """The bytes are signed, not what they mean."""
    text = real_ocmf.signed_meter_data
    assert what in text
    changed = replace(real_ocmf, signed_meter_data=text.replace(what, instead))
    assert found(changed) == (Verdict.INVALID, Reason.SIGNATURE_MISMATCH)


# Keys and signatures


POINT = REAL_END.public_key


@pytest.mark.parametrize(
    "trusted_key",
    [
        POINT.lower(),
        POINT.removeprefix("04"),
        b64encode(bytes.fromhex(POINT)).decode(),
        bytes.fromhex(POINT).hex(":"),
    ],
    ids=["lower case", "without 04", "base64", "colons"],
)
def test_the_trusted_key_may_be_written_differently(trusted_key: str) -> None:
    """Key material is compared and shown, not text."""
    judgement = judge(REAL_SESSION, trusted_key=trusted_key)
    assert judgement.verdict is Verdict.VALID
    assert judgement.key is KeyOrigin.TRUSTED
    assert judgement.key_fingerprint == judge(REAL_SESSION).key_fingerprint


def test_the_fingerprint_is_that_of_the_keys_der() -> None:
    assert judged().key_fingerprint == fingerprint(KEY)


def test_a_value_that_names_no_key_is_judged_by_the_trusted_one() -> None:
    """The key is known from elsewhere, or from the other value of the session."""
    nameless = replace(REAL_END, public_key="")
    assert found(nameless, trusted_key=POINT) == VALID
    assert found(REAL_BEGIN, nameless) == found(nameless, REAL_BEGIN) == VALID


@pytest.mark.parametrize("form", SignatureForm)
def test_each_form_of_signature_is_valid(form: SignatureForm) -> None:
    """One that only lenient verifiers read is told of."""
    # Until it is one that strict DER would have padded.
    while (judgement := judged(form=form)).caveats == () and form is not form.PADDED:
        pass
    assert (judgement.verdict, judgement.reason) == VALID
    assert judgement.caveats == (
        () if form is SignatureForm.PADDED else (Caveat.SIGNATURE_FORM,)
    )
    assert judgement.billable


@pytest.mark.parametrize(
    ("name", "curve"),
    [
        ("secp192r1", ec.SECP192R1()),
        ("secp256k1", ec.SECP256K1()),
        ("secp256r1", ec.SECP256R1()),
        ("secp384r1", ec.SECP384R1()),
        ("brainpool256r1", ec.BrainpoolP256R1()),
        ("brainpool384r1", ec.BrainpoolP384R1()),
    ],
)
def test_each_algorithm_of_ocmf_is_verified(name: str, curve: ec.EllipticCurve) -> None:
    key = SigningKey(curve, SHA256())
    text = ocmf(key=key, algorithm=f"ECDSA-{name}-SHA256")
    assert found(ocmf_value(text, key)) == VALID
    forged = text.replace("447.541", "447.542")
    assert found(ocmf_value(forged, key)) == (
        Verdict.INVALID,
        Reason.SIGNATURE_MISMATCH,
    )


P384 = SigningKey(ec.SECP384R1(), SHA256())


@pytest.mark.parametrize("trusted", [OTHER_KEY, P384], ids=["curve", "other curve"])
def test_a_genuine_value_under_another_key_than_the_trusted_one_is_invalid(
    trusted: SigningKey,
) -> None:
    """And it is said that the key is the reason, and which key it is."""
    judgement = judge(Receipt(end=ocmf_value(ocmf())), trusted_key=trusted.point.hex())
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INVALID,
        Reason.KEY_CHANGED,
    )
    assert judgement.key is KeyOrigin.RECEIPT
    assert judgement.key_fingerprint == fingerprint(KEY)


@pytest.mark.parametrize(
    "named", [KEY.point.hex(), "", "no key"], ids=["its own", "none", "no key"]
)
def test_a_value_genuine_under_no_key_does_not_fit_its_signature(named: str) -> None:
    """The key is not blamed for it, whatever the value says of its own."""
    text = ocmf().replace("447.541", "447.542")
    value = replace(ocmf_value(text), public_key=named)
    for trusted in (KEY, OTHER_KEY, P384):
        assert found(value, trusted_key=trusted.point.hex()) == (
            Verdict.INVALID,
            Reason.SIGNATURE_MISMATCH,
        )


SECP192K1 = ocmf(algorithm="ECDSA-secp192k1-SHA256")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(replace(REAL_END, public_key=""), Reason.NO_KEY, id="no key"),
        pytest.param(
            replace(REAL_END, public_key=POINT[:-2]), Reason.DAMAGED, id="key cut short"
        ),
        pytest.param(
            replace(REAL_END, signing_method="ECDSA-rot13"),
            Reason.UNKNOWN_ALGORITHM,
            id="unknown method",
        ),
        pytest.param(
            replace(REAL_END, encoding_method="EDL"),
            Reason.UNKNOWN_ALGORITHM,
            id="unknown encoding",
        ),
        pytest.param(
            replace(REAL_END, signed_meter_data=""), Reason.DAMAGED, id="nothing signed"
        ),
        pytest.param(
            replace(REAL_END, signed_meter_data=REAL_END.signed_meter_data[:-4]),
            Reason.DAMAGED,
            id="signature cut short",
        ),
        pytest.param(
            replace(REAL_END, signed_meter_data="*" + REAL_END.signed_meter_data),
            Reason.DAMAGED,
            id="not base64",
        ),
        pytest.param(
            replace(
                REAL_END,
                signed_meter_data=REAL_END.signed_meter_data.replace("Ow==", "Ox=="),
            ),
            Reason.DAMAGED,
            id="base64 as nobody writes it",
        ),
        pytest.param(
            replace(REAL_END, encoding_method="OCMF"),
            Reason.DAMAGED,
            id="OCMF that is none",
        ),
        pytest.param(
            ocmf_value(SECP192K1),
            Reason.UNKNOWN_ALGORITHM,
            id="a curve that cannot be computed with",
        ),
        pytest.param(
            ocmf_value(ocmf().replace('"SD": "30', '"SD": "31')),
            Reason.DAMAGED,
            id="a signature in no form",
        ),
    ],
)
def test_what_cannot_be_checked_is_never_called_invalid(
    value: SignedMeterValue, reason: Reason
) -> None:
    """It is said why it cannot be checked."""
    assert found(value) == (Verdict.UNVERIFIABLE, reason)


def test_a_trusted_key_that_is_none_verifies_nothing() -> None:
    assert found(REAL_END, trusted_key="a key") == (
        Verdict.UNVERIFIABLE,
        Reason.DAMAGED,
    )


# The two snapshots of a DCT1


@pytest.mark.parametrize("word_order", ["big", "little"])
@pytest.mark.parametrize("signature", ["384", "256"])
def test_a_session_that_counts_up_is_valid(
    signature: Any, word_order: WordOrder
) -> None:
    # Low word first, 2 is more than 65537 to whoever takes it for big-endian.
    """On meters of either signature and either word order, to the watt-hour."""
    begin, end = (
        SimulatedDct1(
            signature=signature,
            word_order=word_order,
            import_wh=import_wh,
            export_wh=5 * import_wh,
        )
        for import_wh in (2, 65537)
    )
    judgement = judge(
        Receipt(begin=snapshot(begin), end=snapshot(end, begin.key)),
    )
    assert judgement.billable
    assert judgement.energy_import_wh == 65535
    assert judgement.energy_export_wh == 5 * 65535
    assert judgement.begin == SignedReading(
        at=None, energy_import_wh=Decimal(2), energy_export_wh=Decimal(10)
    )


@pytest.mark.parametrize("register", ["import_wh", "export_wh"])
@pytest.mark.parametrize("word_order", ["big", "little"])
def test_a_register_that_runs_backwards_is_invalid(
    register: str, word_order: WordOrder
) -> None:
    """Import or export, by a single watt-hour."""

    def meter(energy_wh: int) -> SimulatedDct1:
        registers: dict[str, Any] = {
            "import_wh": 70000,
            "export_wh": 70000,
            register: energy_wh,
        }
        return SimulatedDct1(word_order=word_order, **registers)

    begin = meter(70000)
    assert found(snapshot(begin), snapshot(meter(69999), begin.key)) == (
        Verdict.INVALID,
        Reason.RUNS_BACKWARDS,
    )


@pytest.mark.parametrize(
    "other", [{"serial_number": "BY0000000002L"}, {"model": "DCT1A60V10LS3EC"}], ids=str
)
def test_snapshots_of_two_meters_are_no_session(other: dict[str, Any]) -> None:
    """Model and serial number are equal or it is two meters."""
    begin = SimulatedDct1()
    end = SimulatedDct1(**other)
    assert found(snapshot(begin), snapshot(end, begin.key)) == (
        Verdict.INVALID,
        Reason.OTHER_METER,
    )


def test_snapshots_under_two_keys_are_no_session() -> None:
    """Even where each is genuine under its own."""
    assert found(snapshot(SimulatedDct1()), snapshot(SimulatedDct1())) == (
        Verdict.INVALID,
        Reason.KEY_CHANGED,
    )


@pytest.mark.parametrize("values", [1, 2])
def test_what_is_signed_and_no_block_is_damaged(values: int) -> None:
    """Its registers cannot be read."""
    key = SimulatedDct1().key
    assert key is not None
    signed = bytes(154)
    value = replace(
        REAL_END,
        signed_meter_data=b64encode(signed + key.sign(signed)).decode(),
        public_key=key.point.hex(),
    )
    assert found(*[value] * values) == (Verdict.UNVERIFIABLE, Reason.DAMAGED)


def test_one_invalid_snapshot_outweighs_one_that_cannot_be_checked() -> None:
    """Whichever of the two it is."""
    forged = replace(REAL_END, signed_meter_data="AA" + REAL_END.signed_meter_data[2:])
    damaged = replace(REAL_END, signed_meter_data="")
    expected = (Verdict.INVALID, Reason.SIGNATURE_MISMATCH)
    assert found(forged, damaged) == found(damaged, forged) == expected
    assert found(damaged, REAL_END) == (Verdict.UNVERIFIABLE, Reason.DAMAGED)


# What an OCMF text says


def test_a_complete_transaction_is_billable() -> None:
    judgement = judged()
    assert judgement.billable
    assert (judgement.objections, judgement.caveats) == ((), ())
    assert judgement.energy_import_wh == 1001
    assert judgement.energy_export_wh is None
    assert judgement.begin is not None
    assert judgement.begin.energy_import_wh == 446540
    assert judgement.begins_at == datetime.fromisoformat("2026-07-01T14:00:00+02:00")
    assert judgement.ends_at == datetime.fromisoformat("2026-07-01T14:30:00+02:00")


@pytest.mark.parametrize(
    ("changes", "objections"), INCOMPLETE.values(), ids=INCOMPLETE.keys()
)
def test_a_genuine_receipt_may_still_not_be_billed(
    changes: dict[str, Any], objections: tuple[Objection, ...]
) -> None:
    """It is valid, and each reason against it is named."""
    judgement = judged(**changes)
    assert judgement.verdict is Verdict.VALID
    assert judgement.objections == objections
    assert not judgement.billable


@pytest.mark.parametrize("changes", COMPLETE.values(), ids=COMPLETE.keys())
def test_what_is_said_differently_is_billed_all_the_same(
    changes: dict[str, Any],
) -> None:
    judgement = judged(**changes)
    assert judgement.billable
    assert judgement.objections == ()
    assert judgement.energy_import_wh == 1001


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        *(
            (code, True)
            for code in (
                "1-b:1.8.e",
                "1-0:1.8.0",
                "01-00:01.08.00",
                "1-0:1.8.0*255",
                "1-0:1.8.0*FF",
                "1-0:1.8.0.0",
                "1-b:1.8.e*f",
                "1-b:1.8.e*e",
                "01-00:98.08.00*FF",
                "01-00:9e.08.00*FF",
                "01-00:B0.08.00*FF",
                "01-00:BF.08.00*FF",
                "01-00:c7.08.00*FF",
            )
        ),
        *(
            (code, False)
            for code in (
                "2-0:1.8.0",
                "1-0:1.7.0",
                "1-0:3.8.0",
                "1-0:AF.8.0",
                "1-0:C8.8.0",
                "1-0:1.8.0*1",
                "1-0:1.8.0*254",
                "1-0:2.8.0",
                "01-00:C0.08.00*FF",
                "01-00:C3.08.00*FF",
                "1.8.0",
                "1-b:1.8.e ",
                "energy",
                "",
            )
        ),
    ],
)
def test_only_import_registers_count_for_billing(code: str, counts: bool) -> None:
    judgement = judged(RD=[BEGIN | {"RI": code}, END | {"RI": code}])
    assert judgement.billable is counts
    assert judgement.energy_import_wh == (1001 if counts else None)
    assert counts or judgement.objections == (Objection.NO_BILLING_REGISTER,)


def test_export_is_shown_and_not_billed() -> None:
    judgement = judged(RD=[BEGIN, EXPORT_BEGIN, END, EXPORT_END])
    assert judgement.billable
    assert judgement.energy_import_wh == 1001
    assert judgement.energy_export_wh == 500
    assert judgement.end is not None
    assert judgement.end.energy_export_wh == 4500


def test_export_is_shown_without_what_the_cable_lost() -> None:
    """Where the meter says how much that is."""
    compensated = {"RI": "01-0B:C1.08.00*FF"}
    begin, end = EXPORT_BEGIN | compensated, EXPORT_END | compensated
    readings = [BEGIN, EXPORT_BEGIN, END, EXPORT_END | {"RV": "4.600"}, begin, end]
    judgement = judged(RD=readings)
    assert judgement.billable
    assert judgement.energy_export_wh == 500


@pytest.mark.parametrize(
    "reading",
    [{"TM": END["TM"].replace("S", "U")}, {"EF": "t"}],
    ids=["unsynchronised", "flagged"],
)
def test_a_time_that_is_not_certain_is_told_and_no_failure(
    reading: dict[str, str],
) -> None:
    judgement = judged(RD=[BEGIN, END | reading])
    assert judgement.billable
    assert judgement.caveats == (Caveat.TIME_UNSYNCHRONIZED,)


def test_an_informative_clock_is_nothing_to_tell() -> None:
    """It is what a meter without a calibrated clock has."""
    readings = [
        reading | {"TM": reading["TM"].replace("S", "I")} for reading in (BEGIN, END)
    ]
    assert judged(RD=readings).caveats == ()


def test_a_difference_keeps_every_digit() -> None:
    begin = BEGIN | {"RV": "0.00000000000000000001"}
    end = END | {"RV": "99999999999999999999.5"}
    assert judged(RD=[begin, end]).energy_import_wh == Decimal(
        "99999999999999999999499.99999999999999999"
    )


def test_what_is_not_said_is_none() -> None:
    """Nothing is made up for a receipt that says little."""
    judgement = judge(Receipt(end=ocmf_value(ocmf({"RD": [BEGIN]}))))
    assert judgement.verdict is Verdict.VALID
    assert (judgement.meter, judgement.user, judgement.tariff_text) == (None,) * 3
    assert (judgement.transaction, judgement.end) == (None, None)
    assert judgement.charge_point_id is None
    assert judgement.covers == (Covered.READING, Covered.TIME)


@pytest.mark.parametrize(
    ("readings", "covers"),
    [
        ([BEGIN], True),
        ([END], True),
        ([BEGIN, BEGIN, END, END], False),
        ([CHARGING], False),
        ([BEGIN | {"RU": "V", "RI": "1-b:32.7.0"}], False),
    ],
    ids=["begin", "end", "of each two", "neither", "a voltage"],
)
def test_registers_and_times_are_covered_where_a_begin_or_an_end_is_found(
    readings: list[dict[str, Any]], covers: bool
) -> None:
    """Others are signed as well, and nobody is shown them."""
    judgement = judged(RD=readings)
    assert (Covered.READING in judgement.covers) is covers
    assert (Covered.TIME in judgement.covers) is covers


# Begin and end as two OCMF texts


def pair(
    begin: dict[str, Any] | None = None, end: dict[str, Any] | None = None
) -> Judgement:
    """Judge a transaction whose begin and end were signed apart."""
    return judge(
        Receipt(
            begin=ocmf_value(ocmf(**{"RD": [BEGIN]} | (begin or {}))),
            end=ocmf_value(ocmf(**{"RD": [END], "PG": "T8"} | (end or {}))),
        )
    )


def test_a_begin_and_an_end_signed_apart_are_a_transaction() -> None:
    judgement = pair()
    assert judgement.billable
    assert judgement.energy_import_wh == 1001


NOBODY = {"IS": False, "IL": "NONE", "ID": None}


@pytest.mark.parametrize(
    ("begin", "end"), [(NOBODY, {}), ({}, NOBODY), ({}, NOBODY | {"ID": ""})], ids=str
)
def test_a_transaction_is_of_the_user_that_either_text_names(
    begin: dict[str, Any], end: dict[str, Any]
) -> None:
    """Whoever is identified while it runs is not known at its begin."""
    judgement = pair(begin, end)
    assert judgement.billable
    assert judgement.user == "0A1B2C3D"


@pytest.mark.parametrize(
    ("begin", "end", "objection"),
    [
        ({"ID": "99"}, {}, Objection.OTHER_USER),
        ({"IL": "UNKNOWN"}, {}, Objection.IDENTIFICATION_LEVEL),
        ({}, {"PG": "F8"}, Objection.NOT_A_TRANSACTION),
        ({}, {"RD": [BEGIN, END]}, Objection.SEVERAL_BEGINS),
        ({"RD": [BEGIN, END]}, {}, Objection.SEVERAL_ENDS),
    ],
)
def test_two_texts_that_do_not_belong_together_are_not_billed(
    begin: dict[str, Any], end: dict[str, Any], objection: Objection
) -> None:
    judgement = pair(begin, end)
    assert judgement.verdict is Verdict.VALID
    assert judgement.objections == (objection,)


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ({}, {"MS": "1ISA0200000002"}),
        ({}, {"MS": None}),
        ({"MS": None}, {"MS": None, "GS": "1ISA0200000002"}),
    ],
    ids=["another number", "a number and none", "another gateway"],
)
def test_texts_of_two_meters_are_no_transaction(
    begin: dict[str, Any], end: dict[str, Any]
) -> None:
    judgement = pair(begin, end)
    assert (judgement.verdict, judgement.reason) == (
        Verdict.INVALID,
        Reason.OTHER_METER,
    )


def test_texts_of_one_gateway_are_a_transaction_where_no_meter_has_a_number() -> None:
    assert pair({"MS": None}, {"MS": None}).billable


def test_a_block_and_a_text_are_of_two_meters() -> None:
    """Even under one key."""
    meter = SimulatedDct1(signature="256")
    assert meter.key is not None
    text = ocmf(key=meter.key, algorithm="ECDSA-brainpool256r1-SHA256")
    assert found(snapshot(meter), ocmf_value(text, meter.key)) == (
        Verdict.INVALID,
        Reason.OTHER_METER,
    )


def test_what_is_objected_to_later_is_not_billed() -> None:
    """By whoever read the register live, for one."""
    judgement = replace(judged(), objections=(Objection.LIVE_REGISTER_DIFFERS,))
    assert judgement.verdict is Verdict.VALID
    assert not judgement.billable
