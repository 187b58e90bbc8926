"""The validations of older releases, ``data/validation-RELEASE.jsonl``, for a page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sim.experiment.release import KNOWN
from sim.validation.release_grid import GRIDS
from sim.validation.verdict import TARGETED
from site_docs.rendering import other_rows, validated
from site_docs.rendering.other_rows import errors, provenance, scatter, targets_reached
from site_docs.rendering.validated import FILE, Validated


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


def _line(rows_file: Validated, planned: int) -> str:
    # A cell that was measured less often has no spread yet, and is not judged.
    results, repeats = rows_file.validation.results, rows_file.header.repeats
    whole = sum(result.repeats >= repeats for result in results)
    cells = (
        rows_file.header.versions["gunicorn"],
        f"{whole} of {planned}",
        targets_reached(rows_file),
        *(errors(rows_file, name) for name in ("latency_mean", "latency_p95")),
        scatter(rows_file, (*TARGETED, "share")),
    )
    return f"| {' | '.join(cells)} |"


def misses() -> str:
    """Every figure of the older releases that is further off than it may be, as a table."""
    return other_rows.misses(
        "Gunicorn",
        ((each, validated.read(path_of(each))) for each in measured()),
        "No figure of an older release that was judged is further off than it may be.",
    )


def where() -> str:
    """When, where and by which code each release was predicted and measured, as a list."""
    return "\n".join(_where())


def _where() -> Iterator[str]:
    for release in measured():
        yield (
            f"- **{release}**: {GRIDS[release].restriction}; "
            f"{provenance(validated.read(path_of(release)).header)}; "
            f"[rows](data/{path_of(release).name})."
        )
