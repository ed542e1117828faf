"""Action views and the sampler they are asked of: what makes no sense is refused before any weight is read."""

from dllm_rl.config.options import TraceActionViewOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding.replay import losing_strategy


def refuse_action_views(config: RlConfig) -> None:
    """Raise ``ValueError`` if ``trace_action`` is asked of a sampler whose losing candidates have no likelihood."""
    if isinstance(config.views.options, TraceActionViewOptions):
        losing_strategy(config.rollout.decoding)
