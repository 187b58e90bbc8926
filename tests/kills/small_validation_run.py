"""``validate`` of two small cells, as a command: the grid's own take a hundred times as long.

It prints how often each cell has been measured.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2])]

from sim.command import run_command, write_stdout  # noqa: E402 - it is there now

#: Numbers of the cells; how often each is measured, and predicted for each of these.
CELLS, REPEATS, VARIANTS = (1, 2), 2, 2


def _main() -> None:
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from small_validation import HOST, not_asked, small  # noqa: PLC0415

    from reference_app.validation.validate import header_of, run_cells  # noqa: PLC0415
    from sim.experiment.costs import Costs  # noqa: PLC0415
    from sim.study.replications import predictions  # noqa: PLC0415
    from sim.validation.rows import read  # noqa: PLC0415

    path = Path(sys.argv[1])
    run_cells(
        path,
        header_of(HOST, REPEATS, VARIANTS),
        CELLS,
        small,
        Costs(),
        not_asked,
        predictions,
        None,
        sys.stderr,
        noisy_again=False,
    )
    measured = Counter(measurement.cell for measurement in read(path)[1])
    write_stdout(f"{sorted(measured.items())}\n")


if __name__ == "__main__":
    sys.exit(run_command(_main))
