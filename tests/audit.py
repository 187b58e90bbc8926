"""Audits the installed packages for known vulnerabilities: ``python -m tests.audit``.

It runs pip-audit, which asks the Python Packaging Advisory Database. One that does not concern us
is named in `ignored_vulnerabilities.toml`, with the reason and the day from which it fails the
audit like any other.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

#: The vulnerabilities that are ignored.
IGNORED: Final = Path(__file__).with_name("ignored_vulnerabilities.toml")

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


def main(arguments: Sequence[str]) -> int:
    """Audit; the exit status is pip-audit's, 1 for a vulnerability, or 2 for a bad entry."""
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
    command = [sys.executable, "-m", "pip_audit", "--skip-editable", *flags, *arguments]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
