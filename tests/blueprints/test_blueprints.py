"""Each blueprint, imported and run in a real Home Assistant with simulated meters."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from custom_components.dc_meter.archive import Archive, RecordKind
from custom_components.dc_meter.session import encode
from tests.export.accounts import ocmf_account

from .conftest import BLUEPRINTS, House, does

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD = "04A2B1C4D5E680"
PHONE = "7f3f9c1e-5a0e-4b4b-9d0b-5d3c4f6a1b2c"
BERLIN = ZoneInfo("Europe/Berlin")


async def test_all_of_them_can_be_imported(house: House) -> None:
    """Home Assistant lists each of them and finds nothing wrong."""
    listed = await house.socket.command("blueprint/list", domain="automation")
    assert len(house.paths) == 7
    for name, path in house.paths.items():
        assert "error" not in listed[path], name
    assert house.paths.keys() == {file.stem for file in BLUEPRINTS.glob("*.yaml")}


@pytest.mark.parametrize(
    ("scanned", "told", "kind"),
    [
        ("04-a2-b1-c4-d5-e6-80", CARD, "ISO14443"),
        ("12345678", "12345678", "ISO14443"),
        (PHONE, PHONE, "LOCAL"),
    ],
)
async def test_a_listed_tag_starts_a_transaction_for_its_user(
    house: House, scanned: str, told: str, kind: str
) -> None:
    """However the reader writes it; another tag does nothing, nor does a second scan."""
    async with house.automation(
        "start_on_tag",
        meter=house.iem_dcr.device_id,
        tags=[
            {"tag": "04:A2:B1:C4:D5:E6:80", "user": "Anna"},
            {"tag": 12345678, "user": "Anna"},
            {"tag": PHONE, "user": "Anna"},
        ],
        readers=["gate"],
        released=does("released"),
    ):
        await house.fire("tag_scanned", tag_id="04FFFFFF", device_id="gate")
        await house.fire("tag_scanned", tag_id=scanned, device_id="elsewhere")
        await house.nothing_seen(0.3)
        await house.fire("tag_scanned", tag_id=scanned, device_id="gate")
        session = (await house.seen("transaction_started"))["session"]
        assert session["identification_data"] == told
        assert session["identification_type"] == kind
        assert session["client_id"] == "Anna"
        await house.seen("released")
        await house.fire("tag_scanned", tag_id=scanned, device_id="gate")
        await house.nothing_seen(1.5)


async def test_plugging_in_starts_a_transaction_after_a_while(house: House) -> None:
    """A car that is only tried on, or a sensor that only comes back, starts nothing."""
    plug = "binary_sensor.car_plugged_in"
    await house.show(plug, "unavailable")
    async with house.automation(
        "start_on_plug",
        meter=house.dct1.device_id,
        plugged=plug,
        wait={"milliseconds": 300},
        user="Anna",
        released=does("released"),
    ):
        await house.show(plug, "on")
        await house.nothing_seen(1.5)
        for state in ("off", "on", "off"):
            await house.show(plug, state)
        await house.nothing_seen(0.5)
        await house.show(plug, "on")
        started = await house.seen("transaction_started")
        assert started["device_id"] == house.dct1.device_id
        assert started["session"]["client_id"] == "Anna"
        await house.seen("released")
        await house.show(plug, "off")
        await house.show(plug, "on")
        await house.nothing_seen(0.5)


async def test_a_transaction_whose_power_stays_low_is_stopped(house: House) -> None:
    """The charger is switched off first, and the meter asked until it no longer refuses."""
    await house.start(house.iem_dcr)
    async with house.automation(
        "stop_on_low_power",
        meter=house.iem_dcr.device_id,
        power=house.iem_dcr.entities["power"],
        limit=20_000,
        low_for={"seconds": 1},
        switch_off=[
            *does("switched off"),
            {
                "action": "rest_command.car",
                "data": {"settings": {"charging": False}},
            },
        ],
    ):
        await house.charge(house.iem_dcr, -50_000)
        await house.nothing_seen(1.5)
        await house.charge(house.iem_dcr, 10_000)
        await house.seen("switched off")
        stopped = await house.seen("transaction_stopped")
        assert stopped["verdict"]["verdict"] == "valid"


async def test_a_transaction_that_never_charges_is_stopped_and_a_refusal_is_told(
    house: House,
) -> None:
    """Power need not have been high before; when the meter goes on refusing, the log says so."""
    async with house.automation(
        "stop_on_low_power",
        meter=house.iem_dcr.device_id,
        power=house.iem_dcr.entities["power"],
        limit=20_000,
        low_for={"seconds": 2},
        patience={"seconds": 0.2},
    ):
        await house.start(house.iem_dcr)
        await house.seen("transaction_stopped")
        await house.start(house.iem_dcr)
        await house.charge(house.iem_dcr, 10_000)
        async with asyncio.timeout(10):
            log = house.stage.home_assistant.log
            while "neither begins nor ends a transaction" not in log.read_text():
                await asyncio.sleep(0.1)
        assert (await house.running(house.iem_dcr))["running"]


async def test_a_receipt_is_written_and_handed_to_the_mail(house: House) -> None:
    """The receipt of this transaction and no other, with a line that sums it up."""
    folder = house.stage.home_assistant.folder / "www"
    await house.start(house.dct1)
    await house.stop(house.dct1)
    async with house.automation(
        "mail_receipt",
        meters=[house.dct1.device_id],
        folder=str(folder),
        format="csv",
        deliver=[
            {
                "action": "persistent_notification.create",
                "data": {"notification_id": "mail", "message": "{{ message }}"},
            },
            *does("mailed", path="{{ receipt.path }}"),
        ],
    ):
        started = await house.start(house.dct1)
        await house.charge(house.dct1, 100_000)
        await house.charge(house.dct1, 0)
        stopped = await house.stop(house.dct1)
        path = Path((await house.seen("mailed"))["path"])
    assert path.parent == folder
    lines = (await asyncio.to_thread(path.read_text, "utf-8-sig")).splitlines()
    assert len(lines) == 2
    assert started["transaction_id"] in lines[1]
    energy_kwh = stopped["session"]["energy_import_wh"] / 1000
    assert energy_kwh > 0
    message = await house.notification("mail")
    assert message.endswith(f": {energy_kwh} kWh, receipt valid")


async def test_a_statement_has_the_sessions_of_the_month_before_and_no_others(
    house: House,
) -> None:
    """From local midnight to local midnight, whatever summer time does in between."""
    config = house.stage.home_assistant.folder
    today = datetime.now(BERLIN).replace(hour=0, minute=0, second=0, microsecond=0)
    ends = today.replace(day=1)
    begins = (ends - timedelta(days=1)).replace(day=1)
    moment = timedelta(seconds=1)
    archive = Archive.open(config / "dc_meter" / "receipts.db")
    for number, ended_at in enumerate(
        (begins - moment, begins, ends - moment, ends), 1
    ):
        account = ocmf_account(f"month-{number}")
        archive.append(
            meter=account.session.meter.serial_number,
            transaction_id=account.session.transaction_id,
            kind=RecordKind.STOPPED,
            written_at=ended_at,
            body=encode(account),
        )
    archive.close()
    async with house.automation(
        "monthly_statement",
        folder=str(config / "www"),
        format="pdf",
        deliver=does(
            "delivered",
            path="{{ statement.path }}",
            receipts="{{ statement.receipts }}",
            begins="{{ month_begins }}",
        ),
    ) as automation:
        await house.act("automation.trigger", entity_id=automation, skip_condition=True)
        delivered = await house.seen("delivered", timeout_s=20)
    assert delivered["receipts"] == 2
    assert datetime.fromisoformat(delivered["begins"]) == begins
    pdf = await asyncio.to_thread(Path(delivered["path"]).read_bytes)
    assert pdf.startswith(b"%PDF-")


async def test_a_month_without_sessions_has_no_statement(house: House) -> None:
    """Nothing is delivered, and nothing fails."""
    async with house.automation(
        "monthly_statement",
        folder=str(house.stage.home_assistant.folder / "www"),
        user="nobody",
        meter=house.dct1.device_id,
        deliver=does("delivered"),
    ) as automation:
        await house.act("automation.trigger", entity_id=automation, skip_condition=True)
        await house.nothing_seen()


async def test_a_changed_tariff_splits_the_session_and_keeps_the_user(
    house: House,
) -> None:
    """Two receipts, each under its tariff; the charger is paused between them."""
    tariff = "sensor.tariff"
    await house.show(tariff, "0.10")
    first = await house.start(
        house.iem_dcr,
        identification_data=CARD,
        identification_type="ISO14443",
        identification_flags=["RFID_PLAIN"],
        client_id="007",
        user_data={"car": "blue", "cards": [1, None, "1.50"]},
    )
    async with house.automation(
        "split_on_tariff",
        meter=house.iem_dcr.device_id,
        tariff=tariff,
        unit="EUR/kWh",
        power=house.iem_dcr.entities["power"],
        pause=[
            {"action": "rest_command.car", "data": {"settings": {"charging": False}}}
        ],
        resume=[
            {"action": "rest_command.car", "data": {"settings": {"charging": True}}},
            *does("resumed"),
        ],
    ):
        await house.charge(house.iem_dcr, 100_000)
        for state in ("unavailable", "0.10"):
            await house.show(tariff, state)
        await house.nothing_seen(0.5)
        await house.show(tariff, "0.30")
        ended = await house.seen("transaction_stopped")
        begun = await house.seen("transaction_started")
        await house.seen("resumed")
        # The session knows its tariff now: a change behind a gap is noticed.
        for state in ("unavailable", "0.30"):
            await house.show(tariff, state)
        await house.nothing_seen(0.5)
        for state in ("unavailable", "0.10"):
            await house.show(tariff, state)
        third = await house.seen("transaction_started")
        await house.seen("resumed")
    kept = {
        key: first["session"][key]
        for key in (
            "identification_status",
            "identification_type",
            "identification_data",
            "identification_flags",
            "client_id",
            "user_data",
        )
    }
    assert ended["transaction_id"] == first["transaction_id"]
    assert ended["verdict"]["verdict"] == "valid"
    for session, state in ((begun["session"], "0.30"), (third["session"], "0.10")):
        assert kept.items() <= session.items()
        assert session["tariff_id"] == state
        assert session["tariff_text"] == f"{state} EUR/kWh"
    await house.charge(house.iem_dcr, 0)
    assert (await house.stop(house.iem_dcr))["verdict"]["billable"]


async def test_a_session_that_cannot_be_split_goes_on_under_the_old_tariff(
    house: House,
) -> None:
    """The car is not left standing, and somebody is told."""
    await house.show("sensor.tariff", "day")
    first = await house.start(house.iem_dcr)
    await house.charge(house.iem_dcr, 50_000)
    async with house.automation(
        "split_on_tariff",
        meter=house.iem_dcr.device_id,
        tariff="sensor.tariff",
        resume=does("resumed"),
        power=house.iem_dcr.entities["power"],
        patience={"seconds": 0.2},
        failed=does("failed"),
    ):
        await house.show("sensor.tariff", "night")
        await house.seen("resumed")
        await house.seen("failed")
        running = await house.running(house.iem_dcr)
        assert running["transaction_id"] == first["transaction_id"]


async def test_a_restart_loses_neither_a_warning_nor_a_tariff(house: House) -> None:
    """A long transaction is warned of before and after; a short one is not."""
    await house.start(house.dct1)
    async with (
        house.automation(
            "warn_long_transaction",
            meter=house.dct1.device_id,
            longer_than={"seconds": 1.5},
            warn=[
                *does("warned", transaction_id="{{ transaction.transaction_id }}"),
                {
                    "action": "persistent_notification.create",
                    "data": {"notification_id": "long", "message": "{{ message }}"},
                },
            ],
        ),
        house.automation(
            "split_on_tariff", meter=house.iem_dcr.device_id, tariff="sensor.tariff"
        ),
    ):
        await house.start(house.dct1)
        await house.stop(house.dct1)
        await house.nothing_seen(2)
        begun = await house.start(house.iem_dcr, client_id="Anna", tariff_id="day")
        started = await house.start(house.dct1)
        warned = await house.seen("warned")
        assert warned["transaction_id"] == started["transaction_id"]
        # Neither notifications nor such a sensor outlive Home Assistant: both are new then.
        await house.stage.home_assistant.stop()
        await house.stage.home_assistant.start()
        await house.stage.client.until_running()
        assert "a transaction runs since 20" in await house.notification("long")
        await house.show("sensor.tariff", "night")
        async with asyncio.timeout(10):
            # In between none runs.
            while (running := await house.running(house.iem_dcr)).get(
                "transaction_id"
            ) in (None, begun["transaction_id"]):
                await asyncio.sleep(0.1)
        assert running["session"]["client_id"] == "Anna"
        assert running["session"]["tariff_id"] == "night"


async def test_no_template_went_wrong(house: House) -> None:
    """What was not expected above is not in the log."""
    log = house.stage.home_assistant.log.read_text()
    for complaint in ("TemplateError", "UndefinedError", "Template variable"):
        assert complaint not in log
