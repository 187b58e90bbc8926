"""``python -m tests.mutation``: see `campaign`."""

from __future__ import annotations

import os

# A mutated source is not the one that was compiled, and the compiler drops assertions.
os.environ["GUNICORN_SIM_INTERPRETED"] = "1"

from tests.mutation.campaign import main

if __name__ == "__main__":
    raise SystemExit(main())
