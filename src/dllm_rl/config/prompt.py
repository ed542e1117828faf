"""Options of prompts."""

from pydantic import Field

from dllm_rl.config.base import Options


class PromptConfig(Options):
    """How a task becomes a prompt."""

    template: str | None = Field(
        None, description="Text with {problem} where the question goes; the family's own format if not given.")
    think: bool = Field(False, description="Use the family's format that opens a thought.")
