"""Options of ``dllm-rl chat``."""

from pydantic import Field

from dllm_rl.config.base import Options
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig


class ChatPromptConfig(Options):
    """How a conversation becomes a prompt."""

    template: str | None = Field(
        None, description="Text of one turn with {problem} where the question goes and the answer behind it, turns being "
        "joined by newlines; the tokenizer's chat template if not given.")


class ChatConfig(ModelCommandConfig):
    """Talk with a model."""

    system: str | None = Field(None, description="What the model is told before the first turn.")
    prompt: ChatPromptConfig = Field(ChatPromptConfig(), description="How the conversation becomes a prompt.")
    decoding: DecodingConfig = Field(
        DecodingConfig(), description="How answers are decoded; the same question at the same place gets the same answer "
        "unless its seed is changed.")
