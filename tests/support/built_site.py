"""The built site, and where it is served: what tests of pages share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import served

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
