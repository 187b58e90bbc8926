"""The flags ``--route``, ``--without-route`` and ``--only-route``."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable
from dataclasses import replace

from sim.errors import ExperimentError
from sim.experiment import Route
from sim.experiment.route import unknown_route
from sim.reading import route_flag
from sim.reading.experiment_file import Changes


def add_route_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags."""
    group.add_argument(
        "--route",
        type=_route,
        action="append",
        metavar="SPEC",
        help=f"a kind of request, with its own demand: '{route_flag.FORM}'; given once for each, "
        "their shares add up to 1, and they replace the routes of a file",
    )
    group.add_argument(
        "--without-route",
        action="append",
        metavar="NAME",
        help="another server, or a queue, gets the requests of this route; may be given many times",
    )
    group.add_argument(
        "--only-route",
        action="append",
        metavar="NAME",
        help="this server gets the requests of this route only; may be given many times",
    )


def _route(text: str) -> Route:
    try:
        return route_flag.parse(text)
    except ExperimentError as error:
        raise argparse.ArgumentError(None, f"--route {text!r}: {error}") from None


def take_routes(args: argparse.Namespace, changes: Changes) -> None:
    """Add to ``changes`` what ``--route`` says.

    Raises:
        ExperimentError: when there is another demand beside the routes.
    """
    traffic = changes.setdefault("traffic", {})
    flags = [f"--{name}" for name in ("io", "cpu") if getattr(args, name) is not None]
    if args.route is None:
        if flags and traffic.get("routes"):
            raise ExperimentError(
                f"{flags[0]} is given, but {args.experiment} has routes, each with its own; "
                "expected --route"
            )
        return
    if flags:
        raise ExperimentError(f"{flags[0]} and --route are both given; expected one of them")
    if args.access_log is not None or traffic.get("arrivals") == "trace":
        raise ExperimentError(
            "--route is given, but arrivals is 'trace', whose rows name their routes; expected "
            "--arrivals poisson, constant or closed"
        )
    traffic["routes"] = tuple(args.route)
    traffic.pop("io", None)
    traffic.pop("cpu", None)


def send_elsewhere(args: argparse.Namespace, changes: Changes) -> None:
    """Take from this server's requests what ``--without-route`` and ``--only-route`` say.

    Raises:
        ExperimentError: when there are no routes, a name is unknown, or no request is left.
    """
    without, only = args.without_route, args.only_route
    if without is None and only is None:
        return
    flag = "--without-route" if only is None else "--only-route"
    if without is not None and only is not None:
        raise ExperimentError(
            "--without-route and --only-route are both given; expected one of them"
        )
    named: list[str] = without if only is None else only
    traffic = changes.get("traffic", {})
    routes, trace = traffic.get("routes", ()), traffic.get("trace", ())
    names = [route.name for route in routes] or dict.fromkeys(row.route for row in trace)
    known = [name for name in names if name]
    if not known:
        raise ExperimentError(
            f"{flag} is given without routes; expected --route, an experiment with routes, or an "
            "access log with --by-route"
        )
    _refuse_unknown(named, known, flag)
    gone = set(named) if only is None else set(names).difference(named)
    if not set(known).difference(gone):
        raise ExperimentError(f"{flag}: no route is left; expected one that this server gets")
    if routes:
        traffic["routes"] = tuple(_moved(routes, gone))
    else:
        traffic["trace"] = tuple(row for row in trace if row.route not in gone)


def _refuse_unknown(named: Iterable[str], known: Collection[str], flag: str) -> None:
    for name in named:
        if name not in known:
            raise ExperimentError(f"{flag}: {unknown_route(name, known)}")


def _moved(routes: Iterable[Route], gone: Collection[str]) -> list[Route]:
    return [replace(route, elsewhere=route.elsewhere or route.name in gone) for route in routes]
