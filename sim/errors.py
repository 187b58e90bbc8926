"""The one exception that a user's input can raise."""

from __future__ import annotations

from typing import Final

#: Longest message, in characters; a longer one loses its middle, for it ends with what was
#: expected.
LONGEST: Final = 640

#: Characters that are kept of the end of a longer one.
_END: Final = 180


class ExperimentError(ValueError):
    """Input that cannot be understood or run.

    The message is one line that says what was found, where, and what was expected. The command
    line prints it and exits with status 2. Whatever the input holds, no terminal is given a control
    character of it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode() for each in line
        )
    if len(line) > LONGEST:
        line = f"{line[: LONGEST - _END - 5]} ... {line[-_END:]}"
    return line
