"""Audits the installed packages for known vulnerabilities: ``python -m tests.audit``.

It runs pip-audit, which asks the Python Packaging Advisory Database. A vulnerability that does not
concern us is named in `ignored_vulnerabilities.toml`, with the reason and the day from which it
fails the audit like any other. A package of which nothing could be learnt fails the audit too:
pip-audit itself passes over it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

#: The vulnerabilities that are ignored.
IGNORED: Final = Path(__file__).with_name("ignored_vulnerabilities.toml")

#: The distribution that is audited itself, and is on no index.
OURS: Final = "gunicorn-sim"

#: For how long one may be ignored.
LONGEST: Final = timedelta(days=90)

#: What an entry has.
KEYS: Final = frozenset({"id", "reason", "until"})


@dataclass(frozen=True, slots=True)
class Ignored:
    """A vulnerability that is ignored for a while.

    Attributes:
        id: such as ``PYSEC-2026-1`` or ``GHSA-xxxx-xxxx-xxxx``.
        reason: why it does not concern us.
        until: the day from which it fails the audit again.
    """

    id: str
    reason: str
    until: date


def ignored(document: dict[str, Any], today: date) -> list[Ignored]:
    """The vulnerabilities that are ignored ``today``.

    Raises:
        ValueError: when an entry has no reason or no date, or one that is too far away.
    """
    entries = []
    for number, entry in enumerate(document.get("vulnerability", ()), start=1):
        if entry.keys() != KEYS or not str(entry["reason"]).strip():
            raise ValueError(f"entry {number} has {sorted(entry)}; expected {sorted(KEYS)}, filled")
        if type(entry["until"]) is not date or entry["until"] > today + LONGEST:
            raise ValueError(
                f"entry {number} is until {entry['until']}; expected a date within "
                f"{LONGEST.days} days"
            )
        entries.append(Ignored(**entry))
    return [entry for entry in entries if today < entry.until]


def findings(report: dict[str, Any]) -> list[str]:
    """What fails the audit, a line each, of pip-audit's document."""
    lines = []
    for package in report["dependencies"]:
        if package["name"] == OURS:
            continue
        if "skip_reason" in package:
            lines.append(f"{package['name']} was not audited: {package['skip_reason']}")
        for vulnerability in package.get("vulns", ()):
            fixed = ", ".join(vulnerability["fix_versions"]) or "no release"
            lines.append(
                f"{package['name']} {package['version']} has {vulnerability['id']}, which {fixed} "
                "mends"
            )
    return lines


def main() -> int:
    """Audit; the exit status is 1 for a finding, 2 for a bad entry or without an answer."""
    document = tomllib.loads(IGNORED.read_text(encoding="utf-8"))
    try:
        entries = ignored(document, datetime.now(UTC).date())
    except ValueError as error:
        sys.stderr.write(f"error: {IGNORED.name}: {error}\n")
        return 2
    for entry in entries:
        sys.stdout.write(f"ignored until {entry.until}: {entry.id}: {entry.reason}\n")
    sys.stdout.flush()
    flags = [word for entry in entries for word in ("--ignore-vuln", entry.id)]
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", "--format", "json", *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    try:
        found = findings(json.loads(done.stdout))
    except ValueError:
        sys.stderr.write(f"error: pip-audit ended with status {done.returncode} and no report\n")
        return 2
    sys.stdout.writelines(f"{line}\n" for line in (*found, f"{len(found)} findings"))
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
