"""``python -m tests.kills``: see `campaign`."""

from __future__ import annotations

import sys
from pathlib import Path

# As pytest has it.
sys.path[:0] = [str(Path(__file__).parents[1] / "support")]

from tests.kills.campaign import main  # noqa: E402 - it imports from there

if __name__ == "__main__":
    raise SystemExit(main())
