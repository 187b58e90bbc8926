"""The flags that describe an experiment, and the experiment that they describe.

``python -m sim`` and ``python -m reference_app`` share them. What is said later wins:

1. defaults, among them ``WEB_CONCURRENCY`` for the workers, as Gunicorn has it;
2. ``--experiment FILE.toml``;
3. ``--costs FILE.toml``, and ``--config gunicorn.conf.py``, of which each speaks of its own;
4. flags.

Server flags are Gunicorn's own, taken from Gunicorn's own definitions, short forms and help
included. Its other flags are accepted as well, so that a command line can be pasted, and are
named in a notice.
"""

from __future__ import annotations

import argparse
import reprlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from sim import (
    access_log,
    costs_file,
    disturbance_flag,
    experiment_file,
    gunicorn_config,
    settings,
    toml_file,
    trace_file,
)
from sim.distribution import SYNTAX, Distribution
from sim.disturbance import Disturbance
from sim.errors import ExperimentError
from sim.experiment import ARRIVALS, CLIENTS, CONNECTIONS, Experiment, Server
from sim.gunicorn_config import SERVER_FIELDS
from sim.progress import progress

COMMAND_LINE = "command line"

#: Begins the attribute of a Gunicorn flag that is not modelled, so that it hides no flag of ours.
HIDDEN = "gunicorn_"


