"""The text report of `compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from sim.analysis.estimate import Estimate
from sim.reports.number_text import count
from sim.reports.prose import print_assumptions, print_prose, print_remarks, print_table
from sim.study.compare import Contrast, verdict
from sim.study.formatting import NONE, half_width_of, heading, number, value_of
from sim.study.observation import unit_of
from sim.study.troubles import STOP
from sim.study.upgrade import Cost, Upgrade

FINDINGS = {
    "lower": "B is lower",
    "higher": "B is higher",
    "same": "the same",
    "not shown": "no significant difference",
    None: NONE,
}


#: What each of `sim.study.troubles.TROUBLES` is.
TROUBLES = {
    "reload": "a reload (SIGHUP)",
    STOP: "a stop (SIGTERM)",
    "hang": "a request hangs",
}

#: Headings of the columns that `cost_cells` fills, for each side.
COSTS = ("lost", "late", "threads back after")

#: What becomes of a server that is not to come back.
STOPPED = "stopped"


def print_contrasts(
    console: Console,
    names: Mapping[str, str],
    releases: Mapping[str, str],
    contrasts: Sequence[Contrast],
    replications: int,
    notices: Sequence[str] = (),
    upgrade: Upgrade | None = None,
) -> None:
    """Print the verdict and every measure, with ``notices`` at the end, but assumptions first."""
    print_assumptions(console, notices)
    print_prose(console, sentence(names, contrasts), "bold")
    print_prose(
        console,
        f"{conditions(names, releases)}; {replications} "
        "replications, in each of which both get the same requests.",
        "dim",
    )
    console.print()
    plus_minus = "+/-" if console.options.ascii_only else "±"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in ("A", "B", "B - A", f"{plus_minus} 95%"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for one in contrasts:
        table.add_row(
            heading(one.measure),
            value_of(one.a, one.measure),
            value_of(one.b, one.measure),
            NONE if one.less is None else number(one.less.value, one.measure),
            half_width_of(one.less, one.measure),
            FINDINGS[one.finding],
        )
    print_table(console, table)
    if upgrade is not None:
        _print_upgrade(console, upgrade)
    print_remarks(console, (), notices)


def _print_upgrade(console: Console, upgrade: Upgrade) -> None:
    """Print the share of the busiest worker, and what each trouble costs both sides."""
    shares = busiest(upgrade)
    if shares is not None:
        print_prose(console, shares)
        console.print()
    if not upgrade.troubled:
        return
    print_prose(console, about_troubles(upgrade), "bold")
    console.print()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    for column in cost_heads():
        table.add_column(column, justify="right", no_wrap=True)
    for one in upgrade.troubled:
        sides = zip(cost_cells(one.a, one.name), cost_cells(one.b, one.name), strict=True)
        table.add_row(TROUBLES[one.name], *(cell for both in sides for cell in both))
    print_table(console, table)


def busiest(upgrade: Upgrade) -> str | None:
    """The share of the busiest worker on both sides, in a sentence."""
    a, b = upgrade.busiest
    if a is None or b is None:
        return None
    return (
        f"The busiest worker ran {100 * a.value:.0f}% of the requests of A, and "
        f"{100 * b.value:.0f}% of B's."
    )


def about_troubles(upgrade: Upgrade) -> str:
    """What the table of troubles has."""
    runs = max(one.replications for one in upgrade.troubled)
    return (
        "When something goes wrong: requests without an answer (at a stop, without those refused "
        "afterwards), requests that waited much longer, and when all threads could serve again "
        f"({count(runs, 'replication')})."
    )


def cost_heads() -> tuple[str, ...]:
    """The headings of `cost_cells` of both sides, by turns."""
    return tuple(f"{heading} {side}" for heading in COSTS for side in ("A", "B"))


def cost_cells(cost: Cost, trouble: str) -> tuple[str, str, str]:
    """What a trouble costs a side, as text: `COSTS`."""
    if trouble == STOP:
        back = STOPPED
    else:
        back = "never" if cost.restored is None else f"{cost.restored:.1f} s"
    return value_of(cost.lost, "gone"), value_of(cost.late, "late"), back


def sentence(names: Mapping[str, str], contrasts: Sequence[Contrast]) -> str:
    """The verdict in a sentence."""
    judged = verdict(contrasts)
    by_measure = {contrast.measure: contrast for contrast in contrasts}
    if judged is None:
        return "No result yet."
    if judged == "same":
        return "Both give exactly the same results."
    if judged == "not shown":
        return f"No significant difference: {_apart(by_measure, only_shown=False)}."
    if judged == "mixed":
        return f"Neither is better in every measure: {_apart(by_measure, only_shown=True)}."
    return f"{judged} ({names[judged]}) is better: {_apart(by_measure, only_shown=True)}."


def _apart(by_measure: Mapping[str, Contrast], *, only_shown: bool) -> str:
    """The differences of the decisive measures; with ``only_shown``, significant ones only."""
    parts = []
    for measure, one in by_measure.items():
        if not one.decisive:
            continue
        if only_shown and (one.a is None) != (one.b is None):
            parts.append(f"{'A' if one.a is None else 'B'} has no {measure} in some replication")
        if one.less is None or (only_shown and one.finding not in ("lower", "higher")):
            continue
        parts.append(_difference(one, one.less))
    return "; ".join(parts)


def _difference(one: Contrast, less: Estimate) -> str:
    """The difference between B and A in one measure."""
    unit, relative = "points", ""
    if unit_of(one.measure) == "s":
        unit = "ms"
        if one.a is not None and one.a.value:
            relative = f" ({100 * abs(less.value / one.a.value):.0f}%)"
    sign = "higher" if less.value > 0 else "lower"
    text = f"B's {one.measure} is {number(abs(less.value), one.measure)} {unit}{relative} {sign}"
    if less.low is None or less.high is None:
        return text
    ends = [less.low, less.high]
    if not less.low <= 0 <= less.high:
        ends = sorted(map(abs, ends))
    return f"{text}, {' to '.join(number(end, one.measure) for end in ends)}"


def conditions(names: Mapping[str, str], releases: Mapping[str, str]) -> str:
    """Which files the two are, and on which releases of Gunicorn."""
    if releases["A"] == releases["B"]:
        return f"Gunicorn {releases['A']}; A is {names['A']}, B is {names['B']}"
    return (
        f"A is {names['A']} on Gunicorn {releases['A']}, B is {names['B']} on Gunicorn "
        f"{releases['B']}"
    )
