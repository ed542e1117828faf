"""Bodies of requests, as OpenAI's API names their fields; anything else is refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Count = Annotated[int, Field(ge=1)]
StopTexts = Annotated[str, StringConstraints(min_length=1)] | Annotated[
    list[Annotated[str, StringConstraints(min_length=1)]], Field(min_length=1, max_length=4)]


class Body(BaseModel):
    """A JSON object without unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Message(Body):
    """A part of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str
    name: str | None = None


class StreamOptions(Body):
    """What a stream tells beside its text."""

    include_usage: bool = False


class Piece(Body):
    """A part of a text with holes: a text, or a number of tokens to be filled in."""

    text: str | None = None
    mask: Count | None = None


class Extras(Body):
    """The field ``dllm``: what diffusion decoding adds to the API."""

    decoding: dict[str, Any] = Field({}, description="Options of decoding, by the names of DecodingConfig.")
    step_map: bool = Field(False, description="Tell which forward revealed each token, and the tokens' ids.")
    events: bool = Field(False, description="In a stream, also tell what each forward reveals of unfinished blocks.")
    infill: list[Piece] | None = Field(
        None, description="completions: a text with holes to be filled, in place of prompt; begins with a text.")


class Generation(Body):
    """What both kinds of completions have."""

    model: str
    n: Count = 1
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    stop: StopTexts | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    dllm: Extras = Extras()

    @property
    def limit(self) -> int | None:
        """The largest number of response tokens, if it is given."""
        return self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Texts that end a response."""
        return [] if self.stop is None else [self.stop] if isinstance(self.stop, str) else self.stop


class ChatRequest(Generation):
    """``POST /v1/chat/completions``."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool = False
    top_logprobs: Literal[0] | None = None

    @property
    def limit(self) -> int | None:
        """The newer name counts."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens


class CompletionRequest(Generation):
    """``POST /v1/completions``."""

    prompt: str | list[int] | list[str] | list[list[int]] | None = None
    logprobs: Literal[0, 1] | None = None
    echo: Literal[False] = False


class WeightsRequest(Body):
    """``POST /v1/dllm/weights``."""

    path: str
    version: Annotated[int, Field(ge=0)]
