"""Hands the dashboard card to browsers: one module, made from ``frontend/`` of the repository."""

from hashlib import sha256
from pathlib import Path

from custom_components.dc_meter.const import DOMAIN
from homeassistant.components.frontend import DOMAIN as FRONTEND, add_extra_js_url
from homeassistant.components.http import StaticPathConfig
from homeassistant.core import HomeAssistant

MODULE = Path(__file__).parent / "dc-meter.js"
URL = f"/{DOMAIN}/{MODULE.name}"


async def async_setup_frontend(hass: HomeAssistant) -> None:
    """Let every browser load the module; without a frontend there is nobody to hand it to."""
    if FRONTEND not in hass.config.components:
        return
    content = await hass.async_add_executor_job(MODULE.read_bytes)
    await hass.http.async_register_static_paths(
        [StaticPathConfig(URL, str(MODULE), cache_headers=True)]
    )
    # Browsers keep it for a month; another content has another address.
    add_extra_js_url(hass, f"{URL}?{sha256(content).hexdigest()[:12]}")
