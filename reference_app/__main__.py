"""``python -m reference_app`` measures an experiment on real Gunicorn; see `reference_app.cli`."""

import sys

try:
    from sim.command import run_command
except KeyboardInterrupt:  # Ctrl-C is quiet from the first moment; 128 + SIGINT, as a shell has it.
    sys.exit(130)


def _main() -> None:
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from reference_app.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    sys.exit(run_command(_main))
