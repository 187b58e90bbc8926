"""A command line of Gunicorn's, as people paste it: ``exec gunicorn -w 4 main:app``.

Its flags are ours too. Here is the rest: the words that start Gunicorn, and the application.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from sim.errors import ExperimentError

#: Attribute of the parsed flags that holds the `Pasted`, for commands that take one.
PASTED = "pasted"

_GUNICORN_MODULES = frozenset({"gunicorn", "gunicorn.__main__", "gunicorn.app.wsgiapp"})
_PYTHON = re.compile(r"(python|pypy)[\d.]*")
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_ASSIGNMENT = re.compile(r"[^\W\d]\w*=")


class Pasted(NamedTuple):
    """What a pasted command line has besides flags.

    Attributes:
        application: as Gunicorn takes it, such as ``main:app``; None without one.
    """

    application: str | None


def without_interpreter(arguments: Sequence[str]) -> list[str]:
    """The ``words``, with ``gunicorn`` for each ``python -m gunicorn`` and ``-- gunicorn``.

    To argparse, ``-m`` is Gunicorn's ``--umask``, and no flag follows ``--``.
    """
    rest: list[str] = []
    position = 0
    while position < len(arguments):
        end = position + 1
        if _PYTHON.fullmatch(PurePath(arguments[position]).name):
            while (
                end < len(arguments) and arguments[end].startswith("-") and arguments[end] != "-m"
            ):
                end += 1
            option, module = (*arguments[end : end + 2], "", "")[:2]
            if option == "-m" and module in _GUNICORN_MODULES:
                rest.append("gunicorn")
                position = end + 2
                continue
        elif (
            arguments[position] == "--" and end < len(arguments) and starts_gunicorn(arguments[end])
        ):
            position = end
            continue
        rest.append(arguments[position])
        position += 1
    return rest


def read(arguments: Sequence[str], commands: Sequence[str]) -> Pasted:
    """Read the words that are neither flags nor values of flags.

    Args:
        arguments: in their order, at least one.
        commands: names that may have been meant.

    Raises:
        ExperimentError: when they are no command that starts Gunicorn, and no application.
    """
    start = next((index for index, word in enumerate(arguments) if starts_gunicorn(word)), None)
    launcher = () if start is None else arguments[:start]
    for word in launcher:
        if ":" in word:
            raise ExperimentError(
                f"{word!r} stands before gunicorn; expected the application after it"
            )
        if _ASSIGNMENT.match(word):
            raise ExperimentError(
                f"{word!r} stands before gunicorn, where it is not read; expected it before "
                "'python'"
            )
    for word in arguments if start is None else launcher:
        refuse_command(word, commands)
    applications = arguments if start is None else arguments[start + 1 :]
    if len(applications) > 1:
        raise ExperimentError(
            f"{' and '.join(map(repr, applications))} are given without a flag; expected one "
            "application, such as main:app"
        )
    if not applications:
        return Pasted(None)
    # A single name is an application only where it is clear that this is Gunicorn's command line.
    _check_application(applications[0], commands, alone=start is not None)
    return Pasted(applications[0])


def starts_gunicorn(word: str) -> bool:
    """Whether a word of a command line is Gunicorn's program."""
    return PurePath(word).name == "gunicorn"


def refuse_command(word: str, commands: Sequence[str]) -> None:
    """Refuse a ``word`` that is one of the ``commands``, or was meant to be.

    Raises:
        ExperimentError: naming the command.
    """
    if word in commands:
        raise ExperimentError(f"{word!r} is a command; expected it as the first word")
    close = difflib.get_close_matches(word, commands, n=1)
    if close and _MODULE.fullmatch(word) and "." not in word:
        raise ExperimentError(f"{word!r} is no command; did you mean {close[0]!r}?")


def _check_application(word: str, commands: Sequence[str], *, alone: bool) -> None:
    """Refuse a ``word`` that `gunicorn.util.import_app` would refuse to parse."""
    module, colon, callable_ = word.partition(":")
    known = f"; the commands are {', '.join(commands)}" if commands else ""
    if not _MODULE.fullmatch(module) or not (colon or "." in module or alone):
        raise ExperimentError(
            f"{word!r} is neither a flag nor an application; expected one such as main:app{known}"
        )
    if colon and not _is_reference(callable_):
        raise ExperimentError(
            f"application {word!r} has {callable_!r} after its colon; expected a name, or a call "
            "with literal arguments"
        )


def _is_reference(text: str) -> bool:
    try:
        expression = ast.parse(text, mode="eval").body
        if isinstance(expression, ast.Call):
            for argument in (*expression.args, *(word.value for word in expression.keywords)):
                ast.literal_eval(argument)
            expression = expression.func
    except (SyntaxError, ValueError):
        return False
    return isinstance(expression, ast.Name)
