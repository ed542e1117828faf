"""Options of ``dllm-rl verify``."""

from pydantic import Field

from dllm_rl.config.base import Names
from dllm_rl.config.command import CommandConfig


class VerifyConfig(CommandConfig):
    """Recompute reference vectors and compare."""

    only: Names = Field(default_factory=list, description="Sections to check, as family/section; all if not given.")
