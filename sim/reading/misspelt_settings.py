"""Names in a ``gunicorn.conf.py`` that look like settings and are none.

Gunicorn takes a name that it does not know for the file's own, without a word
(`gunicorn.app.base.Application.load_config_from_module_name_or_filename`). So ``preload = True``
does nothing: ``--preload`` is the flag of a setting that a file calls ``preload_app``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from sim.reading.release_settings import SINCE

#: How alike two names are that mean the same, by `difflib.SequenceMatcher.ratio`.
ALIKE = 0.85

#: Shortest flag, in characters, that stands for its setting: ``name`` and ``env`` are names that a
#: file may well have for itself.
SHORTEST = 7


class Misspelt(NamedTuple):
    """A name that is no setting, and the setting that it is like."""

    name: str
    meant: str

    @property
    def text(self) -> str:
        """A sentence about it."""
        return (
            f"{self.name} is no setting of Gunicorn's, which ignores it; the setting is "
            f"{self.meant}."
        )


def misspelt(values: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Misspelt, ...]:
    """The names of a file that look like settings which it does not set.

    Args:
        values: global names of the file.
        known: Gunicorn's settings by name, each a ``gunicorn.config.Setting``.
    """
    spellings = {name: name for name in known}
    for name, setting in known.items():
        for flag in setting.cli or ():
            plain = flag.lstrip("-").replace("-", "_")
            if len(plain) >= SHORTEST:
                spellings.setdefault(plain, name)
    settings = []
    for name, value in values.items():
        if name in known or name in SINCE or name.startswith("_"):
            continue
        if callable(value) or isinstance(value, ModuleType):
            continue
        for close in difflib.get_close_matches(name, spellings, n=1, cutoff=ALIKE):
            # A file that sets it too may have its own name for the value.
            if spellings[close] not in values:
                settings.append(Misspelt(name, spellings[close]))
    return tuple(settings)
