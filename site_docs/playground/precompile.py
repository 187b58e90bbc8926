"""Compiles the page's Python beforehand: run by ``precompile.ts``, on Pyodide, in Node.

Pyodide brings Python's standard library as sources, and compiles what is imported whenever a page
begins, which takes longer than all else. So do our own sources. Only the Python that will run it
can compile it: bytecode is of one release.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Container
from pathlib import Path
from py_compile import PycInvalidationMode
from py_compile import compile as compile_file
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

#: Where Pyodide mounts the standard library.
LIBRARY = f"/lib/python{sys.version_info[0]}{sys.version_info[1]}.zip"


#: Beginnings of the library's names that nothing in a page comes to: tests, debuggers, terminals,
#: servers, protocols and formats of others, processes, and what C modules do here.
LEFT_OUT = (
    *("_pydatetime", "_pydecimal", "_pyio", "_pyrepl/", "bdb", "cmd", "compileall", "ctypes/"),
    *("doctest", "encodings/", "ftplib", "http/server", "imaplib", "mailbox", "modulefinder"),
    *("multiprocessing/", "optparse", "pdb", "pickletools", "plistlib", "poplib", "profile"),
    *("pstats", "pydoc", "smtplib", "socketserver", "sqlite3/", "tarfile", "trace.", "unittest/"),
    *("wave", "wsgiref/", "xml/", "xmlrpc/"),
)

#: Of those, what a file that a reader gives may need.
KEPT = tuple(f"encodings/{name}" for name in ("ascii", "cp1252", "latin_1", "utf_8", "utf_16"))


def compiled(packed: bytes, folder: str, only: Container[str] | None = None) -> bytes:
    """The zip file with bytecode in place of each source.

    Args:
        packed: a zip file of sources.
        folder: where they will be, for tracebacks.
        only: names of the sources to compile; all, if None. Of the others those that begin with
            `LEFT_OUT` are left out, and the rest stays as it is.
    """
    out = io.BytesIO()
    with ZipFile(io.BytesIO(packed)) as source, ZipFile(out, "w", ZIP_DEFLATED) as target:
        for info in source.infolist():
            content, name = source.read(info), info.filename
            if name.endswith(".py") and (only is None or name in only):
                content = bytecode(content, f"{folder}/{name}")
                name += "c"
            elif name.startswith(LEFT_OUT) and not name.startswith(KEPT):
                continue
            entry = ZipInfo(name, info.date_time)
            entry.compress_type = ZIP_DEFLATED
            target.writestr(entry, content)
    return out.getvalue()


def bytecode(source: bytes, file: str) -> bytes:
    """What a ``.pyc`` file of the source has; ``file`` is named in tracebacks."""
    with TemporaryDirectory() as directory:
        path, target = Path(directory, "source.py"), Path(directory, "source.pyc")
        path.write_bytes(source)
        # Not checked against the source, which is not beside it.
        mode = PycInvalidationMode.UNCHECKED_HASH
        compile_file(str(path), str(target), file, doraise=True, invalidation_mode=mode)
        return target.read_bytes()


def library(packed: bytes) -> bytes:
    """The standard library, in which the modules that are loaded by now are compiled."""
    files = (getattr(module, "__file__", None) or "" for module in [*sys.modules.values()])
    loaded = {file.removeprefix(f"{LIBRARY}/") for file in files if file.startswith(f"{LIBRARY}/")}
    return compiled(packed, LIBRARY, loaded)
