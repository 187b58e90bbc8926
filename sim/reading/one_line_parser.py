"""A command line's parser that says in one line what it does not understand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from sim.errors import ExperimentError
from sim.reading import pasted


class OneLineParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line on stderr, and exit status 2.

    A command whose defaults have `pasted.PASTED` also takes the words of a pasted command line.

    Args:
        commands: first words that the caller handles itself, for hints.
        keywords: of `argparse.ArgumentParser`.
    """

    def __init__(self, *, commands: Sequence[str] = (), **keywords: Any) -> None:  # noqa: ANN401
        super().__init__(**keywords)
        self._commands = tuple(commands)

    def error(self, message: str) -> NoReturn:
        """Print ``error: message`` without the usage, and exit with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}\n")

    def parse_args(  # type: ignore[override]  # nobody here brings a namespace of another type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse flags, and the words beside them that a pasted command line has."""
        given = pasted.without_interpreter(sys.argv[1:] if args is None else args)
        parsed, words = self.parse_known_args(given, namespace)
        if not words:
            return parsed
        try:
            flag = next((i for i, word in enumerate(words) if word.startswith("-")), None)
            if flag is not None or not hasattr(parsed, pasted.PASTED):
                pasted.refuse_command(words[0], self._commands)
                # Before a flag, words may be a pasted command line's.
                self.error(f"unrecognized arguments: {' '.join(words[flag or 0 :])}")
            setattr(parsed, pasted.PASTED, pasted.read(words, self._commands))
        except ExperimentError as error:
            self.error(str(error))
        return parsed
