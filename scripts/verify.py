"""Check receipts, or the chain of an archive, without Home Assistant."""

from contextlib import closing
from importlib import import_module
import json
from pathlib import Path
import sqlite3
import sys
from types import ModuleType
from typing import Any

INTEGRATION = Path(__file__).parents[1] / "custom_components" / "dc_meter"

# The package by another name and without its __init__, which needs Home Assistant.
package = ModuleType("dc_meter")
package.__path__ = [str(INTEGRATION)]
sys.modules[package.__name__] = package

metering = import_module("dc_meter.metering.__main__")
archives = import_module("dc_meter.archive")


def link(text: str) -> Any:
    """Read NUMBER:HASH, as a response or an export names the record it was kept as."""
    number, _, digest = "".join(text.split()).partition(":")
    if not digest:
        raise ValueError(text)
    return archives.Link(number=int(number), hash=digest)


def check_archive(path: Path, links: list[Any], *, as_json: bool) -> int:
    """Walk an archive's chain, changing nothing.

    0 when every record fits and those of ``links`` are there, 1 when not.
    """
    # What nobody has open is read without leaving anything beside it, also on a read-only disk.
    in_use = Path(f"{path}-wal").exists()
    way = "mode=ro" if in_use else "mode=ro&immutable=1"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)
        ) as connection:
            archive = archives.Archive(path, connection, connection)
            broken = archive.check_chain()
            missing = [link.number for link in links if not archive.has(link)]
            (records,) = connection.execute("SELECT count(*) FROM record").fetchone()
    except (archives.ArchiveError, sqlite3.Error, OSError, ValueError) as err:
        return int(metering.refuse(f"{path}: {err}", as_json=as_json))
    if as_json:
        answer = {
            "records": records,
            "first_that_does_not_fit": broken,
            "missing": missing,
        }
        print(json.dumps(answer))
    else:
        if broken is None:
            print(f"INTACT: each of {records} records fits the one before")
        else:
            print(
                f"BROKEN: record {broken} is the first of {records} that does not fit"
            )
        for number in missing:
            print(f"MISSING: record {number} is not there as it was written")
    return 1 if missing or broken is not None else 0


def main() -> int:
    """Do what the command line asks for."""
    parser = metering.argument_parser()
    parser.add_argument(
        "--archive",
        action="store_true",
        help="FILE is an archive (receipts.db): check that its records form a chain",
    )
    parser.add_argument(
        "--record",
        metavar="NUMBER:HASH",
        type=link,
        action="append",
        default=[],
        help="a record that must be in the archive, as a response or an export names it",
    )
    options = parser.parse_args()
    if options.record and not options.archive:
        parser.error("--record needs --archive")
    if options.archive:
        return check_archive(options.file, options.record, as_json=options.json)
    return int(metering.run(options))


metering.make_output_safe()
sys.exit(main())
