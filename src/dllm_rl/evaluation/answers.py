"""From tasks to scored answers: render, decode, reward. RL rollouts and evaluations both come from here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.decoding.draws import hash_ids, request_seed
from dllm_rl.families import LanguageModel
from dllm_rl.records import Engine, Rollout, Scored, Task
from dllm_rl.rewards import RewardFunction
from dllm_rl.tasks.prompts import render_prompt

TASKS_PER_CALL = 64
"""Tasks handed to the engine at a time by ``answer_all``, so that progress can be shown."""


@dataclass(frozen=True)
class Answerer:
    """What turns tasks into scored answers.

    Attributes:
        lm: whose family's prompt formats are used.
        engine: decodes.
        prompt: prompt format.
        decoding: how responses are decoded.
        reward: how they are judged.
        num_samples: responses per task.
    """

    lm: LanguageModel
    engine: Engine
    prompt: PromptConfig
    decoding: DecodingConfig
    reward: RewardFunction
    num_samples: int = 1

    def render(self, task: Task) -> str:
        """The prompt of one task."""
        return render_prompt(task, self.lm.family.prompts, self.prompt.template, self.prompt.think)

    def decode(self, tasks: Sequence[Task], run_seed: int) -> list[list[Rollout]]:
        """Responses to some tasks in one call of the engine; seeds follow from run seed, task id and sample number."""
        prompts = [self.render(task) for task in tasks]
        seeds = [[request_seed(run_seed, hash_ids(list(task.id.encode())), sample)
                  for sample in range(self.num_samples)] for task in tasks]
        return self.engine.generate(prompts, self.decoding, self.num_samples, seeds)

    def score(self, tasks: Sequence[Task], groups: Sequence[Sequence[Rollout]]) -> list[list[Scored]]:
        """The responses of ``decode`` with their rewards."""
        flat = [(task, rollout) for task, group in zip(tasks, groups, strict=True) for rollout in group]
        scored = iter(self.reward([task for task, _ in flat], [rollout for _, rollout in flat]))
        return [[next(scored) for _ in group] for group in groups]

    def answer(self, tasks: Sequence[Task], run_seed: int) -> list[list[Scored]]:
        """Decode and score."""
        return self.score(tasks, self.decode(tasks, run_seed))

    def answer_all(self, tasks: Sequence[Task], run_seed: int,
                   advance: Callable[[int], None] = lambda _: None) -> list[Scored]:
        """Answer all tasks, some at a time; ``advance`` is told how many are done each time."""
        answers = []
        for start in range(0, len(tasks), TASKS_PER_CALL):
            some = tasks[start:start + TASKS_PER_CALL]
            answers += [scored for group in self.answer(some, run_seed) for scored in group]
            advance(len(some))
        return answers
