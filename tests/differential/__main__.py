"""``python -m tests.differential``: see `campaign`."""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]

# As pytest has it.
sys.path[:0] = [str(_TESTS / "support"), str(_TESTS / "swarm")]

from tests.differential.campaign import main  # noqa: E402 - it imports from there

if __name__ == "__main__":
    raise SystemExit(main())
