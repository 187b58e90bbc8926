"""What a kubelet did, as text."""

from __future__ import annotations

from sim.analysis.kubelet import Kubelet
from sim.reports.recovery_report import number, seconds


def kubelet_sentence(kubelet: Kubelet) -> str:
    """Probes, restarts and the time out of the Service, as a sentence."""
    probes = ", ".join(
        f"{number(count.probes)} {count.kind}"
        + (f" ({number(count.failed)} failed)" if count.failed else "")
        for count in kubelet.probes
    )
    text = f"Probes: {probes or 'none came'}"
    if kubelet.restarts:
        times = "once" if kubelet.restarts == 1 else f"{number(kubelet.restarts)} times"
        text += f"; the container was restarted {times}"
    if kubelet.not_ready_s:
        text += f"; the pod was out of its Service for {seconds(kubelet.not_ready_s)} s"
    return f"{text}."
