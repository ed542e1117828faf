"""The reinforcement-learning loop: tasks, rollouts, rewards, advantages, views, updates (SPEC 2, DESIGN 7)."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.summary import Summary, summarize
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.likelihood import build_packs
from dllm_rl.objectives.reduction import BatchSizes, target_scale
from dllm_rl.records import Rollout, Scored, TargetBatch, Task
from dllm_rl.registry import ADVANTAGES, KL_TERMS, POLICY_LOSSES
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.task_stream import TaskStream
from dllm_rl.training.updates import TargetColumns, backward, evaluate_log_probs
from dllm_rl.views import build_views

Figures = dict[str, float]


class RlLoop:
    """Everything a run needs between steps."""

    def __init__(self, config: RlConfig, folder: Path, lm: LanguageModel) -> None:
        """Prepare tasks, reward, objective and optimiser; names are resolved against ``folder``."""
        self.config, self.lm = config, lm
        self._folder = folder
        self._stream = TaskStream(load_tasks(config.tasks.name, config.tasks.options, folder), config.seed)
        reward = build_reward(config.reward.name, config.reward.options, folder)
        self._answerer = Answerer(lm, LocalDecoder(lm), config.prompt, config.rollout.decoding, reward,
                                  config.rollout.num_response_per_task)
        self._held_out = load_tasks(config.evaluation.tasks.name, config.evaluation.tasks.options, folder)
        self._judge = Answerer(lm, LocalDecoder(lm), config.prompt, config.evaluation.decoding, reward,
                               config.evaluation.num_samples)
        self._advantage = ADVANTAGES.load(config.advantage.name, folder)
        self._policy_loss = POLICY_LOSSES.load(config.policy_loss.name, folder)
        self._kl = KL_TERMS.load(config.kl.name, folder) if config.kl.name != "none" else None
        self._optimizer = Optimizer(lm, config.optimizer, config.max_steps * config.num_updates)

    def evaluate(self, display: Display) -> Summary:
        """Accuracy on the held-out tasks."""
        with display.bar("evaluate", len(self._held_out)) as bar:
            return summarize(self._judge.answer_all(self._held_out, self.config.seed, bar.advance))

    def step(self, number: int) -> Figures:
        """One step: rollouts with the present weights, and updates on them; returns what is logged."""
        start = time.perf_counter()
        count = self.config.rollout.num_task_per_step
        tasks = self._stream.take(number * count, count)
        groups = self._answerer.answer(tasks, self.config.seed + 1 + number)
        decoded = time.perf_counter()
        rollouts, advantages = self._select(groups)
        figures = self._figures(groups, len(rollouts))
        if rollouts:
            figures |= self._update(rollouts, advantages, number)
        return figures | {"seconds_rollout": decoded - start, "seconds_update": time.perf_counter() - decoded}

    def _figures(self, groups: Sequence[Sequence[Scored]], num_trained: int) -> Figures:
        summary = summarize([scored for group in groups for scored in group])
        return {"reward": summary.reward, "accuracy": summary.accuracy, "length": summary.length,
                "share_truncated": summary.share_truncated, "tokens_per_forward": summary.tokens_per_forward,
                "responses_trained": float(num_trained), "updates": 0.0}

    def _select(self, groups: Sequence[Sequence[Scored]]) -> tuple[list[Rollout], list[float]]:
        """Rollouts whose advantage is not zero, of groups whose pass rate lies in the filter's band."""
        rollouts: list[Rollout] = []
        advantages: list[float] = []
        for group in groups:
            rate = sum(bool(scored.correct) for scored in group) / len(group)
            band = self.config.filter
            if band is not None and not band.min_pass_rate <= rate <= band.max_pass_rate:
                continue
            values = self._advantage(torch.tensor([_one_number(scored) for scored in group]),
                                     self.config.advantage.options)
            chosen = [(scored.rollout, float(value)) for scored, value in zip(group, values, strict=True) if value != 0]
            rollouts += [rollout for rollout, _ in chosen]
            advantages += [value for _, value in chosen]
        return rollouts, advantages

    def _update(self, rollouts: list[Rollout], advantages: list[float], number: int) -> Figures:
        """``num_updates`` updates, each on its share of the rollouts, with old log-probs from before the first."""
        config, values = self.config, torch.tensor(advantages)
        views = build_views(config.views.name, rollouts, seed=config.seed + number, folder=self._folder,
                            pad_token_id=self.lm.pad_token_id, **config.views.option_values())
        padded = max(len(rollout.response_ids) for rollout in rollouts)
        shares = torch.arange(len(rollouts)).tensor_split(min(config.num_updates, len(rollouts)))
        batches = [_Batch(self.lm, [rollouts[i] for i in share], [views[i] for i in share], values[share], padded,
                          config) for share in shares]
        if len(batches) * config.num_train_epochs > 1:
            for batch in batches:
                batch.remember()
        figures: Figures = {}
        for _ in range(config.num_train_epochs):
            for batch in batches:
                loss, logps = backward(self.lm, batch.packs, batch.targets, batch.columns, self._items)
                figures = {"loss": loss, "gradient_norm": self._optimizer.step(),
                           "learning_rate": self._optimizer.learning_rate, **batch.statistics(logps)}
        return figures | {"updates": float(len(batches) * config.num_train_epochs)}

    def _items(self, batch: TargetBatch) -> Tensor:
        items: Tensor = self._policy_loss(batch, self.config.policy_loss.options)
        return items if self._kl is None else items + self.config.kl.beta * self._kl(batch)
