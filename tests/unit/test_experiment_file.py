"""An experiment survives being written, and a document that says nonsense is refused."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import troubled

from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, LaunchDarkly, Server, TraceRow, Traffic
from sim.experiment.costs import Costs
from sim.experiment.distribution import Distribution
from sim.experiment.document import to_dict
from sim.experiment.memory_costs import MemoryCosts
from sim.experiment.release import NEWEST
from sim.experiment.release_defaults import default_costs, default_memory
from sim.reading import costs_file, experiment_file, trace_file
from sim.reading.costs_file import CostsFile

seconds = st.floats(0, 1e6, allow_nan=False)
positive = st.floats(1e-6, 1000)
whole = st.integers(0, 10_000)
distributions = st.one_of(
    st.builds(lambda mean: Distribution("exp", (mean,)), seconds),
    st.builds(lambda a, b: Distribution("uniform", tuple(sorted((a, b)))), seconds, seconds),
    st.builds(
        lambda p, a, b: Distribution("bimodal", (p, a, b)), st.floats(0, 1), seconds, seconds
    ),
)
servers = st.builds(
    Server,
    workers=st.integers(1, 1024),
    threads=st.integers(1, 4096),
    worker_class=st.sampled_from(("sync", "gthread")),
    timeout=whole,
    graceful_timeout=whole,
    keepalive=whole,
    max_requests=whole,
    preload_app=st.booleans(),
    reuse_port=st.booleans(),
)
traces = st.lists(st.builds(TraceRow, seconds, seconds, seconds), min_size=1, max_size=5).map(
    lambda rows: tuple(sorted(rows, key=lambda row: row.arrival_s))
)
traffics = st.one_of(
    st.builds(
        Traffic,
        arrivals=st.sampled_from(("poisson", "constant", "closed")),
        rate=positive,
        duration=positive,
        requests=st.none() | st.integers(1, 10**6),
        users=st.integers(1, 1000),
        think=distributions,
        connection=st.sampled_from(("new", "keepalive")),
        io=distributions,
        cpu=distributions,
        drain=seconds,
        timeout=st.none() | positive,
        retries=st.integers(0, 1000),
        retry_delay=seconds,
    ),
    st.builds(Traffic, arrivals=st.just("trace"), trace=traces),
)
experiments = st.builds(
    Experiment,
    server=servers,
    host=st.builds(Host, cores=st.integers(1, 4096)),
    traffic=traffics,
    launchdarkly=st.builds(
        LaunchDarkly, st.booleans(), seconds, seconds, st.booleans(), st.booleans()
    ),
    seed=whole,
    replications=st.integers(1, 10_000),
)


@given(experiments | troubled)
def test_an_experiment_comes_back_from_json(experiment: Experiment) -> None:
    document = json.loads(json.dumps(to_dict(experiment), allow_nan=False))
    assert experiment_file.from_dict(document, "run") == experiment


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_overrides_only_what_it_says(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        'seed = 7\n[server]\nworkers = 3\nworker_class = "gunicorn.workers.gthread.ThreadWorker"\n'
        '[traffic]\nrate = 5\nio = "const:0.1"\n[launchdarkly]\nenabled = true\n',
    )
    assert experiment_file.read(path, Experiment(host=Host(cores=8))) == Experiment(
        server=Server(workers=3, worker_class="gthread"),
        host=Host(cores=8),
        traffic=Traffic(rate=5.0, io=Distribution("const", (0.1,))),
        launchdarkly=LaunchDarkly(enabled=True),
        seed=7,
    )


def test_a_trace_is_found_beside_the_file_that_names_it(tmp_path: Path) -> None:
    rows = (TraceRow(0.0, 0.1, 0.0), TraceRow(1 / 3, 0.0, 0.2))
    trace_file.write(tmp_path / "t.csv", rows)
    traffic = experiment_file.read(written(tmp_path, '[traffic]\ntrace = "t.csv"')).traffic
    assert traffic == Traffic(arrivals="trace", trace=rows)


def test_a_trace_is_read_with_mark_crlf_and_blank_end(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfarrival_s,io_s,cpu_s\r\n0,1,2\r\n3.5,4,5\r\n\r\n\n")
    assert trace_file.read(path) == (TraceRow(0, 1, 2), TraceRow(3.5, 4, 5))


@given(traces)
def test_a_trace_comes_back(rows: tuple[TraceRow, ...]) -> None:
    # Not tmp_path: hypothesis calls this many times with one.
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "t.csv"
        trace_file.write(path, rows)
        assert trace_file.read(path) == rows


REFUSED = {
    "unknown key": (
        "[server]\nwokers = 1",
        r"\[server\] has an unknown key 'wokers'; did you mean",
    ),
    "unknown table": ("[sever]\n", "unknown key 'sever'; did you mean 'server'"),
    "syntax": ("[server]\nworkers = = 2", r"line 2, column 11"),
    "no table": ("server = 3", r"\[server\] is 3; expected a table"),
    "bool for int": ("[server]\nworkers = true", r"\[server\] workers is True; expected a whole"),
    "float for int": ("[server]\nworkers = 2.0", r"workers is 2.0; expected a whole number"),
    "text for int": ('seed = "1"', "seed is '1'; expected a whole number"),
    "text for float": ('[traffic]\nrate = "5"', r"\[traffic\] rate is '5'; expected a number"),
    "endless int": ("[traffic]\nrate = 1" + "0" * 400, "rate is .*; expected a number"),
    "nan": ("[traffic]\nrate = nan", "rate is nan; expected a finite number > 0"),
    "range": ("[server]\nworkers = 0", "workers is 0; expected a whole number from 1"),
    "int for bool": ("[server]\npreload_app = 1", "preload_app is 1; expected true or false"),
    "choice": ('[traffic]\nconnection = "x"', "connection is 'x'; expected one of new, keepalive"),
    "number for choice": ("[traffic]\nconnection = 1", "connection is 1; expected one of new"),
    "distribution": ('[traffic]\nio = "exp"', r"\[traffic\] io: distribution 'exp' is not"),
    "number for distribution": ("[traffic]\nio = 0.05", "io is 0.05; expected text in quotes"),
    "tornado": ('[server]\nworker_class = "tornado"', "worker_class is 'tornado'; expected sync,"),
    "short trace row": ("[traffic]\ntrace = [[1.0, 2.0]]", r"trace\[0\] is a list of 2; expected"),
    "text in trace": ('[traffic]\ntrace = [[1.0, 2.0, "x"]]', r"trace\[0\]\[2\] is 'x'; expected"),
    "missing trace": ('[traffic]\ntrace = "no.csv"', r"no.csv: cannot be read \(No such file"),
    "costs": ("[costs]\nnothing = 1", r"\[costs\] has an unknown key 'nothing'; .*expected one of"),
    "patience": ("[traffic]\ntimeout = 0", "traffic timeout is 0.0; expected a finite number > 0"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_a_document_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ExperimentError, match=message) as caught:
        experiment_file.read(path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExperimentError, match="byte 0 is not UTF-8; expected a TOML file"):
        experiment_file.read(path)


COST = next(iter(Costs.__dataclass_fields__))


def test_a_costs_file_overrides_only_what_it_says(tmp_path: Path) -> None:
    default = CostsFile(Costs(), MemoryCosts())
    assert costs_file.read(written(tmp_path, "[costs]\n")) == default
    assert costs_file.read(written(tmp_path, "[memory]\n")) == default
    found = costs_file.read(written(tmp_path, "[costs]\nfork = 0.125"))
    assert found == CostsFile(replace(Costs(), fork=0.125), MemoryCosts())
    found = costs_file.read(written(tmp_path, "[memory]\nthread = 60_000"))
    assert found == CostsFile(Costs(), replace(MemoryCosts(), thread=60_000.0))


def test_a_costs_file_says_which_release_and_machine_it_is_of(tmp_path: Path) -> None:
    costs = replace(Costs(), fork=0.125)
    host = CostsFile(costs, MemoryCosts(), "23.0.0", 'a "machine"', "gthread")
    assert costs_file.read(written(tmp_path, costs_file.text(host, [], {}))) == host
    # What the file leaves out is the release's.
    said = costs_file.read(written(tmp_path, 'gunicorn = "23.0.0"\n[costs]\nfork = 0.125'))
    assert said.costs == replace(default_costs("23.0.0"), fork=0.125)
    said = costs_file.read(written(tmp_path, 'worker_class = "gevent"\n[costs]\nfork = 0.125'))
    assert said.costs == replace(default_costs(NEWEST, "gevent"), fork=0.125)
    assert said.memory == default_memory("gevent")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has neither a table \[costs\] nor \[memory\]; expected one"),
        ("[cost]", "unknown key 'cost'; did you mean 'costs'"),
        ('gunicorn = "23.0"\n[costs]', "gunicorn is '23.0'; expected one of the releases"),
        ("machine = 1\n[costs]", "machine is 1; expected text"),
        ('worker_class = "tornado"\n[costs]', "worker_class is 'tornado'; expected one of sync"),
        ("costs = 1", r"\[costs\] is 1; expected a table"),
        ("[memory]\nfork = 1", r"\[memory\] has an unknown key 'fork'"),
        ("[memory]\nthread = '55 kB'", r"thread is '55 kB'; expected a number"),
        ("[memory]\nthread = nan", r"thread is nan; expected a finite number of bytes"),
        ("[memory]\nthread = -1", r"thread is -1.0; expected a finite number of bytes"),
        ("[costs]\nnothing = 1", r"\[costs\] has an unknown key 'nothing'"),
        (f"[costs]\n{COST} = true", f"{COST} is True; expected"),
        (f"[costs]\n{COST} = -1.0", f"{COST} is -1.0; expected"),
    ],
)
def test_a_costs_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        costs_file.read(written(tmp_path, text))
