"""A prediction for a host that nobody has measured says so, in the report and in JSON."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reference_app import cli
from reference_app.rig.kernel_hz import kernel_hz
from sim.errors import ExperimentError
from sim.experiment import Experiment, Host, Server
from sim.reading.unmeasured import FREE_THREADED, RULES, unmeasured

GTHREAD = Server(workers=2, threads=4)

#: The rule's number, an experiment that it is about, and one that it is not about.
CASES = {
    "more cores": (0, Experiment(GTHREAD, Host(cores=3)), Experiment(GTHREAD, Host(cores=2))),
    "more cores, and nobody to race": (
        0,
        Experiment(GTHREAD, Host(cores=4)),
        Experiment(Server(workers=1, threads=4), Host(cores=4)),
    ),
    "more cores, limited": (
        0,
        Experiment(GTHREAD, Host(cores=4)),
        Experiment(Server(workers=2, threads=4, worker_connections=4), Host(cores=4)),
    ),
    "more cores, sync": (
        0,
        Experiment(GTHREAD, Host(cores=64)),
        Experiment(Server(workers=2), Host(cores=64)),
    ),
    "remote clients": (
        1,
        Experiment(host=Host(clients="remote")),
        Experiment(host=Host(cores=1, clients="remote")),
    ),
    "a round trip": (
        2,
        Experiment(host=Host(cores=1, clients="remote", rtt=0.02)),
        Experiment(host=Host(cores=1, clients="remote", rtt=0.0)),
    ),
    "another HZ": (3, Experiment(host=Host(hz=1000)), Experiment(host=Host(hz=250))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_host_that_nobody_has_measured_is_named(name: str) -> None:
    number, about, other = CASES[name]
    notice = f"{RULES[number].text}."
    assert unmeasured(about) == [notice]
    assert unmeasured(other) == []


def test_every_rule_has_a_case() -> None:
    assert {number for number, _, _ in CASES.values()} == set(range(len(RULES)))


def test_a_study_that_varies_what_decides_it_says_so() -> None:
    one = Experiment(Server(workers=1, threads=4), Host(cores=4))
    assert unmeasured(one) == []
    assert len(unmeasured(one, ("server.workers",))) == 1
    # On two cores no number of workers changes anything.
    assert unmeasured(Experiment(), ("server.workers",)) == []
    assert len(unmeasured(Experiment(GTHREAD), ("host.cores",))) == 1


def test_report_and_json_have_the_notice() -> None:
    command = [sys.executable, "-m", "sim", "--requests", "20", "--replications", "1"]
    command += ["--clients", "remote", "--hz", "1000"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    words = " ".join(said.split())
    assert "Predictions for remote clients were never held against a measurement" in words
    assert "Predictions for another hz than 250 were never" in words
    done = subprocess.run([*command, "--json"], capture_output=True, check=True, timeout=60)
    document = json.loads(done.stdout)
    assert [text for text in document["notices"] if "never held" in text] == unmeasured(
        Experiment(host=Host(clients="remote", hz=1000))
    )
    assert document["experiment"]["host"]["hz"] == 1000


@pytest.mark.parametrize("command", ["measure", "compare", "validate", "calibrate"])
def test_a_free_threaded_python_is_not_measured(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED")
    with pytest.raises(ExperimentError, match="is a free-threaded build; expected one with a GIL"):
        cli.main([command])


def test_a_prediction_on_a_free_threaded_python_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unmeasured(Experiment()) == []
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED")
    assert unmeasured(Experiment()) == [FREE_THREADED]


def test_hz_is_read_from_the_configuration_of_the_kernel(tmp_path: Path) -> None:
    folder = tmp_path
    plain, packed, broken = folder / "config-6.1", folder / "config.gz", folder / "broken.gz"
    plain.write_text("CONFIG_HZ_300=y\nCONFIG_HZ=300\n")
    packed.write_bytes(gzip.compress(b"# CONFIG_HZ_100 is not set\nCONFIG_HZ=1000\n"))
    broken.write_bytes(b"CONFIG_HZ=100\n")
    assert kernel_hz([plain]) == 300
    assert kernel_hz([folder / "none", broken, packed, plain]) == 1000
    assert kernel_hz([folder / "none", broken]) is None


def test_a_measurement_names_the_hz_of_its_machine() -> None:
    machine = cli._Machine(2, 4096, 1000)
    assert machine.host() == Host(2, 4096, hz=1000)
    assert cli._about_host(Experiment(), machine) == (
        "The experiment's host has hz = 250; this machine, which is measured, has 1000.",
    )
    unknown = machine._replace(hz=None)
    assert unknown.host() == Host(2, 4096)
    (notice,) = cli._about_host(Experiment(), unknown)
    assert notice.startswith("CONFIG_HZ of this machine is in none of /proc/config.gz, /boot/")
    assert notice.endswith("; the prediction has hz = 250.")
    assert machine._replace(hz=333).host() == Host(2, 4096)
