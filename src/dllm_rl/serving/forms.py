"""The two forms of completions: what OpenAI calls their objects, and where their text stands."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from dllm_rl.serving.answers import Answer
from dllm_rl.serving.schemas import Generation

Json = dict[str, Any]


class Form(ABC):
    """How answers are put.

    Attributes:
        prefix: of ids.
        whole, part: the field ``object`` of an answer and of a piece of a stream.
    """

    prefix: ClassVar[str]
    whole: ClassVar[str]
    part: ClassVar[str]

    def choice(self, index: int, answer: Answer, body: Generation) -> Json:
        """A finished choice."""
        return {"index": index, **self._said(answer), "finish_reason": answer.finish_reason,
                "logprobs": self._logprobs(answer) if self._wants_logprobs(body) else None,
                "dllm": answer.extras(body.dllm.step_map)}

    def piece(self, index: int, text: str, is_first: bool) -> Json:
        """New text of a choice."""
        return {"index": index, **self._new(text, is_first), "finish_reason": None, "logprobs": None}

    def end(self, index: int, answer: Answer, body: Generation) -> Json:
        """The last piece of a choice."""
        return {**self.choice(index, answer, body), **self._nothing()}

    def shown(self, index: int, extras: Json) -> Json:
        """A piece without text: what a forward has revealed of an unfinished block."""
        return {"index": index, **self._new("", False), "finish_reason": None, "logprobs": None, "dllm": extras}

    @abstractmethod
    def _said(self, answer: Answer) -> Json:
        """Where the whole text stands."""

    @abstractmethod
    def _new(self, text: str, is_first: bool) -> Json:
        """Where new text stands."""

    @abstractmethod
    def _nothing(self) -> Json:
        """What replaces the text in a last piece."""

    @abstractmethod
    def _wants_logprobs(self, body: Generation) -> bool:
        """Whether the body asks for log-probabilities."""

    @abstractmethod
    def _logprobs(self, answer: Answer) -> Json:
        """The field ``logprobs``."""


class ChatForm(Form):
    """``chat.completion``."""

    prefix, whole, part = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def _said(self, answer: Answer) -> Json:
        return {"message": {"role": "assistant", "content": answer.text, "refusal": None}}

    def _new(self, text: str, is_first: bool) -> Json:
        return {"delta": ({"role": "assistant"} if is_first else {}) | {"content": text}}

    def _nothing(self) -> Json:
        return {"delta": {}, "message": None}

    def end(self, index: int, answer: Answer, body: Generation) -> Json:
        """See ``Form``: a piece has no message."""
        last = super().end(index, answer, body)
        del last["message"]
        return last

    def _wants_logprobs(self, body: Generation) -> bool:
        return bool(body.model_dump(include={"logprobs"})["logprobs"])

    def _logprobs(self, answer: Answer) -> Json:
        return answer.chat_logprobs()


class TextForm(Form):
    """``text_completion``."""

    prefix, whole, part = "cmpl", "text_completion", "text_completion"

    def _said(self, answer: Answer) -> Json:
        return {"text": answer.text}

    def _new(self, text: str, is_first: bool) -> Json:
        return {"text": text}

    def _nothing(self) -> Json:
        return {"text": ""}

    def _wants_logprobs(self, body: Generation) -> bool:
        return body.model_dump(include={"logprobs"})["logprobs"] is not None

    def _logprobs(self, answer: Answer) -> Json:
        return answer.completion_logprobs()
