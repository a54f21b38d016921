"""The dashboard of all meters, and the Energy dashboard."""

from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from playwright.async_api import Page, ViewportSize, expect
import pytest

from demo import dashboard
from demo.meters import DOMAIN, Meter
from demo.stage import Stage

from .conftest import PHONE, Opener, TakePicture, state_of, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

DASHBOARD = f"/{dashboard.URL_PATH}"
CARD = "dc-meter-card"


async def remember(home: Stage) -> None:
    """Let the recorder remember a charge on every evening of the last weeks."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=ago) for ago in range(30 * 24, 0, -1)]
    kwh = [5 + hour.day * 7 % 9 if hour.hour in (17, 18, 19) else 0 for hour in hours]
    sums = list(accumulate(kwh))
    for meter in home.meters:
        begin = float(await state_of(home, meter, "energy_import")) - sums[-1]
        counts = [{"state": begin + count, "sum": count} for count in sums]
        await remember_of(home, meter, "energy_import", hours, counts)
        counts = [{"state": 0, "sum": 0} for _ in hours]
        await remember_of(home, meter, "energy_export", hours, counts)
        means = [{"mean": 1000 * power} for power in kwh]
        await remember_of(home, meter, "power", hours, means)


async def remember_of(
    home: Stage,
    meter: Meter,
    key: str,
    hours: list[datetime],
    statistics: list[dict[str, float]],
) -> None:
    """Let the recorder remember statistics of one entity."""
    counts = "sum" in statistics[0]
    async with home.client.socket() as socket:
        await socket.command(
            "recorder/import_statistics",
            metadata={
                "statistic_id": meter.entities[key],
                "source": "recorder",
                "name": None,
                "has_sum": counts,
                "has_mean": not counts,
                "mean_type": 0 if counts else 1,
                "unit_of_measurement": "kWh" if counts else "W",
                "unit_class": "energy" if counts else "power",
            },
            stats=[
                {"start": hour.isoformat(), **values}
                for hour, values in zip(hours, statistics, strict=True)
            ],
        )


async def test_a_dashboard_of_all_meters_takes_two_clicks(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    await page.goto("/config/lovelace/dashboards")
    await page.get_by_role("button", name="Add dashboard").click()
    await take_picture(page, "dashboard-add")
    await page.get_by_text("DC Charging Meter", exact=True).click()
    await page.get_by_role("button", name="Create").click()
    await page.get_by_role("link", name="Charging").last.click()
    await expect(page.locator(CARD)).to_have_count(len(home.meters))


async def test_it_shows_all_meters_and_everything_of_each(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    await remember(home)
    target = {"device_id": home.meters[0].device_id}
    await home.client.action(
        DOMAIN, "start_transaction", **target, identification_data="Ada"
    )
    await page.goto(DASHBOARD)
    await expect(page.locator(CARD)).to_have_count(len(home.meters))
    await expect(page.get_by_text("Charging · Ada")).to_be_visible()
    await expect(page.locator("hui-statistics-graph-card")).to_have_count(2)
    await take_picture(page, "dashboard")
    for meter in home.meters:
        await page.get_by_role("tab", name=meter.serial_number).click()
        await expect(page.locator(CARD)).to_have_count(1)
        await expect(page.get_by_text("Voltage")).to_be_visible()
        await expect(page.locator("hui-history-graph-card")).to_be_visible()
        await take_picture(page, f"dashboard-{meter.name.lower()}")
    await expect(page.get_by_text("Clock state")).to_be_visible()
    await home.client.action(DOMAIN, "stop_transaction", **target)


async def test_its_cards_ask_what_they_are_told_to(page: Page, home: Stage) -> None:
    async with home.client.socket() as socket:
        await socket.command(
            "lovelace/dashboards/create", url_path="dc-meter-asks", title="Asks"
        )
        await socket.command(
            "lovelace/config/save",
            url_path="dc-meter-asks",
            config={
                "strategy": {"type": "custom:dc-meter", "card": {"ask_user": True}}
            },
        )
    await page.goto("/dc-meter-asks")
    await page.get_by_role("button", name="Start").first.click()
    await expect(page.get_by_role("textbox", name="User")).to_be_visible()


async def test_it_follows_what_is_renamed_disabled_and_hidden(
    page: Page, home: Stage
) -> None:
    dct1 = home.meters[0]
    await page.goto(f"{DASHBOARD}/{dct1.serial_number}")
    await expect(page.get_by_text("Voltage")).to_be_visible()
    async with home.client.socket() as socket:

        async def update(
            key: str, entity_id: str | None = None, **changes: Any
        ) -> None:
            await socket.command(
                "config/entity_registry/update",
                entity_id=entity_id or dct1.entities[key],
                **changes,
            )

        await update("voltage", new_entity_id="sensor.tension", name="Tension")
        await update("current", disabled_by="user")
        await update("cable_resistance", hidden_by="user")
        await expect(page.get_by_text("Tension")).to_be_visible()
        await expect(page.get_by_text("Current", exact=True)).to_have_count(0)
        await expect(page.get_by_text("Cable resistance")).to_have_count(0)
        await update(
            "voltage",
            "sensor.tension",
            new_entity_id=dct1.entities["voltage"],
            name=None,
        )
        await update("current", disabled_by=None)
        await update("cable_resistance", hidden_by=None)
    await expect(page.get_by_text("Cable resistance")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "viewport", "options"),
    [
        ("phone-dark", PHONE, {"color_scheme": "dark", "locale": "de-DE"}),
        ("wide", ViewportSize(width=1920, height=1080), {}),
    ],
)
async def test_it_fits(
    open_window: Opener,
    take_picture: TakePicture,
    name: str,
    viewport: ViewportSize,
    options: dict[str, Any],
) -> None:
    page = await open_window(viewport=viewport, **options)
    await page.goto(DASHBOARD)
    await expect(page.locator(CARD).last).to_be_visible()
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    await take_picture(page, f"dashboard-{name}")


async def test_the_energy_dashboard_takes_the_meters(
    page: Page, home: Stage, take_picture: TakePicture
) -> None:
    dct1, iem_dcr = home.meters
    price = "sensor.price"
    await home.client.post(
        f"/api/states/{price}",
        state="0.42",
        attributes={"unit_of_measurement": "EUR/kWh"},
    )
    await remember(home)
    async with home.client.socket() as socket:
        await socket.command(
            "energy/save_prefs",
            energy_sources=[
                {
                    "type": "grid",
                    "stat_energy_from": dct1.entities["energy_import"],
                    "stat_energy_to": dct1.entities["energy_export"],
                    "stat_rate": dct1.entities["power"],
                    "stat_cost": None,
                    "entity_energy_price": price,
                    "number_energy_price": None,
                    "stat_compensation": None,
                    "entity_energy_price_export": None,
                    "number_energy_price_export": 0.08,
                    "cost_adjustment_day": 0,
                }
            ],
            device_consumption=[
                {
                    "stat_consumption": iem_dcr.entities["energy_import"],
                    "stat_rate": iem_dcr.entities["power"],
                }
            ],
        )
        nothing = {
            "energy_sources": [[]],
            "device_consumption": [[]],
            "device_consumption_water": [],
        }
        await until(lambda: socket.command("energy/validate"), nothing)
    await page.goto("/energy")
    await expect(page.locator("hui-energy-distribution-card").first).to_be_visible()
    await take_picture(page, "energy")
    cost = f"{dct1.entities['energy_import']}_cost"
    state = await home.client.get(f"/api/states/{cost}")
    assert state["attributes"]["unit_of_measurement"] == "EUR"
