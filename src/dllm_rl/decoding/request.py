"""The request record: one response to decode, checked against the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.draws import MAX_SEED, request_seeds
from dllm_rl.decoding.strategies import num_steps
from dllm_rl.families import LanguageModel


@dataclass(frozen=True)
class Request:
    """One response to decode.

    Attributes:
        prompt_ids: P >= 1 token ids, taken as they are; ids of mask or pad among them are text.
        max_new: largest number of response tokens.
        stop_ids: ids that end the response.
        seed: of its draws; 0 to 2^63 - 1.
        greedy: take the most probable candidate, whatever the temperature that scores are computed at.

    Example:
        >>> Request([5, 6, 7], max_new=8, stop_ids=frozenset({2})).greedy
        False
    """

    prompt_ids: list[int]
    max_new: int
    stop_ids: frozenset[int] = frozenset()
    seed: int = 0
    greedy: bool = False


def resolve_block_size(lm: LanguageModel, config: DecodingConfig) -> int:
    """The decoding block: the config's, or the checkpoint's own.

    Raises:
        ValueError: neither states one, more steps than positions are asked for, or the family's logits are shifted.
    """
    if lm.family.logit_shift:
        raise ValueError(f"decoder 'block' cannot decode the {lm.family.name} family, whose logits are shifted; "
                         "use a checkpoint of a block family")
    size = lm.block_size if config.block_size is None else config.block_size
    if size is None:
        raise ValueError("neither the checkpoint nor the settings state a block size; set block_size=... "
                         "(1 or more, as the checkpoint was trained)")
    if num_steps(config, size) > size:
        raise ValueError(f"denoising_steps_per_block {config.denoising_steps_per_block} exceeds the block size {size}; "
                         f"use 1 to {size}: a step reveals at least one token")
    return size


def resolve_stop_ids(lm: LanguageModel, config: DecodingConfig) -> frozenset[int]:
    """Ids that end a response: the model's own and ``stop_token_list``; none under ``ignore_eos``.

    Raises:
        ValueError: a stop token that the tokenizer does not have, a text without a tokenizer, an id out of range.
    """
    if config.ignore_eos:
        return frozenset()
    return frozenset([*lm.stop_token_ids, *(_stop_id(lm, token) for token in config.stop_token_list)])


def _stop_id(lm: LanguageModel, token: str | int) -> int:
    if isinstance(token, int):
        if not 0 <= token < lm.vocab_size:
            raise ValueError(f"stop token {token} is outside the vocabulary 0..{lm.vocab_size - 1}; remove it")
        return token
    if lm.tokenizer is None:
        raise ValueError(f"stop token {token!r} is text, but the checkpoint has no tokenizer; give its id")
    vocabulary = lm.tokenizer.get_vocab()
    ids = [vocabulary[token]] if token in vocabulary else lm.tokenizer.encode(token, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == lm.tokenizer.unk_token_id:
        raise ValueError(f"stop token {token!r} is not one token of the tokenizer; give a single token or its id")
    return ids[0]


def encode_prompt(lm: LanguageModel, prompt: str | Sequence[int]) -> list[int]:
    """Token ids of a prompt.

    Args:
        lm: the model; its tokenizer adds nothing to a text.
        prompt: rendered text, or ids.

    Raises:
        ValueError: an empty prompt, a text without a tokenizer, ids out of range.
    """
    if isinstance(prompt, str):
        if lm.tokenizer is None:
            raise ValueError("the prompt is text, but the checkpoint has no tokenizer; give token ids")
        ids = lm.tokenizer.encode(prompt, add_special_tokens=False)
    else:
        ids = [index(token) for token in prompt]
    if not ids:
        raise ValueError("empty prompt; give at least one token")
    if min(ids) < 0 or max(ids) >= lm.vocab_size:
        raise ValueError(f"prompt ids span {min(ids)}..{max(ids)}, the vocabulary is 0..{lm.vocab_size - 1}; "
                         "was the prompt tokenised for another model?")
    return ids


def length_problem(lm: LanguageModel, prompt_ids: Sequence[int], max_new: int, block_size: int) -> str | None:
    """Why a prompt does not fit into the model's positions together with the longest response, if it does not.

    Args:
        lm: the model.
        prompt_ids: P token ids.
        max_new: largest number of response tokens.
        block_size: of decoding; the last block counts in full.

    Returns:
        a sentence with the numbers and the remedy, or ``None`` if it fits.
    """
    limit = int(lm.backbone.config.max_position_embeddings)
    needed = -(-(len(prompt_ids) + max_new) // block_size) * block_size
    if needed <= limit:
        return None
    return (f"a prompt of {len(prompt_ids)} tokens and max_gen_length {max_new} reach position {needed} "
            f"in blocks of {block_size}, the model has {limit}; shorten the prompt or max_gen_length")


def _check_seeds(seeds: Sequence[Sequence[int]], num_prompts: int, num_samples: int) -> None:
    if len(seeds) != num_prompts or any(len(row) != num_samples for row in seeds):
        raise ValueError(f"seeds has {len(seeds)} rows of {sorted({len(row) for row in seeds})} seeds for "
                         f"{num_prompts} prompts of {num_samples} samples; give one seed per response")
    wrong = [seed for row in seeds for seed in row if not 0 <= seed <= MAX_SEED]
    if wrong:
        raise ValueError(f"seed {wrong[0]} is outside 0..2^63-1; use request_seed or a smaller number")


def prepare_requests(lm: LanguageModel, prompts: Sequence[str | list[int]], config: DecodingConfig,
                     num_samples: int = 1, seeds: Sequence[Sequence[int]] | None = None) -> list[list[Request]]:
    """One request per response to decode.

    Args:
        lm: the model.
        prompts: rendered texts, or lists of ids.
        config: how to decode.
        num_samples: responses per prompt.
        seeds: per prompt ``num_samples`` seeds; if not given, functions of ``config.seed``, the prompt's ids and the
            sample's number, so that a prompt gets the same responses in any company and order.

    Returns:
        per prompt ``num_samples`` requests.

    Raises:
        ValueError: a bad prompt, block size, stop token, length, number of samples or seed; names value and remedy.
    """
    if isinstance(prompts, str):
        raise ValueError("prompts is one text; give a list of prompts")
    if num_samples < 1:
        raise ValueError(f"num_samples {num_samples} is not allowed; give 1 or more")
    block_size, stop_ids = resolve_block_size(lm, config), resolve_stop_ids(lm, config)
    encoded = [encode_prompt(lm, prompt) for prompt in prompts]
    problems = [length_problem(lm, ids, config.max_gen_length, block_size) for ids in encoded]
    for problem in filter(None, problems):
        raise ValueError(problem)
    if seeds is None:
        seeds = request_seeds(config.seed, encoded, num_samples)
    _check_seeds(seeds, len(encoded), num_samples)
    greedy = config.temperature == 0
    return [[Request(ids, config.max_gen_length, stop_ids, seed, greedy) for seed in row]
            for ids, row in zip(encoded, seeds, strict=True)]
