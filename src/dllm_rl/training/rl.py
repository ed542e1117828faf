"""``dllm-rl rl``: tasks, rollouts, rewards, advantages, views, updates (SPEC 2, DESIGN 7)."""

import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from dllm_rl.config.rl import RlConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import load_configured
from dllm_rl.evaluation.summary import Summary, summarize
from dllm_rl.families import LanguageModel
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Rollout, Scored, TargetBatch
from dllm_rl.registry import ADVANTAGES, KL_TERMS, POLICY_LOSSES
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.stream import Stream
from dllm_rl.views import build_views

Figures = dict[str, float]


def run_rl(config: RlConfig, folder: Path, display: Display) -> Figures:
    """Train ``max_steps`` steps and save the model; figures go to ``run_dir/metrics.jsonl``.

    Args:
        config: the run.
        folder: what relative paths of tasks, rewards and the user's own objects start from.
        display: for progress.

    Returns:
        accuracy on the held-out tasks before and after, and the last step's figures.

    Raises:
        ValueError: anything the user can mend.
        FloatingPointError: logits or gradients are not finite; the last good weights are not saved.
    """
    loop = RlLoop(config, folder, load_configured(config.model))
    run = RunFolder(config.run_dir, config)
    display.line(f"first prompt: {loop.first_prompt()!r}")
    before = latest = loop.evaluate(display)
    run.log({"step": 0, **_held_out(before)})
    display.line(f"held-out accuracy before: {before.accuracy:.1%}")
    figures: Figures = {}
    with display.bar("rl", config.max_steps) as bar:
        for number in range(config.max_steps):
            figures = loop.step(number)
            done = number + 1
            if done % config.evaluation.every == 0 or done == config.max_steps:
                latest = loop.evaluate(Display(quiet=True))
                figures |= _held_out(latest)
            run.log({"step": done, **figures})
            note = f"reward {figures['reward']:.3f}, held-out {latest.accuracy:.1%}"
            bar.advance(note=note if figures["updates"] else f"{note}; all groups alike, update skipped")
    run.save(loop.lm)
    display.line(f"held-out accuracy after: {latest.accuracy:.1%}; model saved in {run.checkpoint}")
    return {**figures, "accuracy_before": before.accuracy, "accuracy_after": latest.accuracy}


def _held_out(summary: Summary) -> Figures:
    return {f"held_out_{name}": value for name, value in summary.as_dict().items()}


