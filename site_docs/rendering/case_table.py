"""A case as Markdown: what each server was predicted and measured to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sim.run import OK, OUTCOMES
from site_docs.rendering import numbers
from site_docs.rendering.playground import play
from site_docs.runs import cases
from site_docs.runs.evidence import evidence

#: What a table may show: the words above a column, and how its numbers are written.
COLUMNS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "latency_mean": ("mean", numbers.ms),
    "latency_p50": ("median", numbers.ms),
    "latency_p95": ("p95", numbers.ms),
    "latency_max": ("the slowest", numbers.ms),
    "throughput": ("answers", numbers.rate),
    "lost": ("lost", numbers.count),
}


def tried(case: str, columns: Iterable[str] = ("latency_mean", "latency_p95", "throughput")) -> str:
    """Every server of a case, predicted and measured, and the commands for the first of them.

    The name of each server is a link that opens it in the playground.

    Args:
        case: its name.
        columns: keys of `COLUMNS`.

    Raises:
        ExperimentError: when there is no such case, or it was not measured.
    """
    columns = tuple(columns)
    heads = [f"{COLUMNS[key][0]}, predicted | measured" for key in columns]
    lines = [f"| settings | {' | '.join(heads)} |", f"| --- |{' ---: | ---: |' * len(columns)}"]
    experiments = cases.experiments(case)
    for name, server in experiments.items():
        cells = [cell for key in columns for cell in _both(name, key)]
        link = play(evidence(name).page_experiment.arguments, f"<code>{server}</code>")
        lines.append(f"| {link} | {' | '.join(cells)} |")
    first = evidence(next(iter(experiments))).page_experiment
    lines += [
        "",
        "Each row's settings open it in the playground.",
        "",
        "``` console",
        f"$ python -m sim {first.arguments}",
        f"$ python -m reference_app compare {first.arguments} --repeat {first.repeats}",
        "```",
    ]
    return "\n".join(lines)


def _both(name: str, key: str) -> tuple[str, str]:
    """A figure as it was predicted and as it was measured."""
    comparison = evidence(name).comparison
    write = COLUMNS[key][1]
    if key == "lost":
        ok = OUTCOMES[OK]
        sides = (comparison.predicted_outcomes, comparison.measured_outcomes)
        predicted, measured = (write(sum(side.values()) - side[ok]) for side in sides)
        return predicted, measured
    figure = comparison.figure(key)
    return write(figure.predicted), write(figure.measured)