class OneLineParser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line on stderr, and exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print ``error: message`` without the usage, and exit with status 2."""
        self.exit(2, f"error: {' '.join(message.split())}\n")


class Flag(NamedTuple):
    """One flag of ours, and where its value goes.

    Attributes:
        name: as it is written, ``--rate``.
        table: of the experiment; ``""`` for what stands above the tables.
        field: of that table.
        kind: `int`, `float`, `Distribution`, the choices, or `bool`, which takes no value.
        metavar: what stands for the value in the help; of a `bool`, the flag that says no.
        help: what it means, with the unit.
    """

    name: str
    table: str
    field: str
    kind: type | tuple[str, ...]
    metavar: str | None
    help: str


FLAGS: tuple[Flag, ...] = (
    Flag("--arrivals", "traffic", "arrivals", ARRIVALS, None, "how requests come"),
    Flag("--rate", "traffic", "rate", float, "PER_S", "requests / s of an open loop"),
    Flag("--duration", "traffic", "duration", float, "S", "s during which requests arrive"),
    Flag("--requests", "traffic", "requests", int, "N", "number of requests, not a duration"),
    Flag("--users", "traffic", "users", int, "N", "clients of a closed loop"),
    Flag("--first-byte", "traffic", "first_byte", Distribution, "DIST", "s until a client sends"),
    Flag("--body", "traffic", "body", Distribution, "DIST", "s that its request's body takes"),
    Flag("--read", "traffic", "read", Distribution, "DIST", "s that it takes to read the answer"),
    Flag("--think", "traffic", "think", Distribution, "DIST", "s that a closed user thinks"),
    Flag("--connection", "traffic", "connection", CONNECTIONS, None, "per request, or reused"),
    Flag("--io", "traffic", "io", Distribution, "DIST", f"s that a request waits: {SYNTAX}"),
    Flag("--cpu", "traffic", "cpu", Distribution, "DIST", "s that it computes, with the GIL"),
    Flag("--drain", "traffic", "drain", float, "S", "s for answers after the last arrival"),
    Flag("--client-timeout", "traffic", "timeout", float, "S", "s that clients wait for an answer"),
    Flag("--retries", "traffic", "retries", int, "N", "times that a client tries again"),
    Flag("--retry-delay", "traffic", "retry_delay", float, "S", "s before it does"),
    Flag("--cores", "host", "cores", int, "N", "processors of the host"),
    Flag("--somaxconn", "host", "somaxconn", int, "N", "net.core.somaxconn of the host"),
    Flag("--clients", "host", "clients", CLIENTS, None, "on the same cores, or elsewhere"),
    Flag(
        "--launchdarkly",
        "launchdarkly",
        "enabled",
        bool,
        "--no-launchdarkly",
        "whether the service has a LaunchDarkly client",
    ),
    Flag(
        "--launchdarkly-latency",
        "launchdarkly",
        "latency",
        float,
        "S",
        "s to the flag service's first put event",
    ),
    Flag(
        "--launchdarkly-start-wait",
        "launchdarkly",
        "start_wait",
        float,
        "S",
        "s that its start and postfork() wait for it, at most",
    ),
    Flag(
        "--launchdarkly-reachable",
        "launchdarkly",
        "reachable",
        bool,
        "--launchdarkly-unreachable",
        "whether the flag service answers",
    ),
    Flag(
        "--launchdarkly-postfork",
        "launchdarkly",
        "postfork",
        bool,
        "--no-launchdarkly-postfork",
        "whether post_fork calls postfork()",
    ),
    Flag("--seed", "", "seed", int, "N", "of every random stream"),
    Flag("--replications", "", "replications", int, "N", "independent repetitions"),
)

#: Flags that one kind of arrivals does not read. To drop them in silence would mislead.
UNREAD: dict[str, tuple[str, ...]] = {
    "poisson": ("users", "think"),
    "constant": ("users", "think"),
    "closed": ("rate",),
    "trace": ("users", "think", "rate", "duration", "requests", "io", "cpu"),
}


def add_experiment_arguments(
    parser: argparse.ArgumentParser, *, replications: int | None = None
) -> None:
    """Add every flag of an experiment, and switch abbreviations off.

    Call it after the command's own flags: where one of those has the name of a flag that
    Gunicorn has and the model has not, it keeps it.

    Args:
        parser: of the command.
        replications: what holds without ``--replications``, whatever a file says; None leaves it
            to the file.

    Raises:
        ExperimentError: when the environment gives Gunicorn a default that it refuses.
    """
    parser.allow_abbrev = False
    files = parser.add_argument_group("files", "each overrides the one above; flags override all")
    files.add_argument("--experiment", metavar="FILE.toml", help="an experiment")
    files.add_argument("--costs", metavar="FILE.toml", help="what each step costs on the host")
    files.add_argument(
        "-c", "--config", metavar="CONFIG", help="a gunicorn.conf.py; it is run, as Gunicorn does"
    )
    traffic = parser.add_argument_group("traffic, host and LaunchDarkly")
    for flag in FLAGS:
        _add_ours(traffic, flag, replications if flag.field == "replications" else None)
    traffic.add_argument("--trace", metavar="FILE.csv", help=f"replay it: {trace_file.HEADER}")
    traffic.add_argument(
        "--access-log",
        metavar="FILE",
        help="replay the requests of an access log of Gunicorn, nginx or Apache, gzipped or not: "
        "the common or combined format with the request time at the end of each line (%%(D)s, "
        "%%(L)s, $request_time), or --log-format; what is assumed is said below the result",
    )
    traffic.add_argument(
        "--log-format",
        metavar="FORMAT",
        help="of --access-log, as the server's own setting has it: Gunicorn's access_log_format "
        "with %%(t)s and one of %%(D)s %%(L)s %%(M)s %%(T)s; nginx's log_format with $time_local, "
        "$time_iso8601 or $msec, and $upstream_response_time or $request_time; Apache's LogFormat "
        "with %%t and %%D or %%{ms}T",
    )
    traffic.add_argument(
        "--log-cpu",
        type=_reader("log-cpu", float),
        metavar="PART",
        help="part of the logged request times that is CPU, from 0 to 1 [0]; the rest is I/O",
    )
    traffic.add_argument(
        "--disturb",
        type=_disturbance,
        action="append",
        metavar="SPEC",
        help="what goes wrong besides what the experiment says, at AT s; may be given many times: "
        + "; ".join(f"'{form}'" for form in disturbance_flag.FORMS.values()),
    )
    server = parser.add_argument_group(
        "server", "Gunicorn's own; its other flags are accepted too, and named as not modelled"
    )
    for name, setting in gunicorn_config.known_settings().items():
        if name in SERVER_FIELDS:
            _add_gunicorns(server, setting)
        elif name != "config" and setting.cli:
            _add_hidden(parser, setting)


def experiment_from(args: argparse.Namespace) -> tuple[Experiment, tuple[str, ...]]:
    """The experiment that the parsed flags and the files that they name describe.

    Args:
        args: parsed by a parser to which `add_experiment_arguments` added the flags.

    Returns:
        The experiment, and notices: one line for each thing that was asked for and that the
        prediction will not show.

    Raises:
        ExperimentError: when a file or a value cannot be understood or run.
    """
    known = gunicorn_config.known_settings()
    base = Experiment(server=Server(workers=known["workers"].get()))
    changes: experiment_file.Changes = {}
    notices: list[str] = []
    if args.experiment is not None:
        changes = experiment_file.changes(toml_file.load(Path(args.experiment)), args.experiment)
        # Refused under the file's name, before anything overrides it.
        said = experiment_file.apply(changes, args.experiment, base)
    else:
        said = base
    if args.costs is not None:
        host = costs_file.read(Path(args.costs), costs_file.CostsFile(said.costs, said.memory))
        for table, costs in host._asdict().items():
            changes[table] = {cost.name: getattr(costs, cost.name) for cost in fields(costs)}
    if args.config is not None:
        config = gunicorn_config.read(args.config)
        changes.setdefault("server", {}).update(config.settings)
        if config.postfork:
            changes.setdefault("launchdarkly", {}).update(enabled=True, postfork=True)
        notices += _not_modelled(args.config, config.ignored, config.harmless)
    _take_flags(args, changes)
    notices += _take_access_log(args, changes)
    experiment = experiment_file.apply(changes, COMMAND_LINE, base)
    _refuse_unread(args, experiment)
    notices += _too_late(experiment)
    notices += _other_flags(args, known)
    return experiment, tuple(notices)


def _add_ours(group: argparse._ArgumentGroup, flag: Flag, default: int | None) -> None:
    """Add a flag; with a ``default`` of the command, it holds as if it had been given."""
    table = getattr(Experiment(), flag.table) if flag.table else Experiment()
    shown = toml_file.plain(getattr(table, flag.field)) if default is None else default
    # The default is only shown, as Gunicorn shows its own: None is how "not given" is known.
    help_ = flag.help if shown is None else f"{flag.help} [{shown}]"
    if isinstance(flag.kind, tuple):
        group.add_argument(flag.name, choices=flag.kind, help=help_)
    elif flag.kind is bool and flag.metavar is not None:
        yes = group.add_argument(flag.name, action="store_const", const=True, help=flag.help)
        group.add_argument(
            flag.metavar,
            dest=yes.dest,
            action="store_const",
            const=False,
            help=f"the opposite of {flag.name}",
        )
    else:
        group.add_argument(
            flag.name,
            type=_reader(flag.name.removeprefix("--"), flag.kind),
            metavar=flag.metavar,
            default=default,
            help=help_,
        )


def _add_gunicorns(group: argparse._ArgumentGroup, setting: Any) -> None:  # noqa: ANN401
    option = _Option(setting)
    if setting.type is int:
        option.keywords["type"] = _reader(setting.name, int)
    elif setting.name == "worker_class":
        option.keywords["type"] = _worker_class
    group.add_argument(*option.names, **option.keywords)


def _add_hidden(parser: argparse.ArgumentParser, setting: Any) -> None:  # noqa: ANN401
    option = _Option(setting)
    option.keywords |= {"help": argparse.SUPPRESS, "dest": HIDDEN + setting.name}
    for name in option.names:
        try:
            parser.add_argument(name, **option.keywords)
        except argparse.ArgumentError:
            continue  # The command's own flag of that name wins.


class _Option:
    """What Gunicorn's `Setting.add_option` tells the parser that it thinks this is."""

    def __init__(self, setting: Any) -> None:  # noqa: ANN401
        self.names: tuple[str, ...] = ()
        self.keywords: dict[str, Any] = {}
        setting.add_option(self)

    def add_argument(self, *names: str, **keywords: object) -> None:
        self.names = names
        self.keywords = keywords


