"""What mypyc is told of a class: `mypy_extensions.mypyc_attr`, a package for the compiler only.

It is not compiled, for it has to be there for compiled and interpreted code alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr
else:

    def mypyc_attr(**_):  # noqa: ANN003, ANN201
        """Do nothing: interpreted, a class is what it is."""
        return lambda cls: cls
