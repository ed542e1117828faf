"""Options of ``dllm-rl verify``."""

from pydantic import Field

from dllm_rl.config.base import Options


class VerifyConfig(Options):
    """Recompute reference vectors and compare."""

    only: list[str] = Field(default_factory=list, description="Sections to check, as family or family/section.")