def _reader(name: str, kind: type) -> Callable[[str], Any]:
    """A reader of one flag's text.

    It raises `argparse.ArgumentError`, because of every other exception argparse makes a message
    of its own.
    """
    expected = {int: "a whole number", float: "a number", Distribution: SYNTAX}[kind]

    def read(text: str) -> Any:  # noqa: ANN401 - of the type `kind`
        try:
            return Distribution.parse(text) if kind is Distribution else kind(text)
        except ExperimentError as error:
            raise argparse.ArgumentError(None, f"{name}: {error}") from None
        except ValueError:
            raise argparse.ArgumentError(
                None, f"{name} is {reprlib.repr(text)}; expected {expected}"
            ) from None

    return read


def _worker_class(text: str) -> str:
    try:
        return settings.worker_class_of(text)
    except ExperimentError as error:
        raise argparse.ArgumentError(None, str(error)) from None


def _disturbance(text: str) -> Disturbance:
    try:
        return disturbance_flag.parse(text)
    except ExperimentError as error:
        raise argparse.ArgumentError(None, f"--disturb {text!r}: {error}") from None


def _dest(flag: Flag) -> str:
    return flag.name.removeprefix("--").replace("-", "_")


def _take_flags(args: argparse.Namespace, changes: experiment_file.Changes) -> None:
    """Add to ``changes`` what the flags say."""
    if args.duration is not None and args.requests is not None:
        raise ExperimentError("--duration and --requests are both given; expected one of them")
    traffic = changes.setdefault("traffic", {})
    if args.duration is not None:
        traffic["requests"] = None
    if args.trace is not None:
        traffic["trace"] = trace_file.read(Path(args.trace))
        traffic["arrivals"] = "trace"
    elif args.arrivals is not None and args.arrivals != "trace":
        traffic["trace"] = ()
    elif args.arrivals == "trace" and not traffic.get("trace") and args.access_log is None:
        raise ExperimentError("--arrivals trace is given without a trace; expected --trace FILE")
    for flag in FLAGS:
        value = getattr(args, _dest(flag))
        if value is not None:
            changes.setdefault(flag.table, {})[flag.field] = value
    if args.disturb is not None:
        top = changes.setdefault("", {})
        top["disturbances"] = (*top.get("disturbances", ()), *args.disturb)
    for name in SERVER_FIELDS:
        value = getattr(args, name)
        if value is not None:
            changes.setdefault("server", {})[name] = value


