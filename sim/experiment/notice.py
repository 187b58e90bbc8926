"""Notices: sentences that go with a result."""

from __future__ import annotations


class Assumption(str):
    """A notice of an assumption that every number of a result depends on.

    Reports print it before the result, and other notices after it.
    """

    __slots__ = ()
