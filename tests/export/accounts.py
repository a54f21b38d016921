"""Sessions that ended, with what simulated meters really signed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from custom_components.dc_meter.archive import Link
from custom_components.dc_meter.export.parties import Language, Parties
from custom_components.dc_meter.metering.meter import (
    IdentificationStatus,
    MeterIdentity,
    SignedMeterValue,
    Snapshot,
    TransactionRequest,
)
from custom_components.dc_meter.metering.verdict import judge
from custom_components.dc_meter.session import (
    Account,
    Gap,
    GapKind,
    Particulars,
    Price,
    Session,
)
from simulators.dct1 import SimulatedDct1
from simulators.signing import SignatureForm
from tests.metering.signed import END, KEY, ocmf, ocmf_value, snapshot

BERLIN = ZoneInfo("Europe/Berlin")
CREATED = datetime(2026, 8, 1, 9, 0, tzinfo=UTC)
STARTED = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
RECORD = Link(number=12, hash="0123456789abcdef" * 4)
PRICE = Price(per_kwh=Decimal("0.42"), currency="EUR")

PARTIES = Parties(
    issuer="Stromhof Müller GmbH\nHauptstraße 1\n12345 Beispielstadt",
    recipient="Erika Mustermann",
    title="July 2026",
    time_zone=BERLIN,
)
GERMAN_PARTIES = replace(PARTIES, title="Juli 2026", language=Language.GERMAN)


def ocmf_account(
    transaction_id: str = "3f0c1c52-8a51-4c7e-9d6c-0b9f5a8de001",
    *,
    form: SignatureForm = SignatureForm.UNPADDED,
    text: str | None = None,
    **changes: Any,
) -> Account:
    """Return a session of 1001 Wh at a meter that signs OCMF."""
    value = ocmf_value(ocmf(form=form) if text is None else text)
    session = Session(
        request=TransactionRequest(
            transaction_id=transaction_id,
            evse_id="DE*ABC*E1",
            identification_status=IdentificationStatus.ASSIGNED,
            identification_data="0A1B2C3D",
            tariff_text="0,20 €/kWh",
        ),
        particulars=Particulars(client_id="fleet 7", user_data={"car": "B-AB 123"}),
        meter=MeterIdentity(
            manufacturer="Isabellenhütte",
            model="IEM-DCR-125",
            serial_number="1ISA0200000001",
            public_key=KEY.subject_public_key_info.hex(),
        ),
        asked_at=STARTED,
        started_at=STARTED,
        ended_at=STARTED + timedelta(minutes=30),
        start=registers(446540, 4000),
        end=registers(447541, 4000, value),
        price=PRICE,
    )
    return account(replace(session, **changes))


def dct1_account(
    transaction_id: str = "d1",
    *,
    meter: SimulatedDct1 | None = None,
    energy_wh: int = 23456,
    **changes: Any,
) -> Account:
    """Return a session at a meter that signs its registers at begin and end."""
    meter = meter or SimulatedDct1(import_wh=1_000_000)
    later = SimulatedDct1(
        signature=meter.signature,
        serial_number=meter.serial_number,
        import_wh=1_000_000 + energy_wh,
    )
    later.key = meter.key
    session = Session(
        request=TransactionRequest(transaction_id=transaction_id),
        particulars=Particulars(),
        meter=MeterIdentity(
            manufacturer="Carlo Gavazzi",
            model=meter.model,
            serial_number=meter.serial_number,
        ),
        asked_at=STARTED,
        started_at=STARTED,
        ended_at=STARTED + timedelta(hours=1, minutes=2, seconds=3),
        start=registers(1_000_000, 0, snapshot(meter)),
        end=registers(1_000_000 + energy_wh, 0, snapshot(later)),
        price=PRICE,
        gaps=(
            Gap(
                kind=GapKind.METER_UNREACHABLE,
                begins_at=STARTED + timedelta(minutes=10),
                ends_at=STARTED + timedelta(minutes=12),
            ),
        ),
    )
    return account(replace(session, **changes))


def unsigned_account(transaction_id: str = "u1", **changes: Any) -> Account:
    """Return a session at a meter that signs nothing."""
    session = dct1_account(transaction_id).session
    return account(
        replace(
            session,
            start=registers(1_000_000, 0),
            end=registers(1_000_250, 0),
            gaps=(),
            **changes,
        )
    )


def forged_account(transaction_id: str = "f1") -> Account:
    """Return a session whose receipt was changed after it was signed."""
    return ocmf_account(
        transaction_id, text=ocmf().replace(str(END["RV"]), "00000449.541")
    )


def account(session: Session) -> Account:
    """Return the account of a session, judged by the receipt's own key."""
    judgement = judge(session.receipt) if session.receipt else None
    energy = session.energy_import_wh
    return Account(
        session=session,
        judgement=judgement,
        cost=session.price.cost(energy) if session.price and energy else None,
        record=RECORD,
    )


def registers(
    import_wh: int, export_wh: int, value: SignedMeterValue | None = None
) -> Snapshot:
    """Return a snapshot."""
    return Snapshot(
        signed_value=value,
        energy_import_wh=Decimal(import_wh),
        energy_export_wh=Decimal(export_wh),
    )
