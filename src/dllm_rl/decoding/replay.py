"""Replaying a record: the sampler and the strategy a rollout was decoded with, from its recorded settings."""

import torch

from dllm_rl.config.decoding import DecodingConfig, RecordedDecoding
from dllm_rl.decoding.block_decoder import load_strategy
from dllm_rl.decoding.sampling import Sampler
from dllm_rl.decoding.strategies import Strategy, losing_problem, score_of_strategy
from dllm_rl.families import LanguageModel


def recorded_sampler(lm: LanguageModel, settings: RecordedDecoding | None) -> Sampler:
    """How candidates were drawn and scored; without settings from the plain softmax over all ids, scored by it."""
    if settings is None:
        everything = torch.ones(lm.vocab_size, dtype=torch.bool, device=lm.device)
        return Sampler(DecodingConfig(), everything, "confidence")
    return Sampler(settings, lm.allowed_ids, score_of_strategy(load_strategy(settings), settings),
                   settings.score_of or "processed", settings.top_p_first, lm.pad_token_id)


def losing_strategy(settings: DecodingConfig) -> Strategy:
    """The strategy that the settings name, if what it leaves behind has a log-probability of losing.

    Raises:
        ValueError: it has none; says what has.
    """
    strategy = load_strategy(settings)
    problem = losing_problem(settings.remasking_strategy, strategy, settings)
    if problem:
        raise ValueError(f"the log-probability of losing (views trace_action) is not defined: {problem}")
    return strategy
