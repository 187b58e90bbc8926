"""The validation, ``data/validation.jsonl``, as `reference_app validate` wrote it, for a page."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, fields, replace
from html import escape
from pathlib import Path

from sim.errors import ExperimentError
from sim.validation import rows as validation_rows
from sim.validation.comparison import FALSE_ALARM as FALSE_ALARM_ALONE
from sim.validation.comparison import Figure
from sim.validation.grid import Cell, sample
from sim.validation.release_grid import cells_of_rows
from sim.validation.rows import Header, Row, Values
from sim.validation.verdict import (
    CLOSER,
    FALSE_ALARM,
    MEDIAN,
    REPEATABLE,
    SHARE,
    TARGETED,
    WORST,
    Measure,
    Off,
    Result,
    Validation,
    validation,
)
from site_docs.rendering import numbers
from site_docs.runs.build_cache import cached_in_process

FILE = Path(__file__).parents[1] / "data" / "validation.jsonl"

#: What pages call the figures.
WORDS = {
    "latency_mean": "mean",
    "latency_p50": "median",
    "latency_p95": "p95",
    "latency_p99": "p99",
    "throughput": "throughput",
    "share": "shares",
}


@dataclass(frozen=True, slots=True)
class Validated:
    """A file of rows, and what they come to.

    Attributes:
        header: where, when and how they were measured.
        rows: by the number of their cell.
        validation: what they say; its results are in the order of the rows.
    """

    header: Header
    rows: tuple[Row, ...]
    validation: Validation

    @property
    def cells(self) -> list[tuple[Row, Result]]:
        """Each row with what it comes to."""
        return list(zip(self.rows, self.validation.results, strict=True))

    @property
    def reached(self) -> tuple[int, int]:
        """How many targets are reached, of how many that a cell decides."""
        decided = [t for t in self.validation.targets if t.reached is not None]
        return sum(target.reached is True for target in decided), len(decided)

    def measure(self, name: str) -> Measure:
        """One figure over all cells."""
        return next(each for each in self.validation.measures if each.name == name)


@cached_in_process
def read(path: Path = FILE) -> Validated:
    """What was measured where and when, and what it says.

    Raises:
        ExperimentError: when the file cannot be read, or is of another grid than today's.
    """
    header, measurements = validation_rows.read(path)
    rows = sorted(validation_rows.rows_of(measurements), key=lambda row: row.cell)
    cells = cells_of_rows(header)
    for row in rows:
        name = cells[row.cell - 1].name
        if name != row.name:
            raise ExperimentError(
                f"{path}: cell {row.cell} is {row.name!r}; expected {name!r}, as in the grid"
            )
    return Validated(header, tuple(rows), validation(rows))


def cell(number: int) -> Cell:
    """The cell of that number, from 1."""
    return sample()[number - 1]


def where(path: Path = FILE) -> str:
    """Where and when it was measured, in words."""
    rows_file = read(path)
    header = rows_file.header
    machine, versions, predicted = header.machine, header.versions, header.predicted
    anew = "" if predicted is None else f"predicted anew from the same requests {predicted[:10]}, "
    return (
        f"{len(rows_file.rows)} of {len(sample())} cells, each predicted {header.variants} times "
        f"and measured {rows_file.validation.measurements}; begun {header.begun[:10]}, {anew}"
        f"{machine['processor']}, {machine['cores']} cores, {_system(machine['system'])}, "
        f"CPython {versions['python']}, Gunicorn {versions['gunicorn']}"
    )


def _system(platform: str) -> str:
    """The kernel with the two numbers of its release that features depend on."""
    name, _, release = platform.partition("-")
    return f"{name} {'.'.join(release.split('-')[0].split('.')[:2])}"


def measure(name: str, path: Path = FILE) -> Measure:
    """One figure over all cells."""
    return read(path).measure(name)


def reached(path: Path = FILE) -> str:
    """How many of the targets are reached, in words."""
    hit, decided = read(path).reached
    if hit == decided:
        return f"all {hit} targets are reached"
    return f"{hit} of {decided} targets are reached"


def targets(path: Path = FILE) -> str:
    """What the model must reach, what it reaches, and whether that will do, as a table."""
    validation = read(path).validation
    verdicts = {True: "reached", False: "**missed**", None: "no cell tells"}
    values = _reached_values(validation)
    lines = ["| target | it is | |", "| --- | ---: | --- |"]
    lines += [
        f"| {label} | {value} | {verdicts[target.reached]} |"
        for target, (label, value) in zip(validation.targets, values, strict=True)
    ]
    return "\n".join(lines)


def _reached_values(validation: Validation) -> list[tuple[str, str]]:
    """Words and the value of each of `Validation.targets`, in their order."""
    by_name = {each.name: each for each in validation.measures}
    rows: list[tuple[str, str]] = []
    for name in TARGETED:
        each, word = by_name[name], WORDS[name]
        rows += [
            (
                f"median error of the {word} at most {numbers.whole_percent(MEDIAN)}",
                _or(each.median),
            ),
            (f"worst error of the {word} at most {numbers.whole_percent(WORST)}", _worst(each)),
        ]
    shares = by_name["share"]
    rows.append((f"a worker's share is off by at most {100 * SHARE:.0f} points", _worst(shares)))
    judged = [by_name[name] for name in (*TARGETED, "share")]
    noisy, within = sum(m.noisy for m in judged), sum(m.within_scatter for m in judged)
    rows.append(
        (
            f"what the server does not repeat within {numbers.whole_percent(REPEATABLE)} is within "
            "the predicted scatter",
            f"{within} of {noisy} figures",
        )
    )
    closer = "" if validation.closer is None else f"{numbers.factor(validation.closer)} times"
    rows.append(
        (
            f"the mean of several `gthread` workers is {CLOSER:.0f} times closer than an ideal "
            "queue's",
            closer,
        )
    )
    return rows


def allowed(off: Off) -> str:
    """How far the figure may be off, or how likely such repeats are and may be, in words."""
    if off.ranked:
        return f"p-value {off.p_value:.1g} ({FALSE_ALARM:.1g})"
    return numbers.percent(SHARE if off.name == "share" else WORST)


def rejected(path: Path = FILE) -> str:
    """How many of them one test alone rejects, in how many, and where, in words."""
    judged = [(cell, off) for cell, off in _offs(read(path).validation) if off.ranked]
    alone = [(cell, off) for cell, off in judged if off.p_value < FALSE_ALARM_ALONE]
    where = ", ".join(f"the {WORDS[off.name]} of cell {cell}" for cell, off in alone) or "none"
    return f"{len(alone)} of {len(judged)} figures ({where})"


def ranked(path: Path = FILE) -> int:
    """Number of means, medians and p95 that the rank test judges."""
    return sum(off.ranked for _, off in _offs(read(path).validation))


def rejected_if_scaled(scale: float, path: Path = FILE) -> int:
    """How many of them it would reject if every predicted latency were so many times as long."""
    return sum(
        off.ranked and off.p_value < FALSE_ALARM
        for _, off in _offs(validation(_scaled(row, scale) for row in read(path).rows))
    )


def _offs(validation: Validation) -> list[tuple[int, Off]]:
    return [
        (result.cell, off)
        for result in validation.results
        for off in map(result.off, TARGETED)
        if off is not None
    ]


def _scaled(row: Row, scale: float) -> Row:
    def values(variant: Values) -> Values:
        return {
            name: value * scale if value is not None and name in TARGETED else value
            for name, value in variant.items()
        }

    return Row(
        tuple(
            replace(each, variants=[values(variant) for variant in each.variants])
            for each in row.measurements
        )
    )


def _or(value: float | None) -> str:
    return "" if value is None else numbers.percent(value)


def _worst(each: Measure) -> str:
    if each.worst is None or each.worst_cell is None:
        return ""
    return f"{numbers.percent(each.worst)}, [cell {each.worst_cell}](#cell-{each.worst_cell})"


def measures(path: Path = FILE) -> str:
    """Errors over all cells, as a table."""
    lines = [
        "| figure | the server repeats it in | median error | worst | ideal queue, median error "
        "| it does not repeat it in | of which within the predicted scatter |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for each in read(path).validation.measures:
        cells = (
            WORDS[each.name],
            f"{each.repeated} cells",
            _or(each.median),
            _worst(each),
            _or(each.ideal),
            f"{each.noisy} cells",
            str(each.within_scatter),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


#: Columns of the table of cells: which side they are on, and what is said above.
_COLUMNS = (
    ("right", "cell"),
    ("left", "server"),
    ("right", "load"),
    ("left", "traffic"),
    ("right", "mean, measured"),
    ("right", "predicted"),
    ("right", "off by"),
    ("right", "median off by"),
    ("right", "p95 off by"),
    ("right", "shares off by"),
    ("right", "repeats differ by"),
    ("right", "ideal queue's mean off by"),
    ("left", "verdict"),
)


def cells(path: Path = FILE) -> str:
    """Every cell, as a table of HTML that can be sorted by each column."""
    head = "".join(
        f'<th scope="col" style="text-align: {side};"><button type="button">{label}</button></th>'
        for side, label in _COLUMNS
    )
    body = "".join(_row(result) for result in read(path).validation.results)
    return f"<table data-sortable><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _sorted_by(value: float | None) -> str:
    return "" if value is None else f' data-value="{value:.6g}"'


def _row(result: Result) -> str:
    each = cell(result.cell)
    mean = result.figure("latency_mean")
    ideal = mean.ideal_error if mean is not None else None
    written: list[tuple[str, float | None]] = [
        (str(result.cell), result.cell),
        (server(each), None),
        (f"{each.load:g}", each.load),
        (traffic(each), None),
        ("", None) if mean is None else (numbers.ms(mean.measured), mean.measured),
        ("", None) if mean is None else (numbers.ms(mean.predicted), mean.predicted),
    ]
    for name in TARGETED:
        figure = result.figure(name)
        error = None if figure is None else figure.error
        size = None if error is None else abs(error)
        written.append(("" if error is None else numbers.signed_percent(error), size))
    share = result.share
    written += [
        ("", None) if share is None else (numbers.percent(share.error), share.error),
        (numbers.percent(result.spread), result.spread),
        ("", None) if ideal is None else (numbers.signed_percent(ideal), abs(ideal)),
        (verdict(result), None),
    ]
    columns = "".join(
        f'<td style="text-align: {side};"{_sorted_by(value)}>{text}</td>'
        for (side, _), (text, value) in zip(_COLUMNS, written, strict=True)
    )
    return f'<tr id="cell-{result.cell}">{columns}</tr>'


def server(each: Cell) -> str:
    """What serves in a cell, in words."""
    workers, threads = each.shape
    parts = [f"{each.worker_class} {workers} x {threads}"]
    parts += [f"limit {threads}"] if each.worker_connections == "threads" else []
    parts += ["reuse port"] if each.reuse_port else []
    return escape(", ".join(parts))


def traffic(each: Cell) -> str:
    """What comes in a cell, in words."""
    demand = {"io": "waits", "half cpu": "half and half", "cpu": "computes"}[each.demand]
    connections = "kept" if each.connection == "keepalive" else "new"
    return escape(f"{demand}, {each.service}, {connections}")


def verdict(result: Result) -> str:
    """What is said of a cell, in HTML."""
    remarks = []
    if result.misses:
        missed = ", ".join(WORDS[off.name] for off in result.misses)
        remarks.append(f"<strong>misses {missed}</strong>")
    remarks += ["noisy"] if result.noisy else []
    remarks += ["disturbed"] if result.disturbed else []
    return ", ".join(remarks) or "met"


def as_csv(path: Path = FILE) -> str:
    """Every figure of every cell, a line each."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [field.name for field in fields(Figure) if field.name != "verdict"]
    writer.writerow(("cell", "cell_name", *names))
    for result in read(path).validation.results:
        for each in result.figures:
            writer.writerow((result.cell, result.name, *(getattr(each, name) for name in names)))
    return file.getvalue()


def missed(path: Path = FILE) -> list[tuple[Result, Off]]:
    """Every figure of every cell that is further off than it may be, by cell."""
    return [(result, off) for result in read(path).validation.results for off in result.misses]
