"""From a request's body to requests of the engine, checked against the model and the server's limits."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dllm_rl.config.base import read_options
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.serving import ServeConfig
from dllm_rl.decoding.draws import MAX_SEED
from dllm_rl.decoding.request import Request, encode_prompt, prepare_requests
from dllm_rl.evaluation.conversation import check_format, render_messages
from dllm_rl.families import LanguageModel
from dllm_rl.serving.problems import ApiError
from dllm_rl.serving.schemas import ChatRequest, CompletionRequest, Generation, Piece


@dataclass(frozen=True)
class Prepared:
    """What the engine is asked.

    Attributes:
        requests: one per choice.
        config: how they are decoded.
        prompt_tokens: of all prompts together, each counted once.
    """

    requests: list[Request]
    config: DecodingConfig
    prompt_tokens: int


class Preparer:
    """Checks bodies and makes requests of them."""

    def __init__(self, lm: LanguageModel, config: ServeConfig, name: str) -> None:
        """For a model that clients call ``name``."""
        self._lm, self._config, self._name = lm, config, name

    def chat(self, body: ChatRequest) -> Prepared:
        """Of a conversation; ``ApiError`` or ``ValueError`` says what is wrong."""
        if body.dllm.infill is not None:
            raise ApiError(400, "dllm.infill fills a text, not a conversation; use /v1/completions", "dllm.infill")
        check_format(self._lm, self._config.prompt.template)
        messages = [(message.role, message.content) for message in body.messages]
        text = render_messages(self._lm, self._config.prompt.template, messages)
        return self._plain(body, [encode_prompt(self._lm, text)])

    def completion(self, body: CompletionRequest) -> Prepared:
        """Of prompts, or of a text with holes; errors as of ``chat``."""
        if (body.prompt is None) == (body.dllm.infill is None):
            raise ApiError(400, "a completion needs either prompt or dllm.infill; give one of them", "prompt")
        if body.dllm.infill is not None:
            return self._infill(body, body.dllm.infill)
        return self._plain(body, [encode_prompt(self._lm, own) for own in _prompts(body)])

    def _plain(self, body: Generation, prompts: Sequence[list[int]]) -> Prepared:
        own = min(self._config.decoding.max_gen_length, self._config.max_output_tokens)
        length = own if body.limit is None else body.limit
        config = self._decoding(body, length, prompts)
        groups = prepare_requests(self._lm, list(prompts), config, body.n)
        return Prepared([own for group in groups for own in group], config, sum(map(len, prompts)))

    def _infill(self, body: CompletionRequest, pieces: Sequence[Piece]) -> Prepared:
        """The text before the first hole is the prompt; the rest is a response of which parts are set."""
        if body.limit is not None or body.stops:
            raise ApiError(400, "dllm.infill sets the length of the response; leave out max_tokens and stop", "dllm.infill")
        if not pieces or pieces[0].text is None or all(piece.mask is None for piece in pieces):
            raise ApiError(400, "dllm.infill must begin with a text and have a hole, for example "
                           '[{"text": "2 + "}, {"mask": 1}, {"text": " = 4"}]', "dllm.infill")
        if any((piece.text is None) == (piece.mask is None) for piece in pieces):
            raise ApiError(400, 'each piece of dllm.infill is either {"text": ...} or {"mask": number of tokens}',
                           "dllm.infill")
        prompt, given = encode_prompt(self._lm, pieces[0].text), list[int | None]()
        for piece in pieces[1:]:
            given += [None] * piece.mask if piece.mask is not None else encode_prompt(self._lm, piece.text or "")
        config = self._decoding(body, len(given), [prompt]).model_copy(update={"ignore_eos": True})
        [group] = prepare_requests(self._lm, [prompt], config, body.n)
        return Prepared([replace(own, given=tuple(given)) for own in group], config, len(prompt))

    def _decoding(self, body: Generation, length: int, prompts: Sequence[list[int]]) -> DecodingConfig:
        """The settings of a request, within the server's limits."""
        limits = self._config
        if body.model != self._name:
            raise ApiError(404, f"no model {body.model!r} is served here; use {self._name!r}", "model",
                           code="model_not_found")
        for what, value, most, param in (
                ("tokens of a prompt", max(map(len, prompts)), limits.max_prompt_tokens, "prompt"),
                ("tokens of a response", length, limits.max_output_tokens, "max_tokens"),
                ("choices", body.n * len(prompts), limits.max_n, "n")):
            if value > most:
                raise ApiError(400, f"{value} {what} exceed this server's limit of {most}; ask for less", param)
        given = body.model_dump(include={"temperature", "top_p"}, exclude_none=True)
        seed = secrets.randbelow(MAX_SEED) if body.seed is None else body.seed
        values = {**limits.decoding.model_dump(), **body.dllm.decoding, **given, "max_gen_length": length, "seed": seed}
        try:
            return read_options(DecodingConfig, values, "dllm.decoding")
        except ValueError as error:
            raise ApiError(400, str(error), "dllm.decoding") from error


def _prompts(body: CompletionRequest) -> list[str | list[int]]:
    """Prompts of any of the four forms as a list of texts or ids."""
    prompt = body.prompt
    if isinstance(prompt, str):
        return [prompt]
    if not prompt:
        raise ApiError(400, "prompt is an empty list; give at least one token or text", "prompt")
    ids: list[int] = []
    texts: list[str | list[int]] = []
    for own in prompt:
        if isinstance(own, int):
            ids.append(own)
        else:
            texts.append(own)
    return texts or [ids]
