"""The Content-Security-Policy of the site's pages: they load nothing from another host.

The site's host may be one that sends no headers of ours, so each page has its policy in a ``meta``
element. That cannot bind a worker with an address of its own: the playground's begins from a
``blob:``, which has the policy of its page.

See https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from html import escape
from html.parser import HTMLParser
from types import MappingProxyType

from mkdocs.exceptions import PluginError

_SELF, _NONE = "'self'", "'none'"

#: What any page may do, by directive. The data are the theme's icons, in its style sheets; the
#: attributes are what Markdown writes into tables, and Matplotlib into charts.
EVERYWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "default-src": (_NONE,),
        "script-src": (_SELF,),
        "style-src": (_SELF,),
        "style-src-attr": ("'unsafe-inline'",),
        "img-src": (_SELF, "data:"),
        "connect-src": (_SELF,),
        "worker-src": (_SELF,),
        "base-uri": (_NONE,),
        "form-action": (_NONE,),
    }
)

#: What the playground does besides: Pyodide is WebAssembly, and its worker begins from a ``blob:``.
PLAYGROUND: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"script-src": ("'wasm-unsafe-eval'",), "worker-src": ("blob:",)}
)

#: The element that a page's policy is put behind: what comes before a policy is not bound by it.
_FIRST = '<meta charset="utf-8">'

#: Types of scripts that browsers run; any other is data.
_RUN = frozenset({"", "module", "text/javascript"})


class _InlineScripts(HTMLParser):
    """The text of each script that is in a page itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "script" and "src" not in values and (values.get("type") or "") in _RUN:
            self._inside = True
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "script":
            self._inside = False


def protect(page: str, *, playground: bool = False, any_inline: bool = False) -> str:
    """Put its policy into a page.

    Args:
        page: its HTML, as readers get it.
        playground: whether the playground is in it.
        any_inline: whether it may run scripts that are put into it later, as ``mkdocs serve`` does
            to reload pages. Otherwise the policy has the hash of each inline script that is there.

    Raises:
        PluginError: when the page does not begin as the theme's pages do.
    """
    if page.count(_FIRST) != 1:
        raise PluginError(f"a page has {page.count(_FIRST)} {_FIRST}; expected one")
    inline = ("'unsafe-inline'",) if any_inline else map(_hash, _InlineScripts(page).texts)
    allowed = {
        directive: (*sources, *(PLAYGROUND.get(directive, ()) if playground else ()))
        for directive, sources in EVERYWHERE.items()
    }
    allowed["script-src"] += tuple(dict.fromkeys(inline))
    content = escape(_policy(allowed), quote=False)
    element = f'<meta http-equiv="Content-Security-Policy" content="{content}">'
    return page.replace(_FIRST, f"{_FIRST}\n      {element}")


def _policy(allowed: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{directive} {' '.join(sources)}" for directive, sources in allowed.items())


def _hash(script: str) -> str:
    """The source expression that allows this script."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
