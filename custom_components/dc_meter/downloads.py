"""Files to download: for a few minutes, by a signed address, for the one who asked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
import os
from secrets import token_urlsafe
from typing import BinaryIO

from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE

from homeassistant.components.http import KEY_HASS, KEY_HASS_USER, HomeAssistantView
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN

LIFETIME = timedelta(minutes=10)
_PART = 256 * 1024
"""Bytes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """A file that waits to be fetched."""

    name: str
    content_type: str
    file: BinaryIO
    user_id: str | None
    """Who asked; None when it was no person."""


_DOWNLOADS: HassKey[dict[str, Download]] = HassKey(f"{DOMAIN}_downloads")


@callback
def async_setup_downloads(hass: HomeAssistant) -> None:
    """Register the view."""
    hass.data[_DOWNLOADS] = {}
    hass.http.register_view(DownloadView(hass.data[_DOWNLOADS]))


async def async_offer(hass: HomeAssistant, download: Download) -> tuple[str, datetime]:
    """Offer a file; return its address, without host, and when that expires."""
    downloads = hass.data[_DOWNLOADS]
    key = token_urlsafe(16)
    downloads[key] = download

    @callback
    def forget(_: datetime) -> None:
        downloads.pop(key, None)

    async_call_later(hass, LIFETIME, HassJob(forget, cancel_on_shutdown=True))
    refresh_token_id = None
    if download.user_id is not None:
        user = await hass.auth.async_get_user(download.user_id)
        refresh_token_id = next(iter(user.refresh_tokens), None) if user else None
    path = async_sign_path(
        hass,
        f"/api/{DOMAIN}/downloads/{key}",
        LIFETIME,
        refresh_token_id=refresh_token_id,
    )
    return path, dt_util.as_local(dt_util.utcnow() + LIFETIME)


class DownloadView(HomeAssistantView):
    """Hands out what was asked for, to whom it was that asked."""

    url = f"/api/{DOMAIN}/downloads/{{key}}"
    name = f"api:{DOMAIN}:downloads"

    def __init__(self, downloads: dict[str, Download]) -> None:
        """Take the files that wait."""
        self._downloads = downloads

    async def get(self, request: web.Request, key: str) -> web.StreamResponse:
        """Return the file."""
        download = self._downloads.get(key)
        if download is None:
            return self.json_message("gone", HTTPStatus.NOT_FOUND)
        if download.user_id not in (None, request[KEY_HASS_USER].id):
            return self.json_message("not yours", HTTPStatus.FORBIDDEN)
        response = web.StreamResponse(
            headers={
                CONTENT_TYPE: download.content_type,
                CONTENT_DISPOSITION: f'attachment; filename="{download.name}"',
                CACHE_CONTROL: "no-store",
            },
        )
        response.content_length = os.fstat(download.file.fileno()).st_size
        await response.prepare(request)
        read = request.app[KEY_HASS].async_add_executor_job
        place = 0
        # By place, for it may be fetched twice at a time.
        while part := await read(os.pread, download.file.fileno(), _PART, place):
            await response.write(part)
            place += len(part)
        await response.write_eof()
        return response
