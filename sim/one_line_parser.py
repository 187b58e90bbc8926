"""A command line's parser that says in one line what it does not understand."""

from __future__ import annotations

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line on stderr, and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print ``error: message`` without the usage, and exit with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}\n")