class RlLoop:
    """What a run needs between steps: model, task order, reward, objective, optimiser."""

    def __init__(self, config: RlConfig, folder: Path, lm: LanguageModel) -> None:
        """Resolve every name of the configuration against ``folder``."""
        self.lm = lm
        self._config, self._folder = config, folder
        self._stream = Stream(load_tasks(config.tasks.name, config.tasks.options, folder), config.seed)
        self._held_out = load_tasks(config.evaluation.tasks.name, config.evaluation.tasks.options, folder)
        reward = build_reward(config.reward.name, config.reward.options, folder)
        engine = LocalDecoder(lm)
        self._rollouts = Answerer(lm, engine, config.prompt, config.rollout.decoding, reward,
                                  config.rollout.num_response_per_task)
        self._judge = Answerer(lm, engine, config.prompt, config.evaluation.decoding, reward,
                               config.evaluation.num_samples)
        self._engine = engine
        self._advantage = ADVANTAGES.load(config.advantage.name, folder)
        self._policy_loss = POLICY_LOSSES.load(config.policy_loss.name, folder)
        self._kl = KL_TERMS.load(config.kl.name, folder)
        self._optimizer = Optimizer(lm, config.optimizer,
                                    config.max_steps * config.updates_per_step * config.num_train_epochs)

    def first_prompt(self) -> str:
        """The prompt of the first task, as the model will see it."""
        return self._rollouts.render(self._stream.take(0, 1)[0])

    def evaluate(self, display: Display) -> Summary:
        """Figures on the held-out tasks."""
        with display.bar("evaluate", len(self._held_out)) as bar:
            return summarize(self._judge.answer_all(self._held_out, self._config.seed, bar.advance))

    def step(self, number: int) -> Figures:
        """Rollouts with the present weights, then updates on them; ``number`` counts from 0."""
        start = time.perf_counter()
        count = self._config.rollout.num_task_per_step
        groups = self._rollouts.answer(self._stream.take(number * count, count), self._config.seed + 1 + number)
        decoded = time.perf_counter()
        rollouts, advantages = self._select(groups)
        figures = _rollout_figures(groups) | {"responses_trained": float(len(rollouts)), "updates": 0.0}
        if rollouts:
            figures |= self._update(rollouts, advantages, number)
            self._engine.version += 1
        return figures | {"seconds_rollout": decoded - start, "seconds_update": time.perf_counter() - decoded}

    def _select(self, groups: Sequence[Sequence[Scored]]) -> tuple[list[Rollout], Tensor]:
        """Rollouts whose advantage is not zero, of groups whose pass rate lies in the filter's band."""
        rollouts: list[Rollout] = []
        advantages: list[float] = []
        for group in groups:
            if self._passes_filter(group):
                values = self._advantage(torch.tensor([_outcome(scored) for scored in group]),
                                         self._config.advantage.options).tolist()
                rollouts += [scored.rollout for scored, value in zip(group, values, strict=True) if value]
                advantages += [value for value in values if value]
        return rollouts, torch.tensor(advantages)

    def _passes_filter(self, group: Sequence[Scored]) -> bool:
        band = self._config.filter
        rate = sum(bool(scored.correct) for scored in group) / len(group)
        return band is None or band.min_pass_rate <= rate <= band.max_pass_rate

    def _update(self, rollouts: list[Rollout], advantages: Tensor, number: int) -> Figures:
        """All updates of a step; old log-probabilities are those before the first."""
        config = self._config
        views = build_views(config.views.name, rollouts, seed=config.seed + number, folder=self._folder,
                            pad_token_id=self.lm.pad_token_id, **config.views.option_values())
        padded = max(len(rollout.response_ids) for rollout in rollouts)
        batches = []
        for share in torch.arange(len(rollouts)).tensor_split(min(config.updates_per_step, len(rollouts))):
            own = [rollouts[place] for place in share]
            sizes = BatchSizes(padded, sum(len(rollout.response_ids) for rollout in own),
                               config.rollout.decoding.max_gen_length)
            batches.append(UpdateBatch(self.lm, own, [views[place] for place in share], advantages[share], sizes,
                                       config.reduction, config.max_tokens_per_micro_batch))
        num_updates = len(batches) * config.num_train_epochs
        if num_updates > 1:
            for batch in batches:
                batch.remember_old()
        figures: Figures = {"tokens_trained": float(sum(batch.num_tokens for batch in batches))}
        for _ in range(config.num_train_epochs):
            for batch in batches:
                figures |= batch.backward(self._items)
                figures |= {"learning_rate": self._optimizer.learning_rate, "gradient_norm": self._optimizer.step()}
        return figures | {"updates": float(num_updates)}

    def _items(self, batch: TargetBatch) -> Tensor:
        items: Tensor = self._policy_loss(batch, self._config.policy_loss.options)
        return items + self._config.beta * self._kl(batch) if self._config.beta else items


def _outcome(scored: Scored) -> float:
    """The reward of a response as one number.

    Raises:
        ValueError: a reward per token, which needs an advantage per token.
    """
    if isinstance(scored.reward, list):
        raise ValueError(f"the reward of task {scored.task.id!r} is a list, one number per token; advantages of groups "
                         "need one number per response")
    return scored.reward


def _rollout_figures(groups: Sequence[Sequence[Scored]]) -> Figures:
    summary = summarize([scored for group in groups for scored in group]).as_dict()
    names = ("reward", "accuracy", "length", "share_truncated", "share_no_answer", "tokens_per_forward",
             "tokens_per_forward_with_cache")
    return {name: summary[name] for name in names}
