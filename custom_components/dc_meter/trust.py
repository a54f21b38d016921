"""Which key a meter is trusted by: the first it showed, until its owner says otherwise."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from homeassistant.core import HomeAssistant

from .archive import Archive, DamagedRecordError, RecordKind
from .metering.ecdsa import SignatureScheme, parse_public_key
from .metering.meter import MeterIdentity


class TrustOrigin(StrEnum):
    """Why a key is trusted."""

    FIRST_SEEN = "first_seen"
    """It is the first the meter showed."""

    LABEL = "label"
    """Its owner entered it from the meter's label."""

    EXCHANGED = "exchanged"
    """Its owner accepted it in place of the one before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustedKey:
    """A key and why it is trusted."""

    public_key: str
    origin: TrustOrigin


class Trust:
    """The trusted key of one meter, kept in the archive."""

    def __init__(
        self, hass: HomeAssistant, archive: Archive, now: Callable[[], datetime]
    ) -> None:
        """Prepare; ``load`` before use."""
        self._hass = hass
        self._archive = archive
        self._now = now
        self.key: TrustedKey | None = None

    async def load(self, identity: MeterIdentity) -> None:
        """Take up what the archive knows of this meter; remember the first key it shows.

        Raises ``ArchiveError``.
        """
        record = await self._hass.async_add_executor_job(
            self._archive.latest, identity.serial_number, (RecordKind.KEY,)
        )
        if record is not None:
            try:
                self.key = TrustedKey(
                    public_key=record.body["public_key"],
                    origin=TrustOrigin(record.body["origin"]),
                )
            except (LookupError, TypeError, ValueError) as err:
                raise DamagedRecordError(record.link.number) from err
        elif identity.public_key is not None:
            await self.set(identity, identity.public_key, TrustOrigin.FIRST_SEEN)

    async def set(
        self, identity: MeterIdentity, public_key: str, origin: TrustOrigin
    ) -> None:
        """Trust a key from now on. Raises ``ArchiveError``."""
        body: dict[str, Any] = {"public_key": public_key, "origin": origin}
        await self._hass.async_add_executor_job(
            lambda: self._archive.append(
                meter=identity.serial_number,
                transaction_id="",
                kind=RecordKind.KEY,
                written_at=self._now(),
                body=body,
            )
        )
        self.key = TrustedKey(public_key=public_key, origin=origin)

    def is_broken_by(self, identity: MeterIdentity) -> bool:
        """Tell whether the meter shows another key than the trusted one."""
        return (
            self.key is not None
            and identity.public_key is not None
            and not is_same_key(
                self.key.public_key, identity.public_key, identity.signing_method
            )
        )


def is_same_key(one: str, other: str, signing_method: str | None) -> bool:
    """Compare key material, whatever the form; what cannot be read is never the same.

    Texts that are equal are the same key even where the algorithm is unknown.
    """
    if one == other:
        return True
    try:
        scheme = SignatureScheme.named(signing_method or "")
        return parse_public_key(one, scheme) == parse_public_key(other, scheme)
    except ValueError:
        return False
