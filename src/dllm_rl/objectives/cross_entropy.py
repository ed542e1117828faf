"""Cross-entropy: the objective of fine-tuning."""

from torch import Tensor

from dllm_rl.records import TargetBatch


def cross_entropy(batch: TargetBatch) -> Tensor:
    """(T,) ``-log p`` of each target in nats; a view's weights and the divisor are in ``batch.scale``."""
    return -batch.logps
