"""Who hands receipts to whom, and in which language and time."""

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum


class Language(StrEnum):
    """What an export is written in, and how it writes numbers."""

    ENGLISH = "en"
    GERMAN = "de"


@dataclass(frozen=True, kw_only=True, slots=True)
class Parties:
    """The frame around an export; texts may have several lines or be empty."""

    issuer: str = ""
    recipient: str = ""
    title: str = ""
    """Of a statement, such as "July 2026"."""

    time_zone: tzinfo
    language: Language = Language.ENGLISH
