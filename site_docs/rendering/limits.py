"""The limits of the model: why the cells of the validation that miss a target do.

``limits.toml`` holds the causes, the first of which that fits a miss explains it::

    [[cause]]
    id = "convoy"                                   # its anchor on the page
    title = "Threads that compute behind a thread that computes"
    explanation = '''What happens, in Markdown.'''
    evidence = ["`perf sched` shows ...", "`tests/model/test_convoy.py` holds ..."]
    figures = ["p95"]                               # mean, median, p95, shares; all, if left out
    cells = [3, 17]                                 # these, or
    when = {load = [0.95], shape = ["4x1", "8x1"]}  # all with these levels of the grid

A miss that no cause explains fails the build, and so does a cause that explains no miss: the page
says what is so today.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.errors import ExperimentError
from sim.reading import toml_file
from sim.validation.comparison import Figure
from sim.validation.grid import FACTORS
from sim.validation.verdict import TARGETED, Off, Result
from site_docs.rendering import numbers, validated
from site_docs.rendering.validated import WORDS
from site_docs.runs.build_cache import cached_in_process
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import by_name

FILE = Path(__file__).parents[1] / "limits.toml"

#: Figures that may miss a target, as they are written.
FIGURES = tuple(WORDS[name] for name in (*TARGETED, "share"))

#: Figures of other experiments that are looked at.
PLAIN_FIGURES = ("latency_mean", "latency_p95", "throughput")


@dataclass(frozen=True, slots=True)
class Cause:
    """Why some figures of some cells are further off than they may be.

    Attributes:
        id: its anchor.
        title: in a few words.
        explanation: in Markdown.
        evidence: what shows that it is this, each in Markdown.
        figures: that it makes wrong, of `FIGURES`.
        cells: numbers of cells that it explains.
        when: levels of cells that it explains too, by factor; None for none.
    """

    id: str
    title: str
    explanation: str
    evidence: tuple[str, ...]
    figures: tuple[str, ...] = FIGURES
    cells: tuple[int, ...] = ()
    when: Mapping[str, frozenset[object]] | None = None

    def explains(self, cell: int, off: Off) -> bool:
        """Whether it is the cause of a figure that is off in that cell."""
        if WORDS[off.name] not in self.figures:
            return False
        return cell in self.cells or (self.when is not None and self._fits(cell))

    def _fits(self, cell: int) -> bool:
        assert self.when is not None
        level = validated.cell(cell)
        return all(getattr(level, factor) in levels for factor, levels in self.when.items())


#: Of each cause what it explains: a cell, and how far a figure of it is off.
Explained = tuple[tuple[Cause, tuple[tuple[Result, Off], ...]], ...]


def read(path: Path = FILE) -> tuple[Cause, ...]:
    """The causes, in the order of the file.

    Raises:
        ExperimentError: when the file cannot be read, or a cause is not whole; the message names
            the cause and the key.
    """
    document = toml_file.load(path)
    toml_file.refuse_unknown(document, ("cause",), f"{path}:")
    tables = document.get("cause", [])
    if not isinstance(tables, list):
        raise ExperimentError(f"{path}: cause is no list; expected tables [[cause]]")
    causes = tuple(
        _cause(table, f"{path}: [[cause]] {number}") for number, table in enumerate(tables, start=1)
    )
    names = [cause.id for cause in causes]
    for name in names:
        if names.count(name) > 1:
            raise ExperimentError(f"{path}: two causes are {name!r}; expected an id for each")
    return causes


def _cause(table: object, where: str) -> Cause:
    if not isinstance(table, Mapping):
        raise ExperimentError(f"{where} is no table")
    known = tuple(Cause.__dataclass_fields__)
    toml_file.refuse_unknown(table, known, where)
    plain = {key: value for key, value in table.items() if key != "when"}
    values = toml_file.parse_table(plain, Cause, where)
    toml_file.refuse_missing(values, Cause, where)
    for key, value in values.items():
        if not value:
            raise ExperimentError(f"{where} {key} is empty; expected text or numbers")
    for figure in values.get("figures", ()):
        if figure not in FIGURES:
            raise ExperimentError(
                f"{where} figures has {figure!r}; expected some of {', '.join(FIGURES)}"
            )
    if "when" in table:
        values["when"] = _when(table["when"], where)
    elif "cells" not in table:
        raise ExperimentError(f"{where} says no cell; expected cells or when")
    return Cause(**values)


def _when(table: object, where: str) -> dict[str, frozenset[object]]:
    if not isinstance(table, Mapping):
        raise ExperimentError(f"{where} when is {table!r}; expected a table")
    toml_file.refuse_unknown(table, FACTORS, f"{where} when")
    return {
        factor: frozenset(_level(factor, value, where) for value in _listed(values))
        for factor, values in table.items()
    }


def _listed(values: object) -> Sequence[object]:
    return values if isinstance(values, list) else [values]


def _level(factor: str, written: object, where: str) -> object:
    levels = {_level_text(level): level for level in FACTORS[factor]}
    if _level_text(written) not in levels:
        raise ExperimentError(
            f"{where} when {factor} is {written!r}; expected some of {', '.join(levels)}"
        )
    return levels[_level_text(written)]


def _level_text(level: object) -> str:
    if isinstance(level, tuple):
        return "x".join(map(str, level))
    return str(level).lower() if isinstance(level, bool) else str(level)


def explain(
    causes: Sequence[Cause], misses: Sequence[tuple[Result, Off]], where: str = str(FILE)
) -> Explained:
    """What each cause explains.

    Args:
        causes: in the order in which they are asked.
        misses: a cell, and how far a figure of it is off.
        where: the causes are written, for messages.

    Raises:
        ExperimentError: when a miss has no cause, or a cause or one of its cells no miss.
    """
    results: dict[str, list[tuple[Result, Off]]] = {cause.id: [] for cause in causes}
    for result, off in misses:
        cause = next((each for each in causes if each.explains(result.cell, off)), None)
        if cause is None:
            raise ExperimentError(
                f"{where}: cell {result.cell} ({result.name}) misses its {WORDS[off.name]} by "
                f"{numbers.percent(off.error)}; expected a cause that explains it"
            )
        results[cause.id].append((result, off))
    for cause in causes:
        cells = {result.cell for result, _ in results[cause.id]}
        gone = [str(number) for number in cause.cells if number not in cells]
        if gone or not cells:
            what = f"cells {', '.join(gone)}" if gone else "any cell"
            raise ExperimentError(
                f"{where}: cause {cause.id!r} does not explain a miss of {what} any more; "
                "expected only what is missed today"
            )
    return tuple((cause, tuple(results[cause.id])) for cause in causes)


@cached_in_process
def explained() -> Explained:
    """What each cause explains of the validation that is there.

    Raises:
        ExperimentError: see `read` and `explain`.
    """
    return explain(read(), validated.missed())


def summary() -> str:
    """How much is left, in words."""
    validation = validated.read()
    missed = {result.cell for result, _ in validated.missed()}
    figures = len(validated.missed())
    if not missed:
        return f"**Every one of {len(validation.rows)} cells of the validation meets its targets.**"
    return (
        f"**{len(missed)} of {len(validation.rows)} cells of the validation miss a target, in "
        f"{figures} figures of {len(FIGURES) * len(validation.rows)}.** Each is below, with its "
        "cause: how far it is off, and in brackets how far it may be."
    )


def causes() -> str:
    """Every cause with the cells that it explains, as Markdown."""
    lines = ["| cause | cells | figures | largest error |", "| --- | ---: | ---: | ---: |"]
    sections = []
    for cause, misses in explained():
        worst, off = max(misses, key=lambda miss: miss[1].error)
        lines.append(
            f"| [{cause.title}](#{cause.id}) | {len({result.cell for result, _ in misses})} "
            f"| {len(misses)} | {numbers.percent(off.error)} ({WORDS[off.name]}, cell "
            f"{worst.cell}) |"
        )
        sections.append(_section(cause, misses))
    return "\n\n".join(("\n".join(lines), *sections))


def _section(cause: Cause, misses: Sequence[tuple[Result, Off]]) -> str:
    lines = [
        f"| cell | server | load | traffic | {' | '.join(FIGURES)} |",
        f"| ---: | --- | ---: | --- |{' ---: |' * len(FIGURES)}",
    ]
    by_cell: dict[int, dict[str, str]] = {}
    for result, off in misses:
        by_cell.setdefault(result.cell, {})[WORDS[off.name]] = _size(result, off)
    for number, sizes in by_cell.items():
        cell = validated.cell(number)
        cells = (
            f"[{number}](validation.md#cell-{number})",
            validated.server(cell),
            f"{cell.load:g}",
            validated.traffic(cell),
            *(sizes.get(figure, "") for figure in FIGURES),
        )
        lines.append(f"| {' | '.join(cells)} |")
    evidence = "\n".join(f"- {item}" for item in cause.evidence)
    return "\n\n".join(
        (
            f"### {cause.title} {{ #{cause.id} }}",
            cause.explanation.strip(),
            evidence,
            "\n".join(lines),
        )
    )


def _size(result: Result, off: Off) -> str:
    """How far a figure is off, and how far it may be."""
    figure = result.figure(off.name)
    if figure is None:
        return f"{100 * off.error:.0f} points ({validated.allowed(off)})"
    return f"{numbers.signed_percent(figure.error)} ({validated.allowed(off)})"


def elsewhere() -> str:
    """Every load of the pages whose mean, p95 or throughput is off, as a table.

    See `sim.validation.comparison.judge` for what counts as off.
    """
    heads = [f"{WORDS[key]}, predicted / measured" for key in PLAIN_FIGURES]
    lines = [f"| experiment | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
    for name, experiment in by_name().items():
        figures = [evidence(name).comparison.figure(key) for key in PLAIN_FIGURES]
        if not experiment.trouble and any(figure.verdict == "off" for figure in figures):
            cells = " | ".join(map(_both, figures))
            lines.append(f"| `{experiment.arguments}` | {cells} |")
    return "\n".join(lines)


def _both(figure: Figure) -> str:
    if figure.verdict != "off":
        return ""
    write = numbers.rate if figure.unit == "1/s" else numbers.ms
    return f"{write(figure.predicted)} / {write(figure.measured)}"
