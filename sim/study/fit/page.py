"""The page of `fit`."""

from __future__ import annotations

from collections.abc import Sequence

from sim.reports.html.page import Cell, Curves, Figure, Key, Number, Page, Section, Series, Table
from sim.study.fit.demand import Demand, Service
from sim.study.fit.fitting import Fit
from sim.study.fit.report import headline, remarks
from sim.study.study_page import PageNotices

#: Routes that have charts: the most frequent.
MOST_ROUTES = 20

#: Time of the slowest request / that of the fastest, from which on a logarithmic axis shows more.
WIDE = 50.0


def fit_page(service: Service, notices: Sequence[str], command: str) -> Page:
    """The page of a service's demand.

    Args:
        service: what was fitted.
        notices: sentences about the requests.
        command: that makes the page again.
    """
    grouped, fits = (
        PageNotices.of(notices),
        [fit for demand in service.demands for fit in (demand.io, demand.cpu)],
    )
    good = sum(fit.fits for fit in fits)
    return Page(
        title="Fit: what requests demand",
        answer=(headline(service), f"{good} of {len(fits)} distributions fit their times."),
        conditions="Each route's I/O and CPU times, and the distribution that comes closest.",
        command=command,
        sections=(
            Section("routes", "Demand of every route", (_table(service),)),
            *(
                _section(number, demand)
                for number, demand in enumerate(service.demands[:MOST_ROUTES], start=1)
            ),
        ),
        assumptions=grouped.assumptions,
        notices=(*grouped.others, *remarks(service)),
    )


def _table(service: Service) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for demand in service.demands:
        for name, fit in (("io", demand.io), ("cpu", demand.cpu)):
            rows.append(
                (
                    demand.name,
                    Number(demand.requests, f"{demand.requests:,}"),
                    Number(demand.share, f"{100 * demand.share:.1f} %"),
                    name,
                    str(fit.distribution),
                    Number(fit.relative, f"{100 * fit.relative:.1f} %"),
                    "yes" if fit.fits else "no",
                )
            )
    head = ("route", "requests", "share", "", "distribution, s", "off", "fits")
    return Table("Distributions", head, tuple(rows), text_columns=frozenset({3, 4, 6}))


def _section(number: int, demand: Demand) -> Section:
    figures = tuple(
        _figure(f"route-{number}-{name}", name, fit)
        for name, fit in (("io", demand.io), ("cpu", demand.cpu))
        if fit.quantiles[-1][0] > 0
    )
    return Section(f"route-{number}", demand.name, figures)


def _figure(name: str, what: str, fit: Fit) -> Figure:
    places = [(number + 0.5) / len(fit.quantiles) for number in range(len(fit.quantiles))]
    measured, expected = zip(*fit.quantiles, strict=True)
    keys = (Key("line", "measured", "requests"), Key("dashed", "predicted", "distribution"))
    series = tuple(
        Series(key, tuple(1000 * time for time in times), tuple(100 * place for place in places))
        for key, times in zip(keys, (measured, expected), strict=True)
    )
    tabled = [
        places.index(min(places, key=lambda each: abs(each - at))) for at in (0.5, 0.95, 0.99)
    ]
    table = Table(
        "Quantiles, ms",
        ("% of the requests", "requests", "distribution"),
        tuple(
            (
                f"{100 * places[place]:.4g}",
                f"{1000 * measured[place]:.3g}",
                f"{1000 * expected[place]:.3g}",
            )
            for place in dict.fromkeys(tabled)
        ),
    )
    return Figure(
        name,
        f"{what}: {fit.distribution}",
        f"{what}, requests beside the distribution {fit.distribution}: on average "
        f"{100 * fit.relative:.1f} % of the mean off. "
        + " ".join(
            f"{100 * places[place]:.3g} %: {1000 * measured[place]:.3g} ms, "
            f"{1000 * expected[place]:.3g} ms."
            for place in dict.fromkeys(tabled)
        ),
        keys,
        Curves(
            series,
            f"{what} (ms)",
            "% of the requests are shorter",
            log_x=measured[0] > 0 and measured[-1] > WIDE * measured[0],
        ),
        table,
    )
