"""The SimPy model, one file for each real thing.

::

    engine/    linux/    cpython/    gunicorn/    caches/
       |         |           |           |           |
       '---------+-----------+-----------+-----------'
                             |
    client, launchdarkly, disturb, memory --> simulation.predict(experiment) -> Run
"""

from typing import TYPE_CHECKING, Any

from sim.compiled import prefer

if TYPE_CHECKING:
    from sim.model.simulation import predict

__all__ = ["predict"]

prefer(__name__, __path__)


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562
    # Only when it is asked for: whoever needs one part does not load all of them.
    if name == "predict":
        from sim.model.simulation import predict  # noqa: PLC0415

        return predict
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
