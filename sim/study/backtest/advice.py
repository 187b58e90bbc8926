"""What would make the prediction of a past better, or the judgement of it."""

from __future__ import annotations

from dataclasses import dataclass

from sim.study.backtest.cpu_part import Guess
from sim.study.backtest.figures import PASSED, SERVED
from sim.study.backtest.judgement import Figure, Judgement
from sim.validation.verdict import MEDIAN, WORST

#: Part of an error that must be gone with the judged requests' own demand for the demand to be its
#: cause.
CAUSE = 0.5

#: Part of the judged requests above which it matters that their routes have no demand.
RARE = 0.01


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of the service.

    Attributes:
        calibrated: whether costs were given; else those of the published machine hold.
        cpu: whether it was said what part of the demand computes, or recorded.
        proxy: whether there is a proxy's log.
        gunicorn: whether there is a log of Gunicorn's.
        workers: whether the log names the process of each request.
        restarts: whether more processes served the requests than there are workers.
        whole: whether the times of arrivals were drawn within whole seconds.
        unknown: part of the judged requests whose routes the first half does not have.
        guess: which part of the demand computes, as far as the log tells.
    """

    calibrated: bool
    cpu: bool
    proxy: bool
    gunicorn: bool
    workers: bool
    restarts: bool
    whole: bool
    unknown: float
    guess: Guess | None = None


def advice(judgement: Judgement, known: Known) -> tuple[str, ...]:
    """Sentences, what matters most first."""
    sentences = []
    changed = [figure for figure in judgement.deciding if _demand_is_the_cause(figure)]
    if changed:
        worst = max(changed, key=lambda figure: abs(figure.error or 0.0))
        sentences.append(
            f"The demand changed between the halves: with the judged requests' own, {worst.name} "
            f"is {abs(worst.own_error or 0.0):.0%} off instead of {abs(worst.error or 0.0):.0%}. "
            "Take a log of a longer time, or of one that is alike."
        )
    if known.unknown > RARE:
        sentences.append(
            f"{known.unknown:.0%} of the judged requests are of routes that the first half does "
            "not have, and got the demand of all requests; a longer log has more of them."
        )
    if not known.cpu and known.guess is not None:
        sentences.append(
            f"Request times are {known.guess.growth:.0%} longer in the busier half of the learnt "
            f"time, as if {known.guess.part:.0%} of them were CPU: try --log-cpu "
            f"{known.guess.part:.2f}. A database that slows down looks the same; the one line of "
            "sim.reading.recorder in gunicorn.conf.py tells them apart, with --demand FILE.csv."
        )
    elif not known.cpu:
        sentences.append(
            "A log does not say how much of a request time computes, so all of it is taken for "
            "I/O. Record both with the one line of sim.reading.recorder in gunicorn.conf.py, and "
            "give --demand FILE.csv; or say the part with --log-cpu."
        )
    if not known.calibrated:
        sentences.append(
            "What Gunicorn's own steps cost is that of the published machine. Calibrate yours: "
            "python -m reference_app calibrate --app myapp:app --out costs.toml, then --costs."
        )
    if not known.proxy:
        sentences.append(
            "Gunicorn's log does not have the wait, so the wait is not judged. nginx's has it: "
            "--against FILE, in a format with $msec and $upstream_response_time."
        )
    if not known.gunicorn:
        sentences.append(
            "A proxy's log has wait and service in one, so demand is what is left of it without "
            "the predicted wait. Gunicorn's own as --access-log, and this one as --against, "
            "measure the two apart."
        )
    elif not known.workers:
        sentences.append("Shares by worker are not judged: the log has no %(p)s.")
    elif known.restarts:
        sentences.append(
            "Shares by worker are not judged: more processes served the requests than there are "
            "workers, so some were restarted."
        )
    if known.whole:
        sentences.append(
            "Arrivals were drawn within the logged seconds, so bursts within a second are lost; "
            "nginx's $msec has them."
        )
    return tuple(sentences)


def _demand_is_the_cause(figure: Figure) -> bool:
    if figure.error is None or figure.own_error is None:
        return False
    if not figure.name.startswith((SERVED, PASSED)) or abs(figure.error) <= MEDIAN:
        return False
    if figure.logged is None or figure.low is None or figure.high is None:
        return False
    if figure.low <= figure.logged <= figure.high:
        return False  # As runs with one demand differ.
    return abs(figure.own_error) <= min(WORST, CAUSE * abs(figure.error))
