"""Routes of an access log: its paths, with what names one thing only folded.

``/users/17/orders/9f1c2ab4`` and ``/users/4/orders/00aa12ff`` are both ``/users/:id/orders/:id``.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from functools import lru_cache
from urllib.parse import quote

from sim.experiment.route import MAX_NAME

#: What stands for a folded part of a path.
ID = ":id"

#: The route of all requests whose path is not among the most frequent.
OTHER = "(other)"

#: Most frequent paths that are routes of their own.
MOST = 20

#: Different paths that are counted; a log with more has most of them once.
MAX_PATHS = 100_000

#: Parts of a path that are an id: numbers, dates and addresses, UUIDs, hexadecimal digests, and
#: long mixtures of letters and digits, as ULIDs and object ids are.
_ID = re.compile(
    r"\d[\d.,:_-]*"
    r"|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=[^\d]*\d)[0-9a-fA-F]{8,}"
    r"|(?=[^\d]*\d)[0-9A-Za-z_]{12,}"
)


@lru_cache(maxsize=65_536)
def folded(path: str) -> str:
    """The route of a path: a name without blanks, its ids folded."""
    parts = (ID if _ID.fullmatch(part) else part for part in path.split("/"))
    route = "/".join(parts)
    if not route.isprintable() or " " in route:
        route = quote(route, safe="/:%")
    return route[:MAX_NAME] or "/"


class LogRoutes:
    """The route of each request, as they are read."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._of_requests = array("l")

    def add(self, path: str) -> None:
        """Count a request of a ``path`` without its query."""
        codes, route = self._codes, folded(path)
        code = codes.get(route, -1)
        if code < 0 and len(codes) < MAX_PATHS:
            code = codes[route] = len(codes)
        self._of_requests.append(code)

    def names(self) -> list[str]:
        """The route of each request: its path, where that is among the most frequent."""
        paths = [*self._codes]
        counts = Counter(self._of_requests)
        del counts[-1]
        frequent = {code: paths[code] for code, _ in counts.most_common(MOST)}
        return [frequent.get(code, OTHER) for code in self._of_requests]

    def notice(self, names: list[str]) -> str:
        """A sentence about how requests were grouped, given their `names`."""
        others = names.count(OTHER)
        paths = len(self._codes)
        text = f"requests are grouped by path, ids folded to {ID}: {min(paths, MOST)} routes"
        if others:
            share = others / len(names)
            more = f"{paths - MOST:,}" if paths < MAX_PATHS else f"over {paths - MOST:,}"
            text += f", and {OTHER} for {more} paths with {share:.1%} of the requests"
        return text
