"""What Prometheus reads."""

from dllm_rl.engine import EngineStats
from dllm_rl.serving.worker import Worker

GAUGES = {"num_running": "Sequences in flight.", "num_waiting": "Requests without a slot.",
          "cached_tokens": "Positions cached of sequences in flight.", "cache_capacity": "Positions the cache can hold.",
          "cache_bytes": "Memory of the cache.", "version": "Version of the weights."}
COUNTERS = {"num_forwards": "Passes through the model.", "forwarded_tokens": "Tokens of these passes.",
            "generated_tokens": "Response tokens of ended requests.", "num_preemptions": "Sequences set aside."}


def metrics_text(stats: EngineStats, worker: Worker) -> str:
    """All figures in Prometheus' text format."""
    lines = list[str]()
    values = vars(stats)
    for kind, names in (("gauge", GAUGES), ("counter", COUNTERS)):
        for name, meaning in names.items():
            suffix = "_total" if kind == "counter" else ""
            lines += _lines(f"dllm_{name.removeprefix('num_')}{suffix}", kind, meaning, values[name])
    for name, meaning, value in (("ended", "Responses that have ended.", worker.num_ended),
                                 ("failed", "Responses that failed.", worker.num_failed),
                                 ("refused", "Requests refused because too many waited.", worker.num_refused)):
        lines += _lines(f"dllm_{name}_total", "counter", meaning, value)
    return "\n".join(lines) + "\n"


def _lines(name: str, kind: str, meaning: str, value: int) -> list[str]:
    return [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}", f"{name} {value}"]
