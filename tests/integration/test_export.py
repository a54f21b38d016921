"""Receipts handed out: as files to download, and into folders, to those who may have them."""

import asyncio
from collections.abc import Awaitable, Callable
import io
from pathlib import Path
import random
from tempfile import TemporaryFile
from typing import Any
import xml.etree.ElementTree as ET

from freezegun import freeze_time
from freezegun.api import FrozenDateTimeFactory
import pypdf
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
import voluptuous as vol

from custom_components.dc_meter import exports
from custom_components.dc_meter.const import DOMAIN
from custom_components.dc_meter.downloads import Download, async_offer
from custom_components.dc_meter.exports import Export
from homeassistant.auth.models import User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .test_actions import call

type Setup = Callable[[MockConfigEntry], Awaitable[None]]


async def export(hass: HomeAssistant, asker: User | None = None, **data: Any) -> Any:
    return await hass.services.async_call(
        DOMAIN,
        "export_receipts",
        data,
        blocking=True,
        return_response=True,
        context=Context(user_id=asker.id) if asker else Context(),
    )


@pytest.fixture
async def receipt(
    hass: HomeAssistant, iem_dcr_entry: MockConfigEntry, setup: Setup
) -> dict[str, Any]:
    """Run one session on an IEM-DCR."""
    await setup(iem_dcr_entry)
    await call(hass, iem_dcr_entry, "start", identification_data="=1+1")
    return await call(hass, iem_dcr_entry, "stop")


async def test_an_export_can_be_downloaded_with_its_address_alone(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client_no_auth: ClientSessionGenerator,
    hass_admin_user: User,
    hass_admin_credential: Any,
) -> None:
    """The address is signed; without its signature nothing is given."""
    await hass.auth.async_create_refresh_token(
        hass_admin_user, "http://127.0.0.1", credential=hass_admin_credential
    )
    made = await export(hass, hass_admin_user, format="safe_xml")
    assert made["receipts"] == 1
    assert made["left_out"] == []
    client = await hass_client_no_auth()
    answer = await client.get(made["url"])
    assert answer.status == 200
    assert made["file_name"] in answer.headers["Content-Disposition"]
    (value,) = ET.fromstring(await answer.read())  # noqa: S314, our own file
    data = value.find("signedData")
    assert data is not None
    signed = receipt["signed_meter_value"]["signed_meter_data"]
    assert data.text is not None
    assert data.text.split("|")[1] == signed.split("|")[1]
    assert (await client.get(made["url"].partition("?")[0])).status == 401


async def test_an_export_is_for_the_one_who_asked(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client: ClientSessionGenerator,
    hass_owner_user: User,
) -> None:
    """Another administrator's session does not get it."""
    made = await export(hass, hass_owner_user, format="csv")
    client = await hass_client()
    assert (await client.get(made["url"].partition("?")[0])).status == 403
    assert (await client.get(f"/api/{DOMAIN}/downloads/none")).status == 404


async def test_an_export_is_written_into_an_allowed_folder_and_no_other(
    hass: HomeAssistant, receipt: dict[str, Any], tmp_path: Path
) -> None:
    """For mailing; nothing is written where Home Assistant may not, and nothing over a file."""
    with pytest.raises(ServiceValidationError) as refusal:
        await export(hass, format="csv", folder=str(tmp_path))
    assert refusal.value.translation_key == "folder_not_allowed"
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    made = await export(hass, format="csv", folder=str(tmp_path), language="de")
    text = await hass.async_add_executor_job(Path(made["path"]).read_text, "utf-8-sig")
    assert ";'=1+1;" in text
    with pytest.raises(HomeAssistantError) as failure:
        await export(hass, format="csv", folder=str(tmp_path / "missing"))
    assert failure.value.translation_key == "folder_not_writable"


async def test_a_download_may_be_fetched_twice_at_a_time(
    hass: HomeAssistant, receipt: dict[str, Any], hass_client: ClientSessionGenerator
) -> None:
    """Neither gets what is the other's part; and nothing of it has a name on the disk."""
    content = random.Random(0).randbytes(3_000_000)
    file = await hass.async_add_executor_job(TemporaryFile)
    await hass.async_add_executor_job(file.write, content)
    download = Download(name="x.bin", content_type="text/csv", file=file, user_id=None)
    url, _ = await async_offer(hass, download)
    client = await hass_client()

    async def fetch() -> bytes:
        answer = await client.get(url.partition("?")[0])
        assert answer.content_type == "text/csv"
        assert answer.content_length == len(content)
        return await answer.read()

    assert await asyncio.gather(fetch(), fetch()) == [content, content]


async def test_a_download_expires_in_time_though_summer_time_ends_before(
    hass: HomeAssistant, receipt: dict[str, Any]
) -> None:
    """Ten minutes are no seventy."""
    await hass.config.async_set_time_zone("Europe/Berlin")
    file = await hass.async_add_executor_job(TemporaryFile)
    download = Download(name="x.csv", content_type="text/csv", file=file, user_id=None)
    with freeze_time("2026-10-25T00:55:00Z"):
        _, expires_at = await async_offer(hass, download)
    assert expires_at.isoformat() == "2026-10-25T02:05:00+01:00"


