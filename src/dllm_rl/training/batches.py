"""A share of samples laid out for one update: packs, targets, and what each target carries.

Letters: S samples, M targets.
"""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from dllm_rl.config.options import ReductionOptions
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood import Targets, build_packs
from dllm_rl.objectives.reduction import BatchSizes, kl_factor, target_scale
from dllm_rl.records import Rollout, Sample, TargetBatch, View
from dllm_rl.training.updates import Items, Scores, TargetColumns, backward, evaluate


class UpdateBatch:
    """Samples, their views and advantages, packed under a token budget."""

    def __init__(self, lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]],
                 advantages: Tensor, sizes: BatchSizes, reduction: ReductionOptions, max_tokens: int,
                 kl_reduction: ReductionOptions | None = None) -> None:
        """Lay out the batch.

        Args:
            lm: the model.
            samples: S samples.
            views: of each sample.
            advantages: (S,) float32, one per sample.
            sizes: lengths the divisor may need.
            reduction: which divisor.
            max_tokens: budget of a pack.
            kl_reduction: the divisor of KL terms, if it is another one.
        """
        self._lm = lm
        self._packs, self.targets = build_packs(samples, views, lm.mask_token_id, lm.block_size, max_tokens,
                                                 lm.family.logit_shift)
        scale = target_scale(reduction, self.targets.row, self.targets.weight, sizes)
        factor = kl_factor(reduction, kl_reduction or reduction, self.targets.row, sizes)
        self._advantages, self._sizes, self._reduction, self._kl_reduction = advantages, sizes, reduction, kl_reduction
        self._columns = TargetColumns(None, advantages[self.targets.response], scale, factor)
        self.num_tokens = sum(len(pack.ids) for pack in self._packs)
        self.samples, self.views = list(samples), list(views)

    targets: Targets
    """Every target of the batch, in the flat order."""

    def evaluate(self) -> Scores:
        """Log-probabilities and entropies at all targets under the present weights."""
        return evaluate(self._lm, self._packs, self.targets)

    def remember_old(self) -> Scores:
        """Fix the old log-probabilities: those under the present weights, which are returned."""
        scores = self.evaluate()
        self._columns = replace(self._columns, old_logps=scores.logps)
        return scores

    def backward(self, items: Items) -> Scores:
        """Accumulate the gradient of the loss that ``items`` makes."""
        return backward(self._lm, self._packs, self.targets, self._columns, items)

    def batch(self, scores: Scores) -> TargetBatch:
        """All targets as one batch with the log-probabilities of a pass, on the CPU and without gradients."""
        logps = scores.logps.cpu()
        old = logps if self._columns.old_logps is None else self._columns.old_logps.cpu()
        return TargetBatch(logps, old, self._columns.advantages.cpu(), self._columns.scale.cpu(), self.targets.response,
                           self.targets.row, self._columns.kl_factor.cpu())
