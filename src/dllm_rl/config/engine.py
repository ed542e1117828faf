"""Options of the fast engine."""

from pydantic import Field

from dllm_rl.config.base import Options


class EngineConfig(Options):
    """How many sequences are in flight, what their cache may take, and how their prompts are read."""

    max_num_seqs: int = Field(64, ge=1, description="Sequences in flight.")
    max_prefill_tokens: int = Field(2048, ge=1, description="Prompt tokens of one forward.")
    max_cache_tokens: int | None = Field(
        None, ge=1, description="Positions the key/value cache has room for, slots times the longest sequence; what does "
        "not fit waits, and the youngest sequences in flight are set aside. No bound if not given.")
    cuda_graphs: bool | None = Field(
        None, description="Denoise in padded batches of few shapes, which a GPU replays as CUDA graphs; on a GPU if not "
        "given.")
