"""Ask whether anything that is pinned here has a known vulnerability; say so when nobody can be asked."""

import json
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).parents[1]


def outcome(answer: str) -> tuple[int, str]:
    """Return an exit code and what there is to say, by what pip-audit has answered."""
    try:
        packages = json.loads(answer)["dependencies"]
    except ValueError:
        return (
            0,
            "pip-audit: the advisory service cannot be reached: nothing was audited",
        )
    vulnerable = [
        f"{package['name']} {package['version']}: {advisory['id']},"
        f" fixed in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for package in packages
        for advisory in package.get("vulns", ())
    ]
    if vulnerable:
        return 1, "\n".join(vulnerable)
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if len(unknown) == len(packages):
        return (
            0,
            "pip-audit: the advisory service knows no package: nothing was audited",
        )
    told = f"pip-audit: {len(packages) - len(unknown)} packages, no known vulnerability"
    return 0, told + (f"; not audited: {', '.join(unknown)}" if unknown else "")


def main() -> int:
    """Audit what the requirements name."""
    files = [
        word
        for file in sorted(ROOT.glob("requirements/*.txt"))
        for word in ("-r", file)
    ]
    asked = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--format", "json", *files),
            *("--no-deps", "--disable-pip", "--progress-spinner", "off"),
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    code, told = outcome(asked.stdout)
    print(told)
    return code


if __name__ == "__main__":
    sys.exit(main())
