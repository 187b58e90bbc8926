"""What a source text imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def imports(source: str) -> Iterator[str]:
    """Every module that a source text imports, as far as its text can tell, dots included."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                package = "." * level + (module or "")
                yield package
                yield from (f"{package}.{alias.name}" for alias in names)
