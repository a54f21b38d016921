"""The languages: nothing left in English, nothing said of an older English."""

from collections import Counter
import json
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

from scripts.translations import FOLDER, ROOT, languages, texts

OTHERS = languages()

NAMES = {
    "1",
    "2",
    "Carlo Gavazzi DCT1",
    "Isabellenhütte IEM-DCR",
    "Modbus TCP",
    "SubjectPublicKeyInfo",
}
"""What has no translation in any language."""

SAME = {
    "de": {"Form", "Format", "Host", "Port"},
    "es": {"Host"},
    "fr": {"Format", "Informative", "Options", "Port", "Relative", "Transaction"},
    "it": {"Host"},
    "nl": {
        "Begin",
        "Even",
        "Export",
        "Host",
        "Meter",
        "Meters",
        "Protocol",
        "RTU over TCP",
        "{price} per kWh",
    },
}
"""What a language says in the words of English."""


@pytest.mark.parametrize("language", OTHERS)
def test_nothing_is_left_in_english(language: str) -> None:
    """A text that equals the English one is a name, a unit, or a word of both."""
    english = texts("en")
    assert {
        text
        for key, text in texts(language).items()
        if text == english[key]
        and text not in NAMES
        and not re.fullmatch(r"\d+ baud", text)
    } == SAME.get(language, set())


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_no_word_is_kept(language: str) -> None:
    """Placeholders, bounds, defaults, addresses and paths are those of English."""

    def kept(text: str) -> Counter[str]:
        return Counter(re.findall(r"\{\w+\}|/\w[\w/-]*|\w*_\w+|\d+(?:\.\d+)*", text))

    english = texts("en")
    for key, text in texts(language).items():
        assert kept(text) == kept(english[key]), key


def test_french_keeps_its_signs_on_the_line() -> None:
    """A colon or a guillemet is held by a space that does not break."""
    for key, text in texts("fr").items():
        assert not re.search(r"(?<!\u00a0)[;!?»]| :|«(?!\u00a0)", text), key


# The record of what was translated from what


def scripts_translations(root: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run it in a repository; returns its exit code and the lines it says."""
    run = subprocess.run(
        [sys.executable, root / "scripts" / "translations.py", *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    return run.returncode, (run.stdout + run.stderr).splitlines()


def test_no_language_is_missing_a_text_or_stale() -> None:
    """Who changed an English text had the others looked at."""
    code, said = scripts_translations(ROOT)
    assert code == 0, "\n".join(said)


def write(root: Path, language: str, **words: str) -> None:
    """Write the file of a language."""
    file = root / FOLDER.relative_to(ROOT) / f"{language}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"title": words}), encoding="utf-8")


@pytest.fixture(name="small")
def small_fixture(tmp_path: Path) -> Path:
    """Return a repository of three languages, where all is well."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "translations.py", tmp_path / "scripts")
    (tmp_path / "scripts" / "translations.txt").touch()
    write(tmp_path, "en", yes="Yes", no="No")
    write(tmp_path, "de", yes="Ja", no="Nein")
    write(tmp_path, "fr", yes="Oui", no="Non")
    assert scripts_translations(tmp_path, "--done", "de", "fr") == (
        0,
        ["de, fr: nothing missing, nothing stale"],
    )
    return tmp_path


@pytest.mark.parametrize(
    ("language", "words", "said"),
    [
        (
            "en",
            {"yes": "Yes", "no": "Never"},
            [
                "de: stale     title.no: 'Never' is said as 'Nein'",
                "fr: stale     title.no: 'Never' is said as 'Non'",
            ],
        ),
        (
            "en",
            {"yes": "Yes", "no": "No", "perhaps": "Perhaps"},
            [
                "de: missing   title.perhaps: 'Perhaps'",
                "fr: missing   title.perhaps: 'Perhaps'",
            ],
        ),
        ("en", {"yes": "Yes"}, ["de: left over title.no", "fr: left over title.no"]),
        ("fr", {"yes": "Oui"}, ["fr: missing   title.no: 'No'"]),
        (
            "fr",
            {"yes": "Oui", "no": "Non", "si": "Si"},
            ["fr: left over title.si"],
        ),
    ],
)
def test_a_language_that_fell_behind_is_named(
    small: Path, language: str, words: dict[str, str], said: list[str]
) -> None:
    """Each language that has something to do is named with the text."""
    write(small, language, **words)
    assert scripts_translations(small) == (1, said)


def test_what_was_translated_again_is_no_longer_stale(small: Path) -> None:
    """Saying so counts for the languages named, until English changes once more."""
    write(small, "en", yes="Yes", no="Never")
    write(small, "de", yes="Ja", no="Nie")
    stale = ["fr: stale     title.no: 'Never' is said as 'Non'"]
    assert scripts_translations(small, "--done", "de") == (1, stale)
    assert scripts_translations(small) == (1, stale)

    write(small, "en", yes="Yes", no="No")
    assert scripts_translations(small) == (
        1,
        ["de: stale     title.no: 'No' is said as 'Nie'"],
    )


def test_saying_it_is_done_makes_up_nothing(small: Path) -> None:
    """A missing text stays missing, and a language nobody has is refused."""
    write(small, "fr", yes="Oui")
    missing = ["fr: missing   title.no: 'No'"]
    assert scripts_translations(small, "--done", "fr") == (1, missing)
    code, said = scripts_translations(small, "--done", "xx")
    assert code == 2
    assert said[-1].endswith("no such language: xx")
