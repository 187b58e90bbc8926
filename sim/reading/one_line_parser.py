"""A command line's parser that says in one line what it does not understand."""

from __future__ import annotations

import argparse
import copy
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from sim.errors import ExperimentError
from sim.reading import pasted

_DEFAULT = re.compile(r" \[[^\[\]]*\]$")


class OneLineParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line on stderr, and exit status 2.

    ``--help`` fits a screen where there is more to show: see `shorten_help`; ``--help-all`` always
    shows all. A command whose defaults have `pasted.PASTED` also takes the words of a pasted
    command line.

    Args:
        commands: first words that the caller handles itself, and what each does: for the help and
            for hints.
        keywords: of `argparse.ArgumentParser`.
    """

    def __init__(
        self,
        *,
        commands: Sequence[str] | Mapping[str, str] = (),
        **keywords: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**{"formatter_class": _Formatter, **keywords})
        self._commands = tuple(commands)
        self._about = commands if isinstance(commands, Mapping) else {}
        self._short: dict[str, str | None] = {}
        self.add_argument("--help-all", action=_HelpAll, help=argparse.SUPPRESS)

    def shorten_help(self, common: Mapping[str, str]) -> None:
        """Let ``--help`` show the arguments so far and the ``common`` flags, not those to come.

        Args:
            common: what a flag does, in half a line, by the flag.
        """
        own = (
            (action.option_strings or [action.dest])[-1]
            for action in self._actions
            if action.help is not argparse.SUPPRESS and action.dest != "help"
        )
        own = (name for name in own if name not in common)
        self._short = {**dict.fromkeys(own), **common}

    def format_help(self) -> str:
        """What ``--help`` prints."""
        if not self._short:
            return super().format_help() if not self._about else self.format_help_all()
        formatter = self._begin()
        formatter.start_section("the flags that most people need")
        formatter.add_arguments(self._shortened())
        formatter.end_section()
        formatter.add_text(f"All flags: {self.prog} --help-all")
        return formatter.format_help()

    def format_help_all(self) -> str:
        """What ``--help-all`` prints: every flag, in its group."""
        if not self._short:
            return super().format_help()
        formatter = self._begin()
        for group in self._action_groups:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def _begin(self) -> argparse.HelpFormatter:
        """A formatter with what both begin with: usage, description and commands."""
        formatter = self._get_formatter()
        usage = [self.prog, *(["[COMMAND]"] if self._about else [])]
        for action in self._actions:
            if not action.option_strings:
                usage.append(str(action.metavar or action.dest))
            elif action.required:
                usage.append(f"{action.option_strings[-1]} {action.metavar}")
        formatter.add_usage(" ".join([*usage, "[FLAGS]"]), (), ())
        formatter.add_text(self.description)
        if self._about:
            formatter.start_section("commands, each with its own --help")
            for name, about in self._about.items():
                formatter.add_argument(argparse.Action([], name, help=about))
            formatter.end_section()
        return formatter

    def _shortened(self) -> Iterable[argparse.Action]:
        known = {
            name: action
            for action in self._actions
            for name in action.option_strings or [action.dest]
        }
        for name, about in self._short.items():
            action = known.get(name)
            if action is None:
                continue
            if about is None:
                yield action
                continue
            shortened = copy.copy(action)
            shortened.option_strings = [name]
            # The default stands in brackets at the end of the whole text.
            default = _DEFAULT.search(action.help or "")
            shortened.help = about + (default.group() if default else "")
            yield shortened

    def error(self, message: str) -> NoReturn:
        """Print ``error: message`` without the usage, and exit with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}\n")

    def parse_args(  # type: ignore[override]  # nobody here brings a namespace of another type
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse flags, and the words beside them that a pasted command line has."""
        given = pasted.without_interpreter(sys.argv[1:] if args is None else args)
        parsed, unrecognized = self.parse_known_args(given, namespace)
        if not unrecognized:
            return parsed
        try:
            flag = next((i for i, word in enumerate(unrecognized) if word.startswith("-")), None)
            if flag is not None or not hasattr(parsed, pasted.PASTED):
                pasted.refuse_command(unrecognized[0], self._commands)
                # Before a flag, words may be a pasted command line's.
                self.error(f"unrecognized arguments: {' '.join(unrecognized[flag or 0 :])}")
            setattr(parsed, pasted.PASTED, pasted.read(unrecognized, self._commands))
        except ExperimentError as error:
            self.error(str(error))
        return parsed


class _Formatter(argparse.HelpFormatter):
    """Leaves most flags and their values on one line with what they do."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)


class _HelpAll(argparse.Action):
    """Prints all of the help, and ends the process."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:  # noqa: ARG002
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002
        values: object,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        assert isinstance(parser, OneLineParser), "no other adds it"
        sys.stdout.write(parser.format_help_all())
        parser.exit()


def said_by(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader whose errors argparse passes on as they are."""

    def read(text: str) -> Any:  # noqa: ANN401 - of the type that `parse` returns
        try:
            return parse(text)
        except ExperimentError as error:
            raise argparse.ArgumentError(None, str(error)) from None

    return read
