"""What can be said of a proxy, how it is written down, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from reference_app.rig.nginx import configuration
from sim.errors import ExperimentError
from sim.experiment import PROXIES, Experiment, Proxy
from sim.experiment.document import to_dict
from sim.experiment.proxy import UNLIMITED, proxy_of
from sim.reading.experiment_file import from_dict, read

REFUSED = {
    "unknown kind": ({"kind": "haproxy"}, "proxy is 'haproxy'; expected one of none, nginx, alb"),
    "settings without a proxy": (
        {"keepalive": 4},
        "proxy has settings but no kind; expected kind to be one of nginx, alb",
    ),
    "keepalive below 0": (
        {"kind": "nginx", "keepalive": -1},
        "proxy keepalive is -1; expected a whole number from 0 to 65535",
    ),
    "no time to connect": (
        {"kind": "nginx", "connect_timeout": 0.0},
        "proxy connect_timeout is 0.0; expected a finite number > 0",
    ),
    "no time to respond": (
        {"kind": "alb", "read_timeout": 0.0},
        "proxy read_timeout is 0.0; expected a finite number > 0",
    ),
    "endless idleness": (
        {"kind": "alb", "idle_timeout": float("inf")},
        "proxy idle_timeout is inf; expected a finite number > 0",
    ),
}


@pytest.mark.parametrize(("settings", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        Proxy(**settings)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_defaults_are_of_the_kind() -> None:
    none, nginx, alb = (Proxy(kind=kind) for kind in PROXIES)
    assert (none.present, none.kept, none.local) == (False, 0, False)
    assert (nginx.kept, nginx.patience, nginx.retries_kept, nginx.local) == (0, 60.0, True, True)
    assert (alb.kept, alb.patience, alb.retries_kept, alb.local) == (UNLIMITED, 10.0, False, False)
    assert Proxy(kind="nginx", keepalive=16, connect_timeout=1.5).kept == 16
    assert Proxy(kind="nginx", connect_timeout=1.5).patience == 1.5


@pytest.mark.parametrize(
    "proxy", [Proxy(), Proxy(kind="nginx"), Proxy("alb", 7, 30.0, 2.5, 1.25)], ids=lambda p: p.kind
)
def test_a_document_has_it_back(proxy: Proxy) -> None:
    experiment = replace(Experiment(), proxy=proxy)
    document = to_dict(experiment)
    assert ("proxy" in document) is proxy.present
    assert from_dict(document, "here") == experiment
    assert proxy_of(document) == proxy


def test_a_file_says_it(tmp_path: Path) -> None:
    file = tmp_path / "proxy.toml"
    file.write_text('[proxy]\nkind = "nginx"\nkeepalive = 16\nread_timeout = 2.5\n')
    assert read(file).proxy == Proxy(kind="nginx", keepalive=16, read_timeout=2.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--proxy", "haproxy"], "invalid choice: 'haproxy'"),
        (["--proxy-keepalive", "4"], "proxy has settings but no kind"),
        (["--proxy", "nginx", "--proxy-read-timeout", "0"], "proxy read_timeout is 0.0"),
    ],
)
def test_the_command_refuses_in_one_line(arguments: list[str], message: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "sim", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_nginx_is_configured_as_the_experiment_says() -> None:
    text = configuration(
        Proxy(kind="nginx", read_timeout=0.25), "/d", ("127.0.0.1", 8000), ("127.0.0.1", 80)
    )
    assert "proxy_read_timeout 250ms;" in text
    assert "proxy_connect_timeout 60000ms;" in text
    assert "server 127.0.0.1:8000;" in text
    assert "proxy_http_version" not in text, "nginx's default is a new connection each"
    kept = configuration(Proxy(kind="nginx", keepalive=9), "/d", "/run/g.sock", ("127.0.0.1", 80))
    assert "keepalive 9; " in kept
    assert 'proxy_http_version 1.1; proxy_set_header Connection "";' in kept
    assert "server unix:/run/g.sock;" in kept
