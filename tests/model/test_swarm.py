"""A swarm of experiments in which everything meets everything: what holds whatever happens.

Goal: no combination of settings, clients and trouble breaks a rule of the model, and the branches
that only such moments run are run every time. Method: experiments of fixed seeds, each predicted
once; the model's own assertions are on.
"""

from __future__ import annotations

import pytest
from run_rules import check_events, check_row, check_threads
from swarm import experiment

from sim.model.simulation import predict

pytestmark = pytest.mark.usefixtures("bounded")

#: Seeds, in groups that take about as long.
SEEDS, GROUPS = 700, 10

#: Further seeds, which meet what none of the others does.
MORE_SEEDS = (1278, 1300, 1683)


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_meets_the_rules_hold(group: int) -> None:
    for seed in (*range(SEEDS), *MORE_SEEDS)[group::GROUPS]:
        asked = experiment(seed)
        run = predict(asked)
        for row in run.requests:
            check_row(asked, row)
        check_threads(run)
        check_events(run)


def test_its_experiments_have_all_that_may_meet() -> None:
    swarm = [experiment(seed) for seed in range(SEEDS)]
    assert len({asked.server.gunicorn for asked in swarm}) == 5
    assert {asked.server.worker_class for asked in swarm} >= {"sync", "gthread", "gevent"}
    assert {asked.proxy.kind for asked in swarm} == {"none", "nginx", "alb"}
    assert {probe.kind for asked in swarm for probe in asked.probes} == {
        "liveness",
        "readiness",
        "startup",
    }
    kinds = {trouble.kind for asked in swarm for trouble in asked.disturbances}
    assert len(kinds) >= 5
