"""The request record: one response to decode, checked against the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

import torch
from torch import Tensor

from dllm_rl.config.decoding import DecodingConfig, block_problem, canvas_problem
from dllm_rl.decoding.draws import MAX_SEED, request_seeds
from dllm_rl.decoding.schedules import num_steps
from dllm_rl.families import LanguageModel

DEFAULT_CANVAS_BLOCK = 32
"""Block of a canvas where nothing is said; what published settings use (SPEC 9.3)."""


@dataclass(frozen=True)
class Request:
    """One response to decode.

    Attributes:
        prompt_ids: P >= 1 token ids, taken as they are; ids of mask or pad among them are text.
        max_new: largest number of response tokens.
        stop_ids: ids that end the response.
        seed: of its draws; 0 to 2^63 - 1.
        greedy: take the most probable candidate, whatever the temperature that scores are computed at.
        given: the whole response where parts of it are set: ``max_new`` ids, ``None`` where one is to be decoded. Such a
            request has no stop ids.

    Example:
        >>> Request([5, 6, 7], max_new=8, stop_ids=frozenset({2})).greedy
        False
    """

    prompt_ids: list[int]
    max_new: int
    stop_ids: frozenset[int] = frozenset()
    seed: int = 0
    greedy: bool = False
    given: tuple[int | None, ...] | None = None

    def __post_init__(self) -> None:
        if self.given is not None and len(self.given) != self.max_new:
            raise ValueError(f"given sets {len(self.given)} places of a response of {self.max_new} tokens; give one entry "
                             "per token, None where it is to be decoded")
        if self.given is not None and self.stop_ids:
            raise ValueError(f"given sets the length of a response, but stop ids {sorted(self.stop_ids)} could end it; "
                             "leave them out")

    def given_at(self, start: int, end: int) -> list[int | None]:
        """What is set of the response at places ``start`` to ``end`` - 1; ``None`` where nothing is, as behind its end."""
        given = list((self.given or ())[start:end])
        return given + [None] * (end - start - len(given))


def resolve_block_size(lm: LanguageModel, config: DecodingConfig) -> int:
    """The decoding block of a block family: the config's, or the checkpoint's own.

    Raises:
        ValueError: neither states one, more steps than positions or options of a canvas are asked for, or the family has no
            blocks.
    """
    if lm.family.attention != "block":
        raise ValueError(f"decoder 'block' cannot decode the {lm.family.name} family, in which every token sees every "
                         "other; use decoder=canvas")
    problem = block_problem(config)
    if problem:
        raise ValueError(problem)
    size = lm.block_size if config.block_size is None else config.block_size
    if size is None:
        raise ValueError("neither the checkpoint nor the settings state a block size; set block_size=... "
                         "(1 or more, as the checkpoint was trained)")
    if num_steps(config, size) > size:
        raise ValueError(f"denoising_steps_per_block {config.denoising_steps_per_block} exceeds the block size {size}; "
                         f"use 1 to {size}: a step reveals at least one token")
    return size


def resolve_canvas(lm: LanguageModel, config: DecodingConfig, one_block: bool) -> tuple[int, int]:
    """Block size and steps of a canvas.

    Args:
        lm: the model.
        config: the settings.
        one_block: whether the decoder takes the whole response as one block.

    Raises:
        ValueError: a block family, options of the block decoder, a length that is no multiple of the block, or fewer steps
            than blocks.
    """
    if lm.family.attention == "block":
        raise ValueError(f"decoder {config.decoder!r} cannot decode the {lm.family.name} family, whose blocks see nothing "
                         "behind them; use decoder=block")
    length = config.max_gen_length
    if one_block and config.block_size not in (None, length):
        raise ValueError(f"block_size is {config.block_size}, but decoder {config.decoder!r} takes the whole response of "
                         f"{length} tokens as one block; leave block_size out")
    if config.denoising_steps_per_block is not None:
        raise ValueError(f"denoising_steps_per_block is {config.denoising_steps_per_block}, which decoder "
                         f"{config.decoder!r} does not have; set steps, those of the whole response")
    size = length if one_block else config.block_size or min(DEFAULT_CANVAS_BLOCK, length)
    steps = config.steps or length
    problem = canvas_problem(length, size, steps)
    if problem:
        raise ValueError(problem)
    return size, steps


def resolve_delimiters(lm: LanguageModel, config: DecodingConfig) -> Tensor:
    """(D,) int64: the ids of ``block_delimiters``; errors as for stop tokens."""
    return torch.tensor([_token_id(lm, token, "block delimiter") for token in config.block_delimiters],
                        dtype=torch.long, device=lm.device)


def resolve_stop_ids(lm: LanguageModel, config: DecodingConfig) -> frozenset[int]:
    """Ids that end a response: the model's own and ``stop_token_list``; none under ``ignore_eos``.

    Raises:
        ValueError: a stop token that the tokenizer does not have, a text without a tokenizer, an id out of range.
    """
    if config.ignore_eos:
        return frozenset()
    return frozenset([*lm.stop_token_ids, *(_token_id(lm, token, "stop token") for token in config.stop_token_list)])


def _token_id(lm: LanguageModel, token: str | int, what: str) -> int:
    if isinstance(token, int):
        if not 0 <= token < lm.vocab_size:
            raise ValueError(f"{what} {token} is outside the vocabulary 0..{lm.vocab_size - 1}; remove it")
        return token
    if lm.tokenizer is None:
        raise ValueError(f"{what} {token!r} is text, but the checkpoint has no tokenizer; give its id")
    vocabulary = lm.tokenizer.get_vocab()
    ids = [vocabulary[token]] if token in vocabulary else lm.tokenizer.encode(token, add_special_tokens=False)
    if len(ids) != 1 or ids[0] == lm.tokenizer.unk_token_id:
        raise ValueError(f"{what} {token!r} is not one token of the tokenizer; give a single token or its id")
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


def position_grain(lm: LanguageModel, config: DecodingConfig) -> int:
    """What the positions of a response are counted in: blocks for a block family, tokens for others."""
    return resolve_block_size(lm, config) if lm.family.attention == "block" else 1


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
    blocks = f" in blocks of {block_size}" if block_size > 1 else ""
    return (f"a prompt of {len(prompt_ids)} tokens and max_gen_length {max_new} reach position {needed}{blocks}, the model "
            f"has {limit}; shorten the prompt or max_gen_length")


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
    block_size, stop_ids = position_grain(lm, config), resolve_stop_ids(lm, config)
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
