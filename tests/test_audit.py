"""What is said of known vulnerabilities in what is pinned here."""

import json
from typing import Any

import pytest

from scripts.audit import outcome

SOUND = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
VULNERABLE = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
}
UNKNOWN = {"name": "atheris", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "told"),
    [
        ([SOUND], 0, "1 packages, no known vulnerability"),
        ([SOUND, UNKNOWN], 0, "not audited: atheris"),
        ([SOUND, VULNERABLE], 1, "pillow 1.0: PYSEC-1, fixed in 1.1"),
        ([UNKNOWN], 0, "nothing was audited"),
    ],
)
def test_what_is_known_of_the_packages_is_said(
    packages: list[dict[str, Any]], code: int, told: str
) -> None:
    """A vulnerability fails, and what could not be asked about is named."""
    found, said = outcome(json.dumps({"dependencies": packages}))
    assert found == code
    assert told in said


def test_without_the_advisory_service_nothing_fails() -> None:
    """And nobody is told that all is well."""
    assert outcome("")[0] == 0
    assert "cannot be reached" in outcome("")[1]
