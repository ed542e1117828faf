"""``dllm-rl sft``: samples, views, updates."""

from pathlib import Path

import torch

from dllm_rl.config.sft import SftConfig
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import family_configured, load_configured
from dllm_rl.families import LanguageModel
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Sample
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.pairs import refuse_views
from dllm_rl.training.phases import Phases
from dllm_rl.training.runner import Figures, Report, train
from dllm_rl.training.samples import load_samples
from dllm_rl.training.stream import Stream
from dllm_rl.training.updates import Scores
from dllm_rl.views import build_views

RATIO_BINS = 5
"""Equal intervals of the mask ratio that the loss is logged for."""


def run_sft(config: SftConfig, folder: Path, display: Display) -> Figures:
    """Fine-tune to ``max_steps`` updates and save the model; figures go to ``run_dir/metrics.jsonl`` and the trackers.

    Args:
        config: the run.
        folder: what relative paths start from.
        display: for progress.

    Returns:
        the last update's figures.

    Raises:
        ValueError: anything the user can mend.
        FloatingPointError: the gradient is not finite; the last checkpoint holds the last good weights.
    """
    refuse_views(config.views, family_configured(config.model))
    return train(SftLoop(config, folder, load_configured(config.model)), config, display, "sft")


class SftLoop:
    """What a run needs between updates: model, sample order, optimiser."""

    def __init__(self, config: SftConfig, folder: Path, lm: LanguageModel) -> None:
        """Read the samples; names are resolved against ``folder``."""
        self.lm = lm
        self._config, self._folder = config, folder
        self._stream: Stream[Sample] = Stream(load_samples(config, lm, folder), config.seed)
        self.optimizer = Optimizer(lm, config.optimizer, config.max_steps)

    def opening(self, display: Display) -> Report:
        """Nothing but the step's number."""
        return Report({})

    def step(self, number: int) -> Report:
        """One update with fresh noise; ``number`` counts from 0."""
        phases, config = Phases(), self._config
        with phases("layout"):
            samples = self._stream.take(number * config.batch_size, config.batch_size)
            views = build_views(config.views.name, samples, seed=config.seed + number, folder=self._folder,
                                block_size=self.lm.training_blocks, pad_token_id=self.lm.pad_token_id,
                                **config.views.option_values())
            lengths = [len(sample.response_ids) for sample in samples]
            batch = UpdateBatch(self.lm, samples, views, torch.ones(len(samples)),
                                BatchSizes(max(lengths), sum(lengths)), config.reduction,
                                config.max_tokens_per_micro_batch)
        with phases("update"):
            scores = batch.backward(cross_entropy)
            rate = self.optimizer.learning_rate
            norm = self.optimizer.step() if len(scores.logps) else None
        figures = {"loss": scores.loss, "gradient_norm": norm, "learning_rate": rate, "tokens": batch.num_tokens,
                   "targets": len(scores.logps), "entropy": float(scores.entropy.mean()) if len(scores.entropy) else None,
                   "loss_by_mask_ratio": loss_by_mask_ratio(batch, scores)}
        note = f"loss {scores.loss:.3f}" if norm is not None else "no target in this batch, update skipped"
        return Report({**figures, **phases.seconds()}, note)


def loss_by_mask_ratio(batch: UpdateBatch, scores: Scores) -> dict[str, float]:
    """Mean cross-entropy (nats) of the targets whose views mask a share of the response within each of five intervals.

    Keys are such as ``"0.2-0.4"``, upper end included; an interval without targets is left out.
    """
    ratios = torch.tensor([float(view.masked.sum()) / len(sample.response_ids)
                           for sample, views in zip(batch.samples, batch.views, strict=True) for view in views])
    bins = (ratios * RATIO_BINS).ceil().clamp(1, RATIO_BINS).long()[batch.targets.row] - 1
    sums, counts = torch.zeros(RATIO_BINS), torch.zeros(RATIO_BINS)
    sums.index_add_(0, bins, -scores.logps.cpu())
    counts.index_add_(0, bins, torch.ones(len(bins)))
    return {f"{place / RATIO_BINS:.1f}-{(place + 1) / RATIO_BINS:.1f}": float(sums[place] / counts[place])
            for place in range(RATIO_BINS) if counts[place]}
