"""Both sides of an experiment: as it was measured, and as it is predicted today."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sim.analysis.summary import Summary, summarize
from sim.errors import ExperimentError
from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.reading.experiment_file import from_dict
from sim.run import Run
from sim.validation.comparison import Comparison, compare, ideal_run
from site_docs.runs import measured
from site_docs.runs.build_cache import cached_on_disk
from site_docs.runs.measured import Provenance
from site_docs.runs.page_experiments import PageExperiment, by_name

#: s by which an arrival may be off: runs are saved with all their digits.
SAME_ARRIVAL = 1e-9


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a page may say about an experiment.

    Attributes:
        page_experiment: which experiment.
        experiment: as its file says it.
        predicted: a run for each variant.
        measured: a run for each repeat.
        provenance: where and when it was measured.
        comparison: of the two.
    """

    page_experiment: PageExperiment
    experiment: Experiment
    predicted: tuple[Run, ...]
    measured: tuple[Run, ...]
    provenance: Provenance
    comparison: Comparison

    def repeats(self, figure: str) -> tuple[float, ...]:
        """The figure of that name in each repeat, as far as the repeat knows it.

        Args:
            figure: a latency or wait, a share, or a field of `Summary`, named as in
                `sim.validation.comparison.Figure`.
        """
        values = (_value(summarize([run]), figure) for run in self.measured)
        return tuple(value for value in values if value is not None)


@cached_on_disk
def evidence(name: str) -> Evidence:
    """Predict the experiment of that name, and read what was measured of it.

    Raises:
        ExperimentError: when there is no such experiment, or what was measured is another than
            its file says now.
    """
    if name not in by_name():
        raise ExperimentError(f"{name!r} is not shown; expected one of {', '.join(by_name())}")
    of_page = by_name()[name]
    experiment = of_page.experiment()
    measurement = measured.load(name)
    predicted = tuple(predict(experiment, 0, variant) for variant in range(of_page.variants))
    _refuse_another(of_page, experiment, predicted[0], measurement.runs)
    comparison = compare(
        [summarize([run]) for run in predicted],
        [summarize([run]) for run in measurement.runs],
        summarize([ideal_run(measurement.runs[0])]),
    )
    return Evidence(
        of_page, experiment, predicted, measurement.runs, measurement.provenance, comparison
    )


def _refuse_another(
    of_page: PageExperiment, experiment: Experiment, predicted: Run, runs: tuple[Run, ...]
) -> None:
    """Refuse measurements of other requests than those that are predicted."""
    again = f"expected a measurement of the same: python -m site_docs measure {of_page.name}"
    for run in runs:
        # What things cost is the model's business, and may be known better today.
        then = from_dict(run.experiment, of_page.name)
        if replace(then, costs=experiment.costs, memory=experiment.memory) != experiment:
            raise ExperimentError(f"{of_page.name} was measured as another experiment; {again}")
        # Users of a closed loop send again when they are answered.
        closed = experiment.traffic.arrivals == "closed"
        if len(run.requests) != len(predicted.requests) or any(
            abs(one - other) > SAME_ARRIVAL
            for one, other in zip(run.requests.arrival, predicted.requests.arrival, strict=True)
            if not closed
        ):
            raise ExperimentError(f"{of_page.name} was measured with other requests; {again}")


def _value(summary: Summary, figure: str) -> float | None:
    what, _, measure = figure.partition("_")
    if what == "share":
        number = int(measure.removeprefix("worker_"))
        shares = {worker.boot_order: worker.share for worker in summary.workers}
        share = shares.get(number)
        return 0.0 if share is None else share.value
    estimate = getattr(getattr(summary, what), measure) if measure else getattr(summary, what)
    return None if estimate is None else float(estimate.value)
