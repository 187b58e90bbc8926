"""``python -m sim`` and ``gunicorn-sim`` predict an experiment; see `sim.cli`."""

import gc
import sys

try:
    from sim.command import run_command
except KeyboardInterrupt:  # Ctrl-C is quiet from the first moment; 128 + SIGINT, as a shell has it.
    sys.exit(130)


def _main() -> None:
    # What is imported lives to the end. To look for garbage in it takes a tenth of the start.
    gc.disable()
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from sim.cli import main  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    main()


def run() -> int:
    """Do what the command line asks for, and return the exit status."""
    return run_command(_main)


if __name__ == "__main__":
    sys.exit(run())
