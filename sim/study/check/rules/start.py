"""Rules about the start of a worker, and LaunchDarkly in it."""

from __future__ import annotations

from dataclasses import replace

from sim.experiment import Experiment
from sim.experiment.disturbance import FlagService, Signal
from sim.reports.number_text import count
from sim.study.check.rule import Effect, Rule
from sim.study.check.scenario import middle, troubled
from sim.study.check.subject import Subject

#: s that a worker had better wait for LaunchDarkly: many times its usual answer.
START_WAIT = 1.0


def _frozen(subject: Subject) -> bool:
    experiment = subject.experiment
    return (
        experiment.server.preload_app
        and experiment.launchdarkly.enabled
        and not experiment.launchdarkly.postfork
    )


def _waits(subject: Subject) -> bool:
    flags = subject.experiment.launchdarkly
    starts = flags.postfork or not subject.experiment.server.preload_app
    return flags.enabled and starts and flags.start_wait > START_WAIT


def _flags_away(subject: Subject) -> Effect:
    now = subject.experiment
    at = middle(now)
    # At once, the signal first: recovery is counted from the first of them.
    away = troubled(now, Signal(at, "KILL"), FlagService(at, reachable=False))
    return Effect(
        away,
        _waiting(away, START_WAIT),
        ("restored", "meanwhile", "gone"),
        after="after SIGKILL to a worker while LaunchDarkly does not answer",
    )


def _waiting(experiment: Experiment, seconds: float) -> Experiment:
    return replace(experiment, launchdarkly=replace(experiment.launchdarkly, start_wait=seconds))


def _killed_while_it_boots(subject: Subject) -> bool:
    experiment = subject.experiment
    return (
        subject.release.heartbeat_clock == "wall"
        and experiment.launchdarkly.enabled
        and 0 < experiment.server.timeout <= experiment.launchdarkly.start_wait
    )


START: tuple[Rule, ...] = (
    Rule(
        name="preload-without-postfork",
        setting="preload_app",
        level="error",
        calm="error",
        releases="all",
        applies=_frozen,
        what=lambda _: (
            "preload_app starts the LaunchDarkly client in the master, and no hook calls its "
            "postfork(): a fork leaves it without threads."
        ),
        effect=lambda it: (
            f"None of the {count(it.experiment.server.workers, 'worker')} learns of a flag that "
            "changes, or sends an event."
        ),
        mend=lambda _: "a post_fork hook that calls ldclient.get().postfork().",
        page="launchdarkly/#without-postfork",
    ),
    Rule(
        name="start-waits-for-launchdarkly",
        setting="post_fork",
        level="warning",
        calm="note",
        releases="all",
        applies=_waits,
        what=lambda it: (
            "While LaunchDarkly does not answer, each new worker waits for it "
            f"{it.experiment.launchdarkly.start_wait:g} s before it serves."
        ),
        effect=_flags_away,
        mend=lambda _: f"postfork(start_wait={START_WAIT:g}).",
        page="launchdarkly/#when-launchdarkly-is-away",
    ),
    Rule(
        name="killed-while-it-boots",
        setting="timeout",
        level="error",
        calm="error",
        releases="20.1 to 21.2",
        applies=_killed_while_it_boots,
        what=lambda it: (
            f"The master of Gunicorn {it.experiment.server.gunicorn} kills a worker that takes "
            f"timeout = {it.experiment.server.timeout} s to boot, and it may wait "
            f"{it.experiment.launchdarkly.start_wait:g} s for LaunchDarkly."
        ),
        effect=lambda _: "While LaunchDarkly does not answer, no worker ever serves.",
        mend=lambda _: f"postfork(start_wait={START_WAIT:g}), or a longer timeout.",
        page="trouble/#a-worker-hangs-in-post_fork",
    ),
)
