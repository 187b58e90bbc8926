"""The text report of `check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from sim.reports.number_text import count
from sim.reports.prose import PROSE_WIDTH, print_assumptions, print_prose, print_remarks
from sim.study.check.finding import Finding
from sim.study.check.linting import TWICE, Linting
from sim.study.check.rule import LEVELS, Level
from sim.study.formatting import traffic
from sim.study.headroom import Headroom

STYLES: dict[Level, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold"}

#: Where the pages of findings are.
SITE = "site_docs/pages"


def print_findings(
    console: Console,
    lint: Linting,
    findings: Sequence[Finding],
    room: Headroom | None,
    notices: Sequence[str] = (),
) -> None:
    """Print a sentence, every finding with its effect, the headroom and the notices."""
    print_assumptions(console, notices)
    experiment = lint.subject.experiment
    print_prose(console, summary(findings), "bold")
    print_prose(
        console,
        f"Gunicorn {experiment.server.gunicorn}; {traffic(experiment)}; {lint.replications} "
        "replications of each prediction.",
        "dim",
    )
    for finding in findings:
        console.print()
        print_prose(
            console,
            f"{finding.level}: {finding.setting}: {finding.what}",
            STYLES[finding.level],
        )
        for label, text in (
            ("Effect", finding.effect),
            ("Set", finding.mend),
            ("See", see(finding)),
        ):
            if text:
                line = Text(f"{label}: {text}")
                console.print(Padding(line, (0, 0, 0, 2)), width=min(console.width, PROSE_WIDTH))
    if room is not None:
        console.print()
        print_prose(console, headroom_sentence(room))
    print_remarks(console, (), notices)


def summary(findings: Sequence[Finding]) -> str:
    """How many findings of which level, in a sentence."""
    if not findings:
        return "No findings."
    counts = Counter(finding.level for finding in findings)
    parts = [count(counts[level], level) for level in LEVELS if counts[level]]
    return f"{', '.join(parts)}."


def see(finding: Finding) -> str:
    """The page of a finding, and its rule."""
    return f"{finding.page} ({finding.rule})"


def headroom_sentence(room: Headroom) -> str:
    """How much more traffic the service takes."""
    what = {
        "rate": "{:g} requests/s",
        "users": "{:g} users",
        "pace": "{:g} times the pace of the trace",
    }[room.load]
    times = room.holds / room.requested
    if room.breaks is None and room.done:
        return f"Headroom: it holds at {what.format(room.holds)}, the most that was tried."
    if times <= 1:
        return (
            f"Headroom: none. A little more load, and the 99th percentile of the latency is more "
            f"than {TWICE:g} times today's."
        )
    return (
        f"Headroom: up to {what.format(room.holds)} ({times:.2f} times today's load) the 99th "
        f"percentile of the latency stays below {TWICE:g} times today's, and no request is lost."
    )
