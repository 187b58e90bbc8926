"""Node ids of the tests that a ledger or a page names, as pytest collects them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def node_ids(named: Iterable[str]) -> frozenset[str]:
    """Node ids of all tests in the files of the ``named`` ones, with and without parameters."""
    files = sorted({test.partition("::")[0] for test in named})
    missing = [file for file in files if not (ROOT / file).exists()]
    assert missing == []
    printed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    nodes = {line for line in printed.splitlines() if "::" in line}
    return frozenset(nodes | {node.partition("[")[0] for node in nodes})
