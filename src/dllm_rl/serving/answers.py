"""Responses as text that grows block by block, and as OpenAI's objects."""

from collections.abc import Sequence
from typing import Any

from dllm_rl.engine import BlockDone, Ended, Unmasked
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout

HALF = "\N{REPLACEMENT CHARACTER}"
"""What a tokenizer makes of the first bytes of a character whose others are still to come."""


class Answer:
    """One response on its way."""

    def __init__(self, lm: LanguageModel, stops: Sequence[str]) -> None:
        """Nothing has come yet; texts of ``stops`` end the response before them."""
        self._lm, self._stops = lm, stops
        self.ids, self.steps, self.logprobs = list[int](), list[int](), list[float]()
        self.text = ""
        """What has been told so far."""
        self.rollout: Rollout | None = None
        self.finish_reason: str | None = None

    def add(self, block: BlockDone) -> str:
        """Take a block; returns what can be told of it now, and sets ``finish_reason`` at a stop text."""
        self.ids += block.ids
        self.steps += block.steps
        self.logprobs += block.logprobs
        return self._tell(self._decoded(self.ids), is_last=False)

    def end(self, event: Ended) -> str:
        """Take the end; returns the text that is left."""
        self.rollout = event.rollout
        self.finish_reason = event.rollout.finish_reason
        self.ids, self.steps = event.rollout.response_ids, event.rollout.step_map
        self.logprobs = event.rollout.logprobs or []
        ids = self.ids[:-1] if self.finish_reason == "stop" else self.ids
        return self._tell(self._decoded(ids), is_last=True)

    def _decoded(self, ids: Sequence[int]) -> str:
        assert self._lm.tokenizer is not None       # the server has asked
        shown = [token for token in ids if token not in self._lm.stop_token_ids]
        return str(self._lm.tokenizer.decode(shown, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _tell(self, text: str, is_last: bool) -> str:
        """What is new in ``text``; a half character and what may become a stop text wait."""
        found = [place for place in map(text.find, self._stops) if place >= 0]
        if found:
            text, self.finish_reason = text[:min(found)], "stop"
        elif not is_last:
            text = text.rstrip(HALF)
            longest = max(map(len, self._stops), default=1) - 1
            text = text[:max(len(text) - longest, len(self.text))]
        new = text[len(self.text):]
        self.text = text
        return new

    def event(self, event: Unmasked) -> dict[str, Any]:
        """The field ``dllm`` of what a forward has revealed: a text per token, ``None`` where one is masked."""
        mask = self._lm.mask_token_id
        return {"event": "unmask", "start": event.start,
                "tokens": [None if token == mask else self._token(token) for token in event.ids]}

    def _token(self, token: int) -> str:
        assert self._lm.tokenizer is not None       # the server has asked
        return str(self._lm.tokenizer.decode([token]))

    def extras(self, with_steps: bool) -> dict[str, Any]:
        """The field ``dllm`` of a finished choice."""
        extras: dict[str, Any] = {}
        if self.rollout is not None:
            own = self.rollout
            extras = {"seed": own.seed, "num_forwards": own.num_forwards, "weight_versions": own.weight_versions,
                      "tokens_per_forward": round(len(own.response_ids) / max(1, own.num_forwards), 3)}
        return extras | ({"step_map": self.steps, "token_ids": self.ids} if with_steps else {})

    def chat_logprobs(self) -> dict[str, Any]:
        """The field ``logprobs`` of a chat's choice: of the drawn tokens, under the decoding distribution."""
        tokens = [self._token(token) for token in self.ids]
        return {"content": [{"token": token, "logprob": nats, "bytes": list(token.encode()), "top_logprobs": []}
                            for token, nats in zip(tokens, self.logprobs, strict=True)], "refusal": None}

    def completion_logprobs(self) -> dict[str, Any]:
        """The field ``logprobs`` of a completion's choice."""
        tokens = [self._token(token) for token in self.ids]
        offsets = [sum(map(len, tokens[:place])) for place in range(len(tokens))]
        return {"tokens": tokens, "token_logprobs": self.logprobs, "text_offset": offsets, "top_logprobs": None}


def usage(prompt_tokens: int, answers: Sequence[Answer]) -> dict[str, int]:
    """The field ``usage``."""
    completed = sum(len(answer.ids) for answer in answers)
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completed, "total_tokens": prompt_tokens + completed}
