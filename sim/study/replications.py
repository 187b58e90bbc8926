"""All replications of one experiment, one after the other, with their progress."""

from __future__ import annotations

from collections.abc import Iterator

from sim.experiment import Experiment
from sim.model.simulation import predict
from sim.reports.progress import progress
from sim.run import Run


def predictions(
    experiment: Experiment, variant: int = 0, *, keep_rows: bool = True
) -> Iterator[Run]:
    """Every replication, one after the other, in one variant of the server's chances."""
    with progress("predicting", experiment.replications) as done:
        for replication in range(experiment.replications):
            yield predict(experiment, replication, variant, keep_rows=keep_rows)
            done(replication + 1)
