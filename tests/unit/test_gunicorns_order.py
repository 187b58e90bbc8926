"""The model of a file of Gunicorn has the names of that file, in its order.

Goal: a reader can hold Gunicorn's source beside ours, and go down both. Method: compare the methods
of each class with those of the installed Gunicorn; for gthread also name every method of Gunicorn's
that the model has not.
"""

from __future__ import annotations

import ast
from pathlib import Path

import gunicorn
import pytest

GUNICORN = Path(gunicorn.__file__).parent
MODEL = Path(__file__).parents[2] / "sim" / "model" / "gunicorn"

#: Methods of Gunicorn's `ThreadWorker` that the model has not, and why.
NOT_MODELLED = {
    "check_config": "a notice of `sim.reading`",
    "init_process": "builds what `__init__` has here",
    "get_thread_pool": "builds what `__init__` has here",
    "handle_exit": "`Worker.handle_exit`, which wakes every class",
    "handle_quit": "`Worker.handle_quit`",
    "on_pending_socket_readable": "`on_readable`, from which it goes the same way",
    "is_parent_alive": "`Worker.parent_alive`",
    "handle_h2c_upgrade": "HTTP/2",
    "_serve_http2_stream": "HTTP/2",
    "handle_http2": "HTTP/2",
    "handle_http2_request": "HTTP/2",
}


def methods(path: Path, name: str) -> list[str]:
    """The methods of a class, in the order of its source."""
    (found,) = (
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    return [node.name for node in found.body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize(
    ("ours", "theirs", "name"),
    [
        ("arbiter.py", "arbiter.py", "Arbiter"),
        ("worker.py", "workers/base.py", "Worker"),
        ("sync.py", "workers/sync.py", "SyncWorker"),
        ("gthread.py", "workers/gthread.py", "ThreadWorker"),
        ("ggevent.py", "workers/ggevent.py", "GeventWorker"),
        ("gasgi.py", "workers/gasgi.py", "ASGIWorker"),
    ],
)
def test_methods_stand_in_gunicorns_order(ours: str, theirs: str, name: str) -> None:
    gunicorns = methods(GUNICORN / theirs, name)
    here = [method for method in methods(MODEL / ours, name) if method in gunicorns]
    assert len(here) >= 2
    assert here == [method for method in gunicorns if method in here]


def test_gthread_has_every_method_of_gunicorns_or_it_is_said_why_not() -> None:
    here = methods(MODEL / "gthread.py", "ThreadWorker")
    gunicorns = methods(GUNICORN / "workers" / "gthread.py", "ThreadWorker")
    assert set(gunicorns) - set(here) == set(NOT_MODELLED)
