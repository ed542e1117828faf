"""``dllm-rl sft``: samples, views, updates."""

import time
from pathlib import Path

import torch

from dllm_rl.config.sft import SftConfig
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import load_configured
from dllm_rl.families import LanguageModel
from dllm_rl.objectives.cross_entropy import cross_entropy
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Sample
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.samples import load_samples
from dllm_rl.training.stream import Stream
from dllm_rl.views import build_views

Figures = dict[str, float]


def run_sft(config: SftConfig, folder: Path, display: Display) -> Figures:
    """Fine-tune for ``max_steps`` updates and save the model; figures go to ``run_dir/metrics.jsonl``.

    Args:
        config: the run.
        folder: what relative paths start from.
        display: for progress.

    Returns:
        the last update's figures.

    Raises:
        ValueError: anything the user can mend.
        FloatingPointError: the gradient is not finite.
    """
    loop = SftLoop(config, folder, load_configured(config.model))
    run = RunFolder(config.run_dir, config)
    figures: Figures = {}
    with display.bar("sft", config.max_steps) as bar:
        for number in range(config.max_steps):
            figures = loop.step(number)
            run.log({"step": number + 1, **figures})
            bar.advance(note=f"loss {figures['loss']:.3f}")
    run.save(loop.lm)
    display.line(f"model saved in {run.checkpoint}")
    return figures


class SftLoop:
    """What a run needs between updates: model, sample order, optimiser."""

    def __init__(self, config: SftConfig, folder: Path, lm: LanguageModel) -> None:
        """Read the samples; names are resolved against ``folder``."""
        self.lm = lm
        self._config, self._folder = config, folder
        self._stream: Stream[Sample] = Stream(load_samples(config, lm, folder), config.seed)
        self._optimizer = Optimizer(lm, config.optimizer, config.max_steps)

    def step(self, number: int) -> Figures:
        """One update with fresh noise; ``number`` counts from 0."""
        start, config = time.perf_counter(), self._config
        samples = self._stream.take(number * config.batch_size, config.batch_size)
        views = build_views(config.views.name, samples, seed=config.seed + number, folder=self._folder,
                            block_size=self.lm.block_size, pad_token_id=self.lm.pad_token_id,
                            **config.views.option_values())
        lengths = [len(sample.response_ids) for sample in samples]
        batch = UpdateBatch(self.lm, samples, views, torch.ones(len(samples)), BatchSizes(max(lengths), sum(lengths)),
                            config.reduction, config.max_tokens_per_micro_batch)
        loss = batch.backward(cross_entropy)["loss"]
        rate = self._optimizer.learning_rate
        return {"loss": loss, "gradient_norm": self._optimizer.step(), "learning_rate": rate,
                "tokens": float(batch.num_tokens), "targets": float(batch.num_targets),
                "seconds": time.perf_counter() - start}