def _take_access_log(args: argparse.Namespace, changes: experiment_file.Changes) -> tuple[str, ...]:
    """Add to ``changes`` the trace that ``--access-log`` makes; returns its notices."""
    if args.access_log is None:
        for flag, value in (("--log-format", args.log_format), ("--log-cpu", args.log_cpu)):
            if value is not None:
                raise ExperimentError(f"{flag} is given without --access-log FILE")
        return ()
    if args.trace is not None:
        raise ExperimentError("--trace and --access-log are both given; expected one of them")
    if args.arrivals not in (None, "trace"):
        raise ExperimentError(
            f"--arrivals {args.arrivals} and --access-log are both given; expected one of them"
        )
    path = Path(args.access_log)
    seed = changes.get("", {}).get("seed", Experiment().seed)
    with progress(f"reading {path.name}", path.stat().st_size if path.exists() else 0) as done:
        log = access_log.read(path, args.log_format, seed, args.log_cpu or 0.0, done)
    changes.setdefault("traffic", {}).update(arrivals="trace", trace=log.rows)
    return log.notices


def _refuse_unread(args: argparse.Namespace, experiment: Experiment) -> None:
    """Refuse a flag that this experiment would not read."""
    arrivals = experiment.traffic.arrivals
    for name in UNREAD[arrivals]:
        if getattr(args, name) is not None:
            raise ExperimentError(
                f"--{name} is given, but arrivals is {arrivals!r}, which does not read it; "
                f"expected --arrivals {' or '.join(_readers(name))}"
            )
    if args.retry_delay is not None and not experiment.traffic.retries:
        raise ExperimentError("--retry-delay is given without retries; expected --retries N")
    if not experiment.launchdarkly.enabled:
        for flag in FLAGS:
            value = getattr(args, _dest(flag))
            if flag.table == "launchdarkly" and flag.field != "enabled" and value is not None:
                given = flag.metavar if value is False else flag.name
                raise ExperimentError(
                    f"{given} is given without LaunchDarkly; expected --launchdarkly"
                )


def _too_late(experiment: Experiment) -> list[str]:
    """A notice of each disturbance that comes when the last request has been sent."""
    traffic = experiment.traffic
    if traffic.arrivals == "trace":
        end = traffic.trace[-1].arrival_s
    elif traffic.requests is None:
        end = traffic.duration
    else:
        return []
    return [
        f"The disturbance at {disturbance.at:g} s comes after the last arrival; it happens only if "
        "a request still waits for its answer then."
        for disturbance in experiment.disturbances
        if disturbance.at >= end
    ]


def _readers(name: str) -> list[str]:
    """The kinds of arrivals that read the flag ``name``."""
    return [arrivals for arrivals in ARRIVALS if name not in UNREAD[arrivals]]


def _other_flags(args: argparse.Namespace, known: dict[str, Any]) -> list[str]:
    """A notice of the Gunicorn flags that were given and are not modelled."""
    ignored: list[str] = []
    harmless: list[str] = []
    for name, setting in known.items():
        value = getattr(args, HIDDEN + name, None)
        if value is None:
            continue
        flag = setting.cli[-1]
        gunicorn_config.validated(setting, value, flag)
        (harmless if name in settings.HARMLESS else ignored).append(flag)
    return _not_modelled(COMMAND_LINE, tuple(ignored), tuple(harmless))


def _not_modelled(where: str, ignored: tuple[str, ...], harmless: tuple[str, ...]) -> list[str]:
    parts = []
    if ignored:
        parts.append(f"not modelled: {', '.join(ignored)}")
    if harmless:
        parts.append(f"no effect on queueing: {', '.join(harmless)}")
    return [f"{where}: {'; '.join(parts)}"] if parts else []
