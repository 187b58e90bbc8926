"""Makes ready what pages need, on all processors: predictions first, then the charts of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

from site_docs.assertions import verdicts
from site_docs.charts import catalogue
from site_docs.rendering import example_report
from site_docs.runs import build_cache, moving
from site_docs.runs.evidence import evidence
from site_docs.runs.page_experiments import by_name
from site_docs.runs.sweep import at_rate, with_workers

log = logging.getLogger("mkdocs.hooks.prepare")

#: A function that keeps its results, and what it is asked.
Call = tuple[Callable[..., Any], tuple[Any, ...]]


def prepare() -> None:
    """Compute everything that is not kept yet, in processes of their own.

    They are started anew, and so they know sources that have changed since this process was.

    Raises:
        ExperimentError: when an experiment was not measured, or cannot be predicted.
    """
    build_cache.forget()
    build_cache.sweep_out()
    done = build_cache.directory() / "done"
    if done.exists():
        return
    charts = catalogue.entries()
    log.info("Predicting %d experiments and drawing %d charts", len(by_name()), len(charts))
    processors = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(processors, get_context("spawn")) as pool:
        _run(pool, [*_predictions(), *((moving.moving, (name,)) for name in moving.NAMES)])
        _run(pool, [(catalogue.draw, (name,)) for name in charts])
    with suppress(OSError):
        done.touch()


def _predictions() -> list[Call]:
    calls: list[Call] = [(at_rate, (rate,)) for rate in catalogue.SWEPT]
    calls.append((example_report.example, ()))
    calls += [(with_workers, (catalogue.CPU[2.0], number)) for number in catalogue.WORKERS]
    claimed = verdicts.experiments()
    for name in by_name():
        calls.append((verdicts.documents if name in claimed else evidence, (name,)))
    return calls


def _run(pool: Executor, calls: Iterable[Call]) -> None:
    for future in [pool.submit(_call, function, *args) for function, args in calls]:
        future.result()


def _call(function: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401 - any function's
    """Its result is kept, and need not come back."""
    function(*args)
