"""The judgement of the demo's check: what it verifies, and what it must not let pass."""

import base64
from collections.abc import Callable
from decimal import Decimal
import json
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.exceptions import InvalidSignature
import pytest

from demo.client import Client
from demo.home_assistant import complaints
from demo.signatures import Signed, verify_dct1, verify_ocmf
from simulators.iem_dcr import SimulatedIemDcr

type Value = dict[str, Any]

VECTORS = json.loads((Path(__file__).parent / "vectors" / "dct1.json").read_text())


@pytest.fixture(name="snapshot_of_dct1")
def snapshot_of_dct1_fixture() -> Value:
    """Return what a real DCT1 signed."""
    return dict(VECTORS["signed_meter_value"])


def receipt(**forms: Any) -> Value:
    """Return the receipt of an IEM-DCR that counted nothing above its 1234567 Wh."""
    meter = SimulatedIemDcr(signature_delay_s=0, import_wh=1234567, **forms)
    meter.post_gw({"CT": "EVSEID", "CI": "DE*1", "TM": "2026-07-01T14:00:00,000+0200"})
    for step in ("B", "E"):
        meter.post_receipt({"TX": step})
    return {
        "signed_meter_data": meter.get_receipt(),
        "signing_method": "ECDSA-secp256r1-SHA256",
        "encoding_method": "OCMF",
        "public_key": meter.get_publickey()["PK"],
    }


def test_a_real_dct1_is_genuine(snapshot_of_dct1: Value) -> None:
    """The device's own output verifies."""
    assert verify_dct1(snapshot_of_dct1) == Signed(
        meter="BY0520001002L", import_wh=(Decimal(0),)
    )


@pytest.mark.parametrize("byte", [0, 19, 153, 154, 249])
def test_a_changed_dct1_snapshot_is_not_genuine(
    snapshot_of_dct1: Value, byte: int
) -> None:
    """Neither the block nor the signature can be altered."""
    raw = bytearray(base64.b64decode(snapshot_of_dct1["signed_meter_data"]))
    raw[byte] ^= 1
    snapshot_of_dct1["signed_meter_data"] = base64.b64encode(raw).decode()

    with pytest.raises(InvalidSignature):
        verify_dct1(snapshot_of_dct1)


@pytest.mark.parametrize("key_form", ["spki", "bare"])
@pytest.mark.parametrize("signature_form", ["padded", "unpadded"])
def test_an_iem_dcr_is_genuine(key_form: str, signature_form: str) -> None:
    """Old and new devices' keys and DER, padded or not, verify."""
    value = receipt(key_form=key_form, signature_form=signature_form)

    assert verify_ocmf(value) == Signed(
        meter="1ISA0200000001", import_wh=(Decimal(1234567), Decimal(1234567))
    )


def test_a_changed_receipt_is_not_genuine() -> None:
    """No watt-hour of a receipt can be altered."""
    value = receipt()
    value["signed_meter_data"] = value["signed_meter_data"].replace(
        "1234.567", "1234.568"
    )

    with pytest.raises(InvalidSignature):
        verify_ocmf(value)


@pytest.mark.parametrize(
    ("verify", "value"),
    [(verify_dct1, VECTORS["signed_meter_value"]), (verify_ocmf, receipt())],
)
@pytest.mark.parametrize(
    "change",
    [{"public_key": None}, {"signing_method": "none"}, {"encoding_method": "XML"}],
)
def test_the_four_fields_are_required(
    verify: Callable[[Value], Signed], value: Value, change: Value
) -> None:
    """A field less, or another word in one, is noticed."""
    changed = {key: text for key, text in (value | change).items() if text is not None}

    with pytest.raises(ValueError, match="."):
        verify(changed)


def test_complaints_about_the_integration_are_found_in_the_log() -> None:
    """Warnings and errors count with their tracebacks; others' and the usual one do not."""
    log = """\
2026-11-22 00:30:47.048+00:00 WARNING (MainThread) [homeassistant.loader] We found a custom integration dc_meter which has not been tested
2026-11-22 00:30:48.000+00:00 INFO (MainThread) [custom_components.dc_meter] all is well
2026-11-22 00:30:49.000+00:00 ERROR (MainThread) [homeassistant.components.sun] no sun
2026-11-22 00:30:50.000+00:00 ERROR (MainThread) [homeassistant.core] Error doing job
Traceback (most recent call last):
  File "custom_components/dc_meter/coordinator.py", line 1
2026-11-22 00:30:51.000+00:00 WARNING (MainThread) [custom_components.dc_meter] no answer
"""

    assert [text.splitlines()[0][30:] for text in complaints(log, "dc_meter")] == [
        "ERROR (MainThread) [homeassistant.core] Error doing job",
        "WARNING (MainThread) [custom_components.dc_meter] no answer",
    ]


@pytest.mark.usefixtures("socket_enabled")
async def test_a_client_stays_logged_in_for_longer_than_its_token() -> None:
    """A campaign of an hour would end after half of it."""
    given: list[str] = []
    shown: list[str | None] = []

    async def onboarding(_: web.Request) -> web.Response:
        return web.json_response([])

    async def log_in(_: web.Request) -> web.Response:
        return web.json_response({"flow_id": "flow", "result": "code"})

    async def token(request: web.Request) -> web.Response:
        form = await request.post()
        given.append(str(form.get("code") or form["refresh_token"]))
        answer = {"access_token": f"token {len(given)}", "expires_in": 0}
        return web.json_response(answer | {"refresh_token": "kept"})

    async def config(request: web.Request) -> web.Response:
        shown.append(request.headers.get("Authorization"))
        return web.json_response({})

    application = web.Application()
    application.router.add_get("/api/onboarding", onboarding)
    application.router.add_get("/api/config", config)
    application.router.add_post("/auth/login_flow", log_in)
    application.router.add_post("/auth/login_flow/flow", log_in)
    application.router.add_post("/auth/token", token)
    async with (
        TestServer(application, host="127.0.0.1") as server,
        aiohttp.ClientSession() as http,
    ):
        client = Client(http=http, url=str(server.make_url("")).rstrip("/"))
        await client.log_in()
        for _ in range(2):
            await client.get("/api/config")
    assert given == ["code", "kept", "kept"]
    assert shown == ["Bearer token 2", "Bearer token 3"]
