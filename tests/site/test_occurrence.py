"""On which releases the field cases occur."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.experiment.release import NEWEST
from site_docs.rendering import occurrence
from site_docs.rendering.occurrence import BY_NAME, CASES, RELEASES
from site_docs.runs.page_experiments import FAQ_RELEASE

PAGE = Path(__file__).parents[2] / "site_docs" / "pages" / "field-cases.md"

#: Cases that do not occur on every one of `RELEASES`: those on which they do, and why.
ONLY = {
    # A worker that has reached max_requests sends no heartbeat there while it finishes.
    "long-requests-1": (RELEASES[0], FAQ_RELEASE),
    # Up to 23 reuse_port is one socket, which the other workers serve on.
    "retiring-worker-1": (NEWEST,),
}


@pytest.mark.parametrize("name", BY_NAME)
def test_on_which_releases_a_case_occurs(name: str) -> None:
    found = tuple(release for release in RELEASES if occurrence.occurs(name, release))
    assert found == ONLY.get(name, RELEASES)


def test_every_case_of_the_page_is_there() -> None:
    headings = {
        line.removeprefix("## ")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("## ")
    }
    others = {"Can I see how many wait?", "On which releases"}
    assert {case.heading for case in CASES} == headings - others
