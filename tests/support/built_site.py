"""The built site, where it is served, and a browser: what tests of pages share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import launched, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]

#: Where a site lies that is built already; set by ``.ci/run``.
BUILT = "BUILT_SITE"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the built site."""
    if BUILT in os.environ:
        return Path(os.environ[BUILT])
    directory = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    subprocess.run([*command, "--site-dir", str(directory)], cwd=ROOT, check=True, timeout=240)
    return directory


@pytest.fixture(scope="session")
def base(site: Path) -> Iterator[str]:
    """The URL of the site on a free port of this machine."""
    with served(site) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, the same for all tests of a module."""
    with launched() as browser:
        yield browser
