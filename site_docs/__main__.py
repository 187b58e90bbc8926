"""``python -m site_docs`` measures what the pages show; see `site_docs.cli`."""

import sys

from sim.command import run_command


def _main() -> None:
    # Imported in here, so that Ctrl-C is quiet from the first moment.
    from site_docs.cli import main  # noqa: PLC0415

    main()


if __name__ == "__main__":
    sys.exit(run_command(_main))
