"""A share of samples laid out for one update: packs, targets, and what each target carries.

Letters: S samples, M targets.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from dllm_rl.config.options import ReductionOptions, TokenClipOptions
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import build_packs
from dllm_rl.objectives.diagnostics import ratio_statistics
from dllm_rl.objectives.reduction import BatchSizes, target_scale
from dllm_rl.records import Rollout, Sample, TargetBatch, View
from dllm_rl.training.updates import Items, TargetColumns, backward, evaluate_log_probs


class UpdateBatch:
    """Samples, their views and advantages, packed under a token budget."""

    def __init__(self, lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]],
                 advantages: Tensor, sizes: BatchSizes, reduction: ReductionOptions, max_tokens: int) -> None:
        """Lay out the batch.

        Args:
            lm: the model.
            samples: S samples.
            views: of each sample.
            advantages: (S,) float32, one per sample.
            sizes: lengths the divisor may need.
            reduction: which divisor.
            max_tokens: budget of a pack.
        """
        self._lm = lm
        self._packs, self._targets = build_packs(samples, views, lm.mask_token_id, lm.block_size, max_tokens)
        targets = self._targets
        scale = target_scale(reduction, targets.row, targets.weight, sizes)
        self._columns = TargetColumns(None, advantages[targets.response], scale)
        self.num_tokens = sum(len(pack.ids) for pack in self._packs)

    @property
    def num_targets(self) -> int:
        """M, targets of all views."""
        return len(self._targets.labels)

    def remember_old(self) -> None:
        """Fix the old log-probabilities: those under the present weights."""
        self._columns = replace(self._columns, old_logps=evaluate_log_probs(self._lm, self._packs, self._targets))

    def backward(self, items: Items) -> dict[str, float]:
        """Accumulate gradients; returns loss and ratio statistics."""
        loss, logps = backward(self._lm, self._packs, self._targets, self._columns, items)
        old = logps if self._columns.old_logps is None else self._columns.old_logps
        batch = TargetBatch(logps, old, self._columns.advantages.to(logps.device),
                            self._columns.scale.to(logps.device), self._targets.response, self._targets.row)
        statistics = ratio_statistics(batch, TokenClipOptions())
        return {"loss": loss, "clip_fraction": statistics.clip_fraction, "ratio_min": statistics.ratio_min,
                "ratio_max": statistics.ratio_max, "kl": statistics.approx_kl}
