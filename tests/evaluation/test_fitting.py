"""Tasks that fit: the very ones that the decoder takes."""

import pytest

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.options import NoOptions
from dllm_rl.config.prompt import PromptConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.decoding.request import prepare_requests
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.fitting import fitting_tasks
from dllm_rl.families import LanguageModel
from dllm_rl.records import Task
from dllm_rl.rewards.length import length_reward

TASKS = [Task(id=str(size), question="7" * size) for size in (4, 9, 8, 12, 1)]


def answerer(lm: LanguageModel, **decoding: object) -> Answerer:
    """Renders a question as it is."""
    return Answerer(lm, LocalDecoder(lm), PromptConfig(template="{problem}"), DecodingConfig(**decoding),
                    length_reward(NoOptions()))


def test_tasks_are_kept_exactly_where_the_decoder_takes_them(lm: LanguageModel) -> None:
    limit = lm.backbone.config.max_position_embeddings
    judge = answerer(lm, max_gen_length=limit - 8)
    kept, skipped = fitting_tasks(judge, TASKS)
    assert ([task.id for task in kept], [task.id for task in skipped]) == (["4", "8", "1"], ["9", "12"])
    assert prepare_requests(lm, [task.question for task in kept], judge.decoding)
    for task in skipped:
        with pytest.raises(ValueError, match="shorten the prompt or max_gen_length"):
            prepare_requests(lm, [task.question], judge.decoding)


def test_the_last_block_counts_in_full(lm: LanguageModel) -> None:
    limit = lm.backbone.config.max_position_embeddings
    kept, _ = fitting_tasks(answerer(lm, max_gen_length=limit // 2, block_size=limit // 2 + 1), TASKS[4:])
    assert kept == TASKS[4:]
    with pytest.raises(ValueError, match="reach position"):
        fitting_tasks(answerer(lm, max_gen_length=limit // 2 + 1, block_size=limit // 2 + 1), TASKS)


def test_ordinary_tasks_are_all_kept(lm: LanguageModel) -> None:
    assert fitting_tasks(answerer(lm), TASKS) == (TASKS, [])


def test_it_is_an_error_if_none_fits(lm: LanguageModel) -> None:
    limit = lm.backbone.config.max_position_embeddings
    with pytest.raises(ValueError, match=rf"none of 5 tasks fits into the model; the first, '4': a prompt of 4 tokens and "
                                         rf"max_gen_length {limit} reach position {limit + 4} in blocks of 4"):
        fitting_tasks(answerer(lm, max_gen_length=limit), TASKS)
