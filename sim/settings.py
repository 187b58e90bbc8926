"""Which of Gunicorn's settings the model honours, and what it says about the others.

Every setting of Gunicorn is in exactly one place: a field of `sim.experiment.Server`, each of which
the model honours, `HARMLESS`, or none of them, which means that it is not modelled. None is ever
dropped in silence.
"""

from __future__ import annotations

from sim.errors import ExperimentError
from sim.experiment import Server, WorkerClass

#: Settings without an effect on queueing worth a prediction: names, paths, identities, logging to
#: a file, and what a request may look like. Anything that does work for each request beyond a log
#: line (TLS, statsd, hooks, another logger class) is not here.
HARMLESS: frozenset[str] = frozenset(
    {
        "access_log_format",
        "accesslog",
        "capture_output",
        "casefold_http_method",
        "chdir",
        "check_config",
        "config",
        "control_socket",
        "control_socket_disable",
        "control_socket_mode",
        "daemon",
        "default_proc_name",
        "disable_redirect_access_to_syslog",
        "enable_stdio_inheritance",
        "errorlog",
        "forwarded_allow_ips",
        "forwarder_headers",
        "group",
        "header_map",
        "initgroups",
        "limit_request_field_size",
        "limit_request_fields",
        "limit_request_line",
        "logconfig",
        "logconfig_dict",
        "logconfig_json",
        "loglevel",
        "paste",
        "permit_obsolete_folding",
        "permit_unconventional_http_method",
        "permit_unconventional_http_version",
        "pidfile",
        "print_config",
        "proc_name",
        "proxy_allow_ips",
        "pythonpath",
        "raw_env",
        "raw_paste_global_conf",
        "root_path",
        "secure_scheme_headers",
        "strip_header_spaces",
        "tmp_upload_dir",
        "umask",
        "user",
        "uwsgi_allow_ips",
        "wsgi_app",
    }
)

#: Gunicorn's spellings of the two worker classes that are modelled.
WORKER_CLASS_SPELLINGS: dict[str, WorkerClass] = {
    "sync": "sync",
    "gunicorn.workers.sync.SyncWorker": "sync",
    "gthread": "gthread",
    "gunicorn.workers.gthread.ThreadWorker": "gthread",
}


def bind_of(value: object) -> str:
    """What `Server.bind` has for ``bind = value``: the addresses, parted by commas.

    Args:
        value: text or a list of text, as Gunicorn takes it (`config.validate_list_string`).
    """
    return value if isinstance(value, str) else ",".join(map(str, value))  # type: ignore[call-overload]


def bind_notices(server: Server) -> list[str]:
    """What a prediction does not show of ``server.bind``."""
    first, *others = server.addresses
    notices = []
    if others:
        notices.append(
            f"bind: all clients connect to {first}; more listening sockets are not modelled: "
            f"{', '.join(others)}"
        )
    if first.startswith("fd://"):
        notices.append(f"bind: {first} is taken for a TCP socket; if not, name it as unix:PATH")
    return notices


def worker_class_of(value: object) -> WorkerClass:
    """The modelled worker class that Gunicorn would load for ``worker_class = value``.

    Args:
        value: an alias, the path of a class, or the class itself, as Gunicorn takes it.

    Raises:
        ExperimentError: when it is another worker class, such as gevent or one's own.
    """
    path = f"{value.__module__}.{value.__qualname__}" if isinstance(value, type) else value
    if not isinstance(path, str) or path not in WORKER_CLASS_SPELLINGS:
        raise ExperimentError(
            f"worker_class is {path!r}; expected sync or gthread, the worker classes modelled"
        )
    return WORKER_CLASS_SPELLINGS[path]
