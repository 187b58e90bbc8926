"""The validations of older releases, ``data/validation-RELEASE.jsonl``, for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.experiment.release import KNOWN
from sim.validation.release_grid import GRIDS
from sim.validation.verdict import TARGETED, Off, Result
from site_docs.rendering import numbers, validated
from site_docs.rendering.validated import FILE, WORDS, Validated


def path_of(release: str) -> Path:
    """The rows of a release."""
    return FILE.with_name(f"validation-{release}.jsonl")


def measured() -> tuple[str, ...]:
    """The releases that have rows, the oldest first."""
    return tuple(release for release in KNOWN if path_of(release).exists())


def table() -> str:
    """A line for each release, the newest with its whole grid last."""
    lines = [
        "| Gunicorn | cells | targets reached | mean: repeated, median error, worst "
        "| p95: repeated, median error, worst "
        "| not repeated, of which within the predicted scatter |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for release in measured():
        lines.append(_line(validated.read(path_of(release)), GRIDS[release].cells))
    newest = validated.read()
    lines.append(_line(newest, len(newest.rows)))
    return "\n".join(lines)


def _line(validated_release: Validated, planned: int) -> str:
    targets = [t for t in validated_release.validation.targets if t.reached is not None]
    reached = sum(target.reached is True for target in targets)
    # A cell that was measured less often has no spread yet, and is not judged.
    whole = sum(
        result.repeats >= validated_release.header.repeats
        for result in validated_release.validation.results
    )
    by_name = {each.name: each for each in validated_release.validation.measures}
    judged = [by_name[name] for name in (*TARGETED, "share")]
    cells = (
        validated_release.header.versions["gunicorn"],
        f"{whole} of {planned}",
        f"{reached} of {len(targets)}",
        *(_errors(validated_release, name) for name in ("latency_mean", "latency_p95")),
        f"{sum(m.noisy for m in judged)}, {sum(m.within_scatter for m in judged)}",
    )
    return f"| {' | '.join(cells)} |"


def _errors(validated_release: Validated, name: str) -> str:
    measure = next(each for each in validated_release.validation.measures if each.name == name)
    if measure.median is None or measure.worst is None:
        return "0"
    median, worst = (numbers.percent(value) for value in (measure.median, measure.worst))
    return f"{measure.repeated}, {median}, {worst}"


def misses() -> str:
    """Every figure of the older releases that is further off than it may be, as a table."""
    rows = [
        (release, result, off)
        for release in measured()
        for result in validated.read(path_of(release)).validation.results
        for off in result.misses
    ]
    if not rows:
        return "No figure of an older release that was judged is further off than it may be."
    lines = [
        "| Gunicorn | cell | figure | off by | may be |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    lines += [
        f"| {release} | {result.cell}: {result.name} | {WORDS[off.name]} | {_size(result, off)} "
        f"| {validated.allowed(off)} |"
        for release, result, off in rows
    ]
    return "\n".join(lines)


def _size(result: Result, off: Off) -> str:
    figure = result.figure(off.name)
    if figure is None or figure.error is None:
        return f"{100 * off.error:.0f} points"
    return numbers.signed_percent(figure.error)


def where() -> str:
    """When, where and by which code each release was predicted and measured, as a list."""
    return "\n".join(_where())


def _where() -> Iterator[str]:
    for release in measured():
        header = validated.read(path_of(release)).header
        machine = header.machine
        again = "" if header.predicted is None else f"; predicted again {header.predicted[:10]}"
        yield (
            f"- **{release}**: {GRIDS[release].restriction}; {header.begun[:10]}, "
            f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; each "
            f"measured {header.repeats} times and predicted {header.variants} times for each, by "
            f"commit `{header.model}`{again}; [rows](data/{path_of(release).name})."
        )
