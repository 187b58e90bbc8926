"""``python -m sim`` and ``gunicorn-sim`` predict an experiment; see `sim.cli`."""

import sys

from sim.command import run_command


def _main() -> None:
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from sim.cli import main  # noqa: PLC0415

    main()


def run() -> int:
    """Do what the command line asks for, and return the exit status."""
    return run_command(_main)


if __name__ == "__main__":
    sys.exit(run())
