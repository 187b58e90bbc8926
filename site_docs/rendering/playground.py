"""The playground in its page: the script that starts it, or a notice that its files are missing."""

from __future__ import annotations

import logging
import os
import shlex
from html import escape
from pathlib import Path

from mkdocs.exceptions import PluginError
from mkdocs.utils import get_relative_url

from site_docs.playground import assets
from site_docs.playground.address import address

log = logging.getLogger("mkdocs.hooks.playground")

#: Where it goes, in the page.
_PLACE = '<div data-playground=""></div>'

#: What the playground's script looks for.
_ROOT = '<div id="pg" class="playground"></div>'

_MOUNT = """<link rel="stylesheet" href="../{folder}/style.css">
{root}
<noscript><p>The playground runs the model in your browser, and needs JavaScript.</p></noscript>
<script type="module" src="../{folder}/page.js"></script>"""

_NOTICE = """<div class="admonition warning" id="playground-missing">
<p class="admonition-title">The playground is not part of this build</p>
<p>Its files could not be fetched when this site was built: {why}. Build the site again with a
connection to npm's registry; later builds need none. Until then <code>python -m sim</code> predicts
the same on the command line.</p>
</div>"""


def play(arguments: str, label: str, against: str | None = None) -> str:
    """A link that opens an experiment in the playground.

    Args:
        arguments: what a reader writes behind ``python -m sim``.
        label: of the link, as HTML.
        against: the arguments of an experiment to compare it with.
    """
    sides = [shlex.split(each) for each in (arguments, against) if each is not None]
    return f'<a href="{escape(address(*sides))}" data-root>{label}</a>'


_why_missing: list[str] = []


def files() -> dict[str, bytes | Path]:
    """The playground's files by their path in the site; none where they could not be had.

    Raises:
        PluginError: when they are missing in CI, where they must not be.
    """
    _why_missing.clear()
    try:
        return assets.collect()
    except (assets.AssetsError, OSError) as error:  # The second: a checkout that is read-only.
        if os.environ.get("CI"):
            raise PluginError(f"the playground: {error}") from None
        # No warning, which would end a strict build: all other pages are whole.
        log.info("The site is built without its playground: %s", error)
        _why_missing.append(str(error))
        return {}


def let_move(output: str, url: str) -> str:
    """Add the script that lets a page's pictures move; without it they are charts of a moment."""
    if _why_missing:
        return output
    script = get_relative_url(f"{assets.SITE}/place.js", url)
    return output.replace("</body>", f'<script type="module" src="{script}"></script></body>')


def mount(output: str) -> str:
    """Put the playground, or the notice, into a page that has a place for it."""
    if _PLACE not in output:
        return output
    if _why_missing:
        return output.replace(_PLACE, _NOTICE.format(why=escape(_why_missing[0])))
    return output.replace(_PLACE, _MOUNT.format(folder=assets.SITE, root=_ROOT))


def is_in(output: str) -> bool:
    """Whether the playground is in a page."""
    return _ROOT in output
