"""The page on upgrading: every change has its advice, every output is that of its command."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from sim.errors import ExperimentError
from sim.experiment.release import BEHAVIOURS, KNOWN
from site_docs.rendering import upgrading
from site_docs.rendering.upgrading import ADVICE, STEPS, TOLLS

PAGE = Path(__file__).parents[2] / "site_docs" / "pages" / "upgrading.md"
TEXT = PAGE.read_text(encoding="utf-8")
PRINTED = re.findall(r'upgrading\.printed\("(.+?)"\)', TEXT)


def test_every_change_of_a_behaviour_has_advice() -> None:
    changes = {name: len(begun) - 1 for name, begun in BEHAVIOURS.items()}
    assert {name: len(advice) for name, advice in ADVICE.items()} == changes
    assert all(text for advice in ADVICE.values() for text in advice)


def test_steps_are_releases_in_order_and_have_every_change() -> None:
    places = [KNOWN.index(step) for step in STEPS]
    assert places == sorted(places)
    assert (STEPS[0], STEPS[-1]) == (KNOWN[0], KNOWN[-1])
    text = upgrading.steps()
    assert text.count("\n### ") + 1 == len(list(pairwise(STEPS)))
    assert sum(line.startswith(("| `", "| master")) for line in text.splitlines()) == sum(
        map(len, ADVICE.values())
    )


def test_settings_that_come_and_go_are_those_of_the_step() -> None:
    before, after = upgrading.steps().split("### 23.0.0 to 24.1.1")
    assert "`forwarder_headers`" in before
    assert "`enable_backlog_metric`" in after
    # It came with 22.0.0 and went with 23.0.0: neither 21.2.0 nor 23.0.0 knows it.
    assert "tolerate_dangerous_framing" not in before + after


@pytest.mark.parametrize("command", PRINTED)
def test_what_a_command_prints_is_below_it(command: str) -> None:
    """`test_examples` runs the same command; what the page shows is what it prints."""
    assert f"$ {command}\n" in TEXT
    printed = upgrading.printed(command)
    assert printed.startswith("``` text\n")
    for release in re.findall(r"--gunicorn (\S+)", command):
        assert f"Gunicorn {release}" in " ".join(printed.split())


def test_there_are_commands() -> None:
    assert len(PRINTED) == 2


def test_a_command_that_fails_is_no_page() -> None:
    with pytest.raises(ExperimentError, match="failed: error: "):
        upgrading.printed("python -m sim compare --gunicorn 1.0")
    with pytest.raises(ExperimentError, match="expected a command that begins with python"):
        upgrading.printed("rm -r x")


@pytest.mark.parametrize("name", TOLLS)
def test_predicted_and_measured_tolls_agree(name: str) -> None:
    for release in upgrading.MEASURED:
        measured = upgrading.measured_lost(name, release)
        assert measured is not None
        assert abs(upgrading.lost(name, release) - measured) <= 2 + 0.1 * measured
