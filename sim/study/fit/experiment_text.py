"""A fitted demand as an experiment file, which ``--experiment`` reads."""

from __future__ import annotations

from sim.study.fit.demand import ALL, Demand, Service
from sim.study.fit.fitting import Fit

#: Digits of a share: their sum must be 1 to a millionth.
DIGITS = 9


def text(service: Service, source: str) -> str:
    """The file, comments included.

    Args:
        service: by `sim.study.fit.demand.fitted`.
        source: what it was fitted to, for its first line.
    """
    lines = [
        f"# Fitted to {source} by `python -m sim fit`.",
        "",
        "[traffic]",
        'arrivals = "poisson"',
    ]
    if service.rate is not None:
        lines.append(f"rate = {float(f'{service.rate:.4g}')}{' ' * 15}# requests / s")
    (first, *others) = service.demands
    if first.name == ALL and not others:
        return "\n".join([*lines, *_fields(first)]) + "\n"
    shares = [round(demand.share, DIGITS) for demand in service.demands]
    shares[0] = round(1 - sum(shares[1:]), DIGITS)
    for demand, share in zip(service.demands, shares, strict=True):
        name = demand.name.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["", "[[traffic.route]]", f'name = "{name}"', f"share = {share}"]
        lines += _fields(demand)
    return "\n".join(lines) + "\n"


def _fields(demand: Demand) -> list[str]:
    return [_field("io", demand.io), _field("cpu", demand.cpu)]


def _field(name: str, fit: Fit) -> str:
    written = f'{name} = "{fit.distribution}"'
    if fit.fits:
        return written
    return f"{written.ljust(30)} # does not fit: {fit.relative:.0%} of the mean off"
