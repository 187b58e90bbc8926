"""``python -m tests.swarm``: see `hunt`."""

from __future__ import annotations

import sys
from pathlib import Path

# As pytest has it.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from hunt import main  # noqa: E402 - it is there now

if __name__ == "__main__":
    raise SystemExit(main())
