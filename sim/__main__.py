"""``python -m sim`` predicts an experiment; see `sim.cli`."""

import sys

from sim.command import run_command


def _main() -> None:
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from sim.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    sys.exit(run_command(_main))
