"""What is ended at random moments, by name."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Final

from dask_cluster import dask_cluster

from tests.kills import files
from tests.kills.command import STATUSES, Command, troubles
from tests.kills.recording import recorded_troubles

#: Ends something once, at a moment that is drawn: what was done, and what is wrong.
Kill = Callable[[Random], tuple[str, list[str]]]

#: A search that takes some seconds.
SIZE: Final = "-m sim size --slo p95=250ms --rate 40 --json"

#: One that takes a second.
SHORT_SIZE: Final = "-m sim size --slo p95=250ms --rate 40 --over threads=2..5 --workers 2 --json"

COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "sweep": Command(
            "-m sim sweep --over workers=1..4 --over threads=1..3 --requests 400 --replications 4 "
            "--jobs 2 --json --resume FILE",
            3.0,
            files.trials,
            resumes=True,
        ),
        "size": Command(f"{SIZE} --jobs 2 --resume FILE", 4.0, files.trials, resumes=True),
        # Without a fork server, whose socket would have too long a path.
        "spawn": Command(
            f"{SHORT_SIZE} --jobs 2 --resume FILE",
            4.0,
            files.trials,
            resumes=True,
            temporary="t" * 100,
        ),
        # Too short to come to its end, which would change this clone.
        "compile": Command("-m sim compile", 10.0, lambda _: ""),
        "save": Command(
            "-m sim --workers 2 --requests 20000 --replications 1 --save FILE", 2.0, files.runs
        ),
        "measure": Command(
            "-m reference_app measure --workers 2 --threads 2 --requests 100 --replications 1 "
            "--save FILE",
            5.0,
            files.runs,
        ),
        "launchdarkly": Command(
            "-m reference_app measure --workers 2 --preload --launchdarkly --requests 100 "
            "--replications 1 --save FILE",
            6.0,
            files.runs,
        ),
        "validate": Command(
            "tests/kills/small_validation_run.py FILE", 8.0, files.validation, resumes=True
        ),
    }
)


def _ended(command: Command, random: Random) -> tuple[str, list[str]]:
    number, seconds = random.choice([*STATUSES]), random.uniform(0.0, command.longest)
    return f"{number.name} after {seconds:.2f} s", troubles(command, number, seconds)


@contextmanager
def _on_cluster() -> Iterator[Kill]:
    """A search on a Dask cluster that outlives it: what it began must not hold up the next."""
    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        dask_cluster(Path(folder)) as cluster,
    ):
        words = f"{SHORT_SIZE} --dask {cluster.address} --resume FILE"
        yield partial(_ended, Command(words, 5.0, files.trials, resumes=True))


def _each(kill: Kill) -> Callable[[], AbstractContextManager[Kill]]:
    """Of what needs nothing beside it."""
    return lambda: nullcontext(kill)


#: Each for a block in which it can be ended any number of times.
SUBJECTS: Final[Mapping[str, Callable[[], AbstractContextManager[Kill]]]] = MappingProxyType(
    {
        **{name: _each(partial(_ended, command)) for name, command in COMMANDS.items()},
        "dask": _on_cluster,
        "record": _each(partial(recorded_troubles, longest=1.5)),
    }
)
