"""Options of the fast engine."""

from pydantic import Field

from dllm_rl.config.base import Options


class EngineConfig(Options):
    """How many sequences are in flight, and how their prompts are read."""

    max_num_seqs: int = Field(64, ge=1, description="Sequences in flight.")
    max_prefill_tokens: int = Field(2048, ge=1, description="Prompt tokens of one forward.")