async def test_a_file_that_cannot_be_written_whole_is_not_there(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    """Half a statement would be taken for one."""
    folder = tmp_path / "folder"
    folder.mkdir()
    with (tmp_path / "unreadable").open("wb") as file:
        made = Export(name="x.csv", content_type="text/csv", file=file)
        with pytest.raises(OSError, match="read"):
            await hass.async_add_executor_job(made.write_into, folder)
    assert not list(folder.iterdir())


async def test_exports_of_one_second_do_not_meet_in_a_folder(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    tmp_path: Path,
    freezer: FrozenDateTimeFactory,
) -> None:
    """Two sessions that end together are mailed together; and only their owner reads them."""
    freezer.move_to("2026-07-01T12:00:00+00:00")
    hass.config.allowlist_external_dirs = {str(tmp_path)}
    paths = [
        Path((await export(hass, format="csv", folder=str(tmp_path)))["path"])
        for _ in range(3)
    ]
    assert len({path.read_bytes() for path in paths}) == 1
    assert [path.name[-7:] for path in paths] == ["000.csv", "0-2.csv", "0-3.csv"]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}


async def test_a_statement_names_who_hands_it_out_and_to_whom(
    hass: HomeAssistant, receipt: dict[str, Any], hass_client: ClientSessionGenerator
) -> None:
    """As entered, line by line; by default it is this home that hands it out."""
    client = await hass_client()

    async def first_page(**data: Any) -> list[str]:
        made = await export(hass, format="pdf", **data)
        content = await (await client.get(made["url"].partition("?")[0])).read()
        page = pypdf.PdfReader(io.BytesIO(content)).pages[0]
        return [line.strip() for line in page.extract_text().splitlines()]

    assert hass.config.location_name in await first_page()
    page = await first_page(
        issuer="Stromhof Müller GmbH\nHauptstraße 1\n",
        recipient="Erika Mustermann\n12345 Beispielstadt",
        title="July 2026",
    )
    assert hass.config.location_name not in page
    for line in (
        "Stromhof Müller GmbH",
        "Hauptstraße 1",
        "Erika Mustermann",
        "12345 Beispielstadt",
    ):
        assert line in page
    assert any(line.startswith("July 2026") for line in page)


@pytest.mark.parametrize("text", ["1\n2\n3\n4\n5\n6", "bell \a", "x" * 256])
async def test_parties_that_the_paper_cannot_show_are_refused(
    hass: HomeAssistant, receipt: dict[str, Any], text: str
) -> None:
    """Rather than cut."""
    for party in ("issuer", "recipient", "title"):
        with pytest.raises(vol.Invalid):
            await export(hass, format="pdf", **{party: text})


async def test_nothing_makes_no_file(
    hass: HomeAssistant, receipt: dict[str, Any]
) -> None:
    """An empty file would be taken for proof of nothing charged."""
    with pytest.raises(ServiceValidationError) as refusal:
        await export(hass, format="csv", user="nobody")
    assert refusal.value.translation_key == "nothing_to_export"


@pytest.mark.parametrize("kind", ["pdf", "zip"])
async def test_more_than_a_format_takes_is_refused(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Where each session takes memory, rather than all of it; the others take any number."""
    monkeypatch.setattr(exports, "_MOST_PAGES", 0)
    with pytest.raises(ServiceValidationError) as refusal:
        await export(hass, format=kind)
    assert refusal.value.translation_key == "too_many_receipts"
    for other in ("csv", "safe_xml"):
        assert (await export(hass, format=other))["receipts"] == 1


async def test_what_a_format_cannot_express_is_named(
    hass: HomeAssistant,
    dct1_entry: MockConfigEntry,
    iem_dcr_entry: MockConfigEntry,
    setup: Setup,
) -> None:
    """The S.A.F.E. software knows no DCT1 block; a file of nothing else would be empty."""
    await setup(dct1_entry)  # Which sets the integration up, and with it the other.
    for entry, transaction_id in ((dct1_entry, "T"), (iem_dcr_entry, "U")):
        await call(hass, entry, "start", transaction_id=transaction_id)
        await call(hass, entry, "stop")
    made = await export(hass, format="safe_xml")
    assert made["receipts"] == 1
    assert made["left_out"] == ["T"]
    with pytest.raises(ServiceValidationError) as refusal:
        await export(hass, format="safe_xml", transaction_id="T")
    assert refusal.value.translation_key == "nothing_in_format"


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("pdf", b"%PDF-"), ("zip", b"PK\x03\x04"), ("csv", b"\xef\xbb\xbf")],
)
@pytest.mark.parametrize("language", ["en", "de"])
async def test_every_format_is_made_in_every_language(
    hass: HomeAssistant,
    receipt: dict[str, Any],
    hass_client: ClientSessionGenerator,
    kind: str,
    begins: bytes,
    language: str,
) -> None:
    """The file is what its name says."""
    made = await export(hass, format=kind, language=language)
    assert made["file_name"].endswith(f".{kind}")
    client = await hass_client()
    content = await (await client.get(made["url"].partition("?")[0])).read()
    assert content.startswith(begins)
