"""The Python that runs in the page, packed from this tree, and what the page knows before it runs.

Only Python is packed, as it is: the model in the page is the model of this commit. SimPy and the
part of Gunicorn that knows its settings come from where they are installed.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sim.experiment import WORKER_CLASSES, Experiment
from sim.experiment.document import to_dict
from sim.experiment.release import KNOWN, NEWEST
from sim.experiment.worker_class import TRAITS
from site_docs.playground import in_page

ROOT = Path(__file__).parents[2]

#: Packages of `sim` that the page never needs.
LEFT_OUT = frozenset({"validation", "schema", "html"})

#: What it needs of Gunicorn: its settings, with the checks and the defaults of each.
GUNICORN = ("__init__", "config", "errors", "reloader", "util", "workers/__init__")

#: The same date for every file of the archive, so that the same sources make the same bytes.
DATE = (1980, 1, 1, 0, 0, 0)


def archive() -> bytes:
    """A zip file of the sources, to be unpacked where Python looks for modules."""
    packed = io.BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED, compresslevel=9) as archive_:
        for name, content in sorted(_files()):
            entry = ZipInfo(name, DATE)
            entry.compress_type = ZIP_DEFLATED
            archive_.writestr(entry, content)
    return packed.getvalue()


def _files() -> Iterator[tuple[str, bytes]]:
    """Names in the archive, and contents."""
    for path in (ROOT / "sim").rglob("*"):
        parts = path.relative_to(ROOT / "sim").parts
        if path.suffix in {".py", ".toml"} and not LEFT_OUT & set(parts):
            yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    for path in (ROOT / "experiments").rglob("*.toml"):
        yield path.relative_to(ROOT).as_posix(), path.read_bytes()
    yield "in_page.py", Path(in_page.__file__).read_bytes()
    for package, modules in (("simpy", None), ("gunicorn", GUNICORN)):
        installed = distribution(package)
        for file in installed.files or ():
            name = file.as_posix()
            wanted = (
                modules is None or name.removeprefix(f"{package}/").removesuffix(".py") in modules
            )
            # The metadata say which release is installed.
            if (name.startswith(f"{package}/") and file.suffix == ".py" and wanted) or (
                file.name == "METADATA"
            ):
                yield name, file.read_binary()


def about() -> bytes:
    """As JSON: the flags, the defaults, the releases and the examples."""
    return json.dumps(
        {
            "flags": [*_flags()],
            "experiment": to_dict(Experiment()),
            "releases": [*reversed(KNOWN)],
            "worker_classes": {
                name: {
                    "event_loop": TRAITS[name].event_loop,
                    "asgi": TRAITS[name].asgi,
                    "limit": TRAITS[name].limit,
                }
                for name in WORKER_CLASSES
            },
            "newest": NEWEST,
            "examples": [*_examples()],
        }
    ).encode()


def _flags() -> Iterator[dict[str, Any]]:
    for action in in_page.parser()._actions:
        if action.option_strings:
            yield {
                "names": list(action.option_strings),
                "takes_value": action.nargs != 0,
                "choices": None if action.choices is None else list(action.choices),
                "help": None if action.help == argparse.SUPPRESS else action.help,
            }


def _examples() -> Iterator[dict[str, str]]:
    """Each experiment of the repository: its file, and the first sentence of its comment."""
    for path in sorted((ROOT / "experiments").rglob("*.toml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        comment = []
        for line in lines:
            if not line.startswith("#"):
                break
            comment.append(line.removeprefix("#").strip())
        name = path.relative_to(ROOT).as_posix()
        yield {"file": name, "about": " ".join(comment).partition(". ")[0].removesuffix(".")}
