"""The page of one prediction: that of its summary, and what its neighbours do."""

from __future__ import annotations

from collections.abc import Sequence

from sim.analysis.summary import Summary
from sim.reports.html.page import Page
from sim.reports.html.portrait import Portrait
from sim.reports.html.summary_page import help_blocks, summary_page
from sim.study.neighbours import Neighbours
from sim.study.neighbours_page import neighbours_section


def prediction_page(
    neighbours: Neighbours,
    summary: Summary,
    portrait: Portrait,
    notices: Sequence[str],
    command: str,
) -> Page:
    """The page of a prediction.

    Args:
        neighbours: neighbours of what was predicted.
        summary: of its replications; the JSON document is made of it.
        portrait: of the same.
        notices: sentences about the experiment.
        command: that makes the page again.
    """
    section = neighbours_section(help_blocks(summary), neighbours)
    return summary_page(summary, portrait, notices, command, section)
