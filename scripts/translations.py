"""Tell which texts a language lacks or has from an older English, and record what was translated.

Beside each text the record keeps a short hash of the English it was translated from. Who
changes an English text changes its hash; every language is then stale there until somebody
has looked at its translation and says so with --done.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
import json
from pathlib import Path
import sys
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "custom_components" / "dc_meter" / "translations"
RECORD = ROOT / "scripts" / "translations.txt"
ENGLISH = "en"

type Record = dict[str, dict[str, str]]
"""By language and key, the hash of the English text a translation was made from."""


def languages() -> list[str]:
    """Return all languages but English, by the names of their files."""
    return sorted({file.stem for file in FOLDER.glob("*.json")} - {ENGLISH})


def texts(language: str) -> dict[str, str]:
    """Return a language's texts by their path, such as ``config.error.unreachable``."""

    def leaves(tree: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
        for key, value in tree.items():
            if isinstance(value, dict):
                yield from leaves(value, f"{path}{key}.")
            else:
                yield f"{path}{key}", value

    file = FOLDER / f"{language}.json"
    return dict(leaves(json.loads(file.read_text(encoding="utf-8")), ""))


def digest(text: str) -> str:
    """Return the short hash of a text."""
    return sha256(text.encode()).hexdigest()[:8]


def read_record() -> Record:
    """Read lines of a key, a hash, and the languages made from that text."""
    record: Record = defaultdict(dict)
    for line in RECORD.read_text(encoding="utf-8").splitlines():
        key, made_from, *languages = line.split()
        for language in languages:
            record[language][key] = made_from
    return record


def write_record(record: Record) -> None:
    """Write the record, one line for all languages that agree."""
    lines: dict[tuple[str, str], list[str]] = defaultdict(list)
    for language in sorted(record):
        for key, made_from in record[language].items():
            lines[key, made_from].append(language)
    RECORD.write_text(
        "".join(
            f"{key} {made_from} {' '.join(languages)}\n"
            for (key, made_from), languages in sorted(lines.items())
        ),
        encoding="utf-8",
    )


def flaws(language: str, record: dict[str, str]) -> Iterator[str]:
    """Yield what a language lacks, has left over, or has from an older English."""
    english, translated = texts(ENGLISH), texts(language)
    for key, text in english.items():
        if key not in translated:
            yield f"missing   {key}: {text!r}"
        elif record.get(key) != digest(text):
            yield f"stale     {key}: {text!r} is said as {translated[key]!r}"
    for key in sorted((translated.keys() | record.keys()) - english.keys()):
        yield f"left over {key}"


def main() -> int:
    """Report, or record; returns 1 when there is something to do."""
    parser = argparse.ArgumentParser(prog="scripts/translations", description=__doc__)
    parser.add_argument(
        "--done",
        nargs="+",
        default=[],
        metavar="LANGUAGE",
        help="record that every text of these languages says what English says now",
    )
    options = parser.parse_args()
    if unknown := set(options.done) - set(languages()):
        parser.error(f"no such language: {', '.join(sorted(unknown))}")
    record = read_record()
    if options.done:
        english = texts(ENGLISH)
        for language in options.done:
            record[language] = {
                key: digest(english[key]) for key in texts(language) if key in english
            }
        write_record(record)
    found = [
        f"{language}: {flaw}"
        for language in languages()
        for flaw in flaws(language, record.get(language, {}))
    ]
    print(
        "\n".join(found) or f"{', '.join(languages())}: nothing missing, nothing stale"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
