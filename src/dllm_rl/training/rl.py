"""``dllm-rl rl``: tasks, rollouts, rewards, advantages, views, updates (SPEC 2, DESIGN 7)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from dllm_rl.config.advice import num_updates
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.rl import RlConfig
from dllm_rl.engine import Engine
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.fitting import fitting_tasks
from dllm_rl.evaluation.models import family_configured, load_configured
from dllm_rl.evaluation.summary import summarize
from dllm_rl.families import LanguageModel
from dllm_rl.objectives.reduction import BatchSizes
from dllm_rl.records import Scored, TargetBatch, Task, ViewContext
from dllm_rl.registry import KL_TERMS, POLICY_LOSSES
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks
from dllm_rl.training.batches import UpdateBatch
from dllm_rl.training.optimizer import Optimizer
from dllm_rl.training.pairs import refuse_replay_classes, refuse_rl_pairs
from dllm_rl.training.phases import Phases
from dllm_rl.training.pooling import LEVELS
from dllm_rl.training.rl_figures import over_updates, rollout_figures, start_figures, update_figures
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.runner import Figures, Report, train
from dllm_rl.training.selection import Selection, Selector
from dllm_rl.training.stream import Stream
from dllm_rl.training.updates import Scores
from dllm_rl.views import views_in

EVALUATIONS_AVERAGED = 3
"""Last evaluations whose mean a run is judged by: one evaluation of a moving policy says little."""


def run_rl(config: RlConfig, folder: Path, display: Display) -> Figures:
    """Train to ``max_steps`` and save the model; figures go to ``run_dir/metrics.jsonl`` and the trackers.

    Args:
        config: the run. With ``probe`` nothing is trained and written.
        folder: what relative paths of tasks, rewards and the user's own objects start from.
        display: for progress.

    Returns:
        the last step's figures, accuracy on the held-out tasks before and after, and the mean of the last three
        evaluations; of a probe its figures.

    Raises:
        ValueError: anything the user can mend.
        FloatingPointError: logits or gradients are not finite; the last checkpoint holds the last good weights.
    """
    refuse_rl_pairs(config, family_configured(config.model))
    loop = RlLoop(config, folder, load_configured(config.model))
    display.line(f"first prompt: {loop.first_prompt()!r}")
    for line in loop.notices():
        display.line(line)
    if config.probe is not None:
        return loop.probe(config.probe)
    figures = train(loop, config, display, "rl")
    display.line(f"time: {loop.phases.shares()}")
    return figures | held_out_figures(RunFolder(config.run_dir))


def held_out_figures(run: RunFolder) -> Figures:
    """Held-out accuracy before, after, and as the mean of the last evaluations, of a run so far."""
    found = [line["held_out_accuracy"] for line in evaluated(run)]
    last = found[1:][-EVALUATIONS_AVERAGED:]
    after = {"accuracy_after": last[-1], "accuracy_mean_of_last": sum(last) / len(last)} if last else {}
    return {"accuracy_before": found[0], **after} if found else {}


def evaluated(run: RunFolder) -> list[Figures]:
    """The figures of the steps that were evaluated."""
    return [line for line in run.figures() if "held_out_accuracy" in line]


class RlLoop:
    """What a run needs between steps: model, task order, reward, objective, optimiser."""

    def __init__(self, config: RlConfig, folder: Path, lm: LanguageModel) -> None:
        """Resolve every name of the configuration against ``folder``."""
        self.lm = lm
        self._config, self._folder = config, folder
        self._reward = build_reward(config.reward.name, config.reward.options, folder, config.reward_time_limit)
        self._engine = Engine(lm, config.engine)
        self._rollouts = self._answerer(config.rollout.decoding, config.rollout.num_response_per_task)
        self._judge = self._answerer(config.evaluation.decoding, config.evaluation.num_samples)
        tasks, self._long_tasks = self._tasks(config.tasks, self._rollouts)
        self._held_out, self._long_held_out = self._tasks(config.evaluation.tasks, self._judge)
        self._num_tasks, self._stream = len(tasks), Stream(tasks, config.seed)
        self._select = Selector(config, folder)
        self._policy_loss = POLICY_LOSSES.load(config.policy_loss.name, folder)
        self._kl = KL_TERMS.load(config.kl.name, folder)
        self.optimizer = Optimizer(lm, config.optimizer, num_updates(config))
        self.phases = Phases()

    def _answerer(self, decoding: DecodingConfig, num_samples: int) -> Answerer:
        return Answerer(self.lm, self._engine, self._config.prompt, decoding, self._reward, num_samples)

    def _tasks(self, choice: Any, answerer: Answerer) -> tuple[list[Task], list[Task]]:  # noqa: ANN401 - a task choice
        return fitting_tasks(answerer, load_tasks(choice.name, choice.options, self._folder))

    def first_prompt(self) -> str:
        """The prompt of the first task, as the model will see it."""
        return self._rollouts.render(self._stream.take(0, 1)[0])

    def notices(self) -> list[str]:
        """Sentences on tasks that are left out because their prompts are too long, and on tasks that are too few."""
        found = (("training", self._long_tasks), ("held-out", self._long_held_out))
        count = self._config.probe or self._config.rollout.num_task_per_step
        few = [f"warning: a step takes {count} tasks and there are {self._num_tasks}: tasks, and their equal rollouts, "
               "count more than once; lower rollout.num_task_per_step"] if count > self._num_tasks else []
        return few + [f"{len(tasks)} {kind} tasks are skipped: prompt and response exceed the model's positions (first: "
                f"{tasks[0].id})" for kind, tasks in found if tasks]

    def opening(self, display: Display) -> Report:
        """The figures before training."""
        phases = Phases()
        with phases("evaluation"):
            report = self._evaluate(display)
        display.line(f"held-out accuracy before: {report.figures['held_out_accuracy']:.1%}")
        return Report(report.figures | phases.seconds(), samples=report.samples)

    def step(self, number: int) -> Report:
        """Rollouts with the present weights, then updates on them; evaluation where it is due."""
        phases, done = Phases(), number + 1
        groups = self._roll_out(number, self._config.rollout.num_task_per_step, phases)
        selection = self._select(groups)
        figures: Figures = {**rollout_figures(groups), **selection.figures, "updates": 0}
        if selection.rollouts:
            figures |= self._update(selection, number, phases, figures["rollout_tokens"])
        note, report = f"reward {figures['reward']:.3f}", Report({})
        if done % self._config.evaluation.every == 0 or done == self._config.max_steps:
            with phases("evaluation"):
                report = self._evaluate(Display(quiet=True))
            note += f", held-out {report.figures['held_out_accuracy']:.1%}"
        self.phases.add(phases)
        if not figures["updates"]:
            note += "; no group to learn from, update skipped"
        return Report({**figures, **report.figures, **phases.seconds()}, note, report.samples)

    def probe(self, num_tasks: int) -> Figures:
        """A step's figures for the present weights on ``num_tasks`` tasks; nothing is updated."""
        phases = Phases()
        groups = self._roll_out(0, num_tasks, phases)
        selection = self._select(groups)
        figures: Figures = {**rollout_figures(groups), **selection.figures}
        if selection.rollouts:
            batches = self._batches(selection, 0, phases)
            with phases("old_log_probs"):
                scores = [batch.evaluate() for batch in batches]
            figures |= start_figures(batches, scores) | _token_figures(batches, figures["rollout_tokens"])
        return figures | phases.seconds()

    def _evaluate(self, display: Display) -> Report:
        """Figures and some answers on the held-out tasks."""
        with display.bar("evaluate", len(self._held_out)) as bar:
            answers = self._judge.answer_all(self._held_out, self._config.seed, bar.advance)
        summary = summarize(answers, len(self._long_held_out)).as_dict()
        some = answers[::self._config.evaluation.num_samples][:self._config.evaluation.log_samples]
        return Report({f"held_out_{name}": value for name, value in summary.items()},
                      samples=[_sample(self._judge, scored) for scored in some])

    def _roll_out(self, number: int, count: int, phases: Phases) -> list[list[Scored]]:
        tasks, config = self._stream.take(number * count, count), self._config
        self._engine.version = self.optimizer.num_updates
        with phases("rollout"):
            groups = self._rollouts.decode(tasks, config.seed + 1 + number)
        refuse_replay_classes({rollout.decoding.replay_class for group in groups for rollout in group
                               if rollout.decoding is not None}, config.rollout.replay_classes)
        with phases("reward"):
            return self._rollouts.score(tasks, groups)

    def _batches(self, selection: Selection, number: int, phases: Phases, pass_number: int = 0) -> list[UpdateBatch]:
        """The selected rollouts in one batch per update of a pass over them."""
        config, rollouts = self._config, selection.rollouts
        with phases("layout"):
            blocks: Literal["full"] | None = "full" if self.lm.block_size is None else None      # else each rollout's own
            context = ViewContext(blocks, config.seed + number, self.lm.pad_token_id, pass_number,
                                  config.num_train_epochs)
            views = views_in(context, config.views, rollouts, self._folder)
            padded = max(len(rollout.response_ids) for rollout in rollouts)
            batches, make = [], LEVELS[config.importance_level]
            for share in torch.arange(len(rollouts)).tensor_split(min(config.updates_per_step, len(rollouts))):
                own = [rollouts[place] for place in share]
                sizes = BatchSizes(padded, sum(len(rollout.response_ids) for rollout in own),
                                   config.rollout.decoding.max_gen_length)
                batches.append(make(self.lm, own, [views[place] for place in share], selection.advantages[share],
                                           sizes, config.reduction, config.max_tokens_per_micro_batch, config.kl_reduction))
        return batches

    def _update(self, selection: Selection, number: int, phases: Phases, rollout_tokens: int) -> Figures:
        """All updates of a step; old log-probabilities are those before the first."""
        passes, redraw = self._config.num_train_epochs, self._config.redraw_views
        batches = [batch for place in range(passes if redraw else 1)
                   for batch in self._batches(selection, number, phases, place)]
        order = batches if redraw else batches * passes
        before: list[Scores] = []
        if len(order) > 1:
            with phases("old_log_probs"):
                before = [batch.remember_old() for batch in batches]
        updates = []
        with phases("update"):
            for batch in order:
                scores = batch.backward(self._items)
                before = before or [scores]
                updates.append(update_figures(batch, scores, self._policy_items) | {
                    "learning_rate": self.optimizer.learning_rate, "gradient_norm": self.optimizer.step()})
        return {"updates": len(order), **_token_figures(order, rollout_tokens), **start_figures(batches, before),
                **over_updates(updates)}

    def _policy_items(self, batch: TargetBatch) -> Tensor:
        items: Tensor = self._policy_loss(batch, self._config.policy_loss.options)
        return items

    def _items(self, batch: TargetBatch) -> Tensor:
        items = self._policy_items(batch)
        return items + self._config.beta * batch.kl_factor * self._kl(batch) if self._config.beta else items


def _token_figures(batches: Sequence[UpdateBatch], rollout_tokens: int) -> Figures:
    trained = sum(batch.num_tokens for batch in batches)
    return {"tokens_trained": trained, "tokens_trained_per_rollout_token": trained / rollout_tokens}


def _sample(answerer: Answerer, scored: Scored) -> dict[str, Any]:
    task = scored.task
    return {"task": task.id, "prompt": answerer.render(task), "text": scored.rollout.text, "gold": task.answer,
            "answer": scored.answer, "correct": scored.correct, "reward": scored.reward,
            "step_map": scored.rollout.step_map}
