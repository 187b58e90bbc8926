"""The command line that makes a result again, ready for a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from sim.command import called

#: Variables that Gunicorn reads, and so an experiment.
READ = ("GUNICORN_CMD_ARGS", "WEB_CONCURRENCY")


def command_line(package: str, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command, with each word quoted as a POSIX shell needs it.

    Args:
        package: whose command line it was.
        arguments: of that command line.
        environment: of the process; what an experiment reads of it comes first.
    """
    words = [f"{name}={quoted(environment[name])}" for name in READ if environment.get(name)]
    return " ".join([*words, called(package), *map(quoted, arguments)])


def quoted(word: str) -> str:
    """One word of a command line.

    What cannot be printed, or is no UTF-8, stands as bytes in the quotes of POSIX.1-2024
    (``$'...'``), which bash and zsh know too.
    """
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
