"""The Content-Security-Policy of a page: what it lets run, and what not."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from mkdocs.exceptions import PluginError

from site_docs.rendering import policy

HEAD = '<html><head><meta charset="utf-8"><title>A page</title></head>'


def directives(page: str) -> dict[str, list[str]]:
    """The sources of each directive of a page's policy."""
    (text,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    return {name: sources for name, *sources in map(str.split, text.split(";"))}


def test_a_page_runs_its_own_scripts_and_no_other() -> None:
    script = 'var a = "é" && 1 < 2;'
    page = f'{HEAD}<script>{script}</script><script src="a.js"></script>'
    page += '<script type="application/json">{"a": 1}</script>'
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    protected = policy.protect(page)
    assert directives(protected)["script-src"] == ["'self'", f"'sha256-{digest}'"]
    # Nothing of the page comes before its policy, which would not bind it.
    assert protected.index("Content-Security-Policy") < protected.index("<title>")
    (element,) = re.findall(r"\n      <meta http-equiv=[^>]*>", protected)
    assert protected.replace(element, "") == page


def test_only_the_playground_runs_webassembly_and_a_worker_of_its_own() -> None:
    plain, playground = policy.protect(HEAD), policy.protect(HEAD, playground=True)
    assert "wasm" not in plain
    assert "blob:" not in plain
    assert directives(playground)["script-src"] == ["'self'", "'wasm-unsafe-eval'"]
    assert directives(playground)["worker-src"] == ["'self'", "blob:"]


def test_a_server_that_reloads_pages_may_put_its_script_in() -> None:
    served = directives(policy.protect(f"{HEAD}<script>a()</script>", any_inline=True))
    # A hash beside it would end what it allows.
    assert served["script-src"] == ["'self'", "'unsafe-inline'"]


@pytest.mark.parametrize("page", ["<html><head></head></html>", HEAD + HEAD])
def test_a_page_that_begins_otherwise_is_refused(page: str) -> None:
    with pytest.raises(PluginError, match="expected one"):
        policy.protect(page)
