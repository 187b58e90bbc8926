"""``python -m tests.fuzz``: see `campaign`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# As pytest has it.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "support")]

from sim.compiled import INTERPRETED  # noqa: E402 - it is there now

# Compiled modules tell neither their lines nor their branches.
os.environ[INTERPRETED] = "1"

from campaign import main  # noqa: E402 - as above

if __name__ == "__main__":
    raise SystemExit(main())
