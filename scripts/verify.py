"""Check receipts, or the chain of an archive, without Home Assistant."""

from contextlib import closing
from importlib import import_module
import json
from pathlib import Path
import sqlite3
import sys
from types import ModuleType

INTEGRATION = Path(__file__).parents[1] / "custom_components" / "dc_meter"

# The package by another name and without its __init__, which needs Home Assistant.
package = ModuleType("dc_meter")
package.__path__ = [str(INTEGRATION)]
sys.modules[package.__name__] = package

metering = import_module("dc_meter.metering.__main__")
archives = import_module("dc_meter.archive")


def check_archive(path: Path, *, as_json: bool) -> int:
    """Walk an archive's chain, changing nothing; 0 when every record fits, 1 when one does not."""
    # What nobody has open is read without leaving anything beside it, also on a read-only disk.
    in_use = Path(f"{path}-wal").exists()
    way = "mode=ro" if in_use else "mode=ro&immutable=1"
    try:
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?{way}", uri=True)
        ) as connection:
            broken = archives.Archive(connection).check_chain()
            (records,) = connection.execute("SELECT count(*) FROM record").fetchone()
    except (archives.ArchiveError, sqlite3.Error, OSError, ValueError) as err:
        return int(metering.refuse(f"{path}: {err}", as_json=as_json))
    if as_json:
        print(json.dumps({"records": records, "first_that_does_not_fit": broken}))
    elif broken is None:
        print(f"INTACT: each of {records} records fits the one before")
    else:
        print(f"BROKEN: record {broken} is the first of {records} that does not fit")
    return 0 if broken is None else 1


def main() -> int:
    """Do what the command line asks for."""
    parser = metering.argument_parser()
    parser.add_argument(
        "--archive",
        action="store_true",
        help="FILE is an archive (receipts.db): check that its records form a chain",
    )
    options = parser.parse_args()
    if options.archive:
        return check_archive(options.file, as_json=options.json)
    return int(metering.run(options))


metering.make_output_safe()
sys.exit(main())
