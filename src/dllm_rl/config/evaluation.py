"""Options of ``dllm-rl eval``."""

import re
from collections.abc import Mapping, Sequence

from pydantic import Field, ValidationInfo, field_validator

from dllm_rl.config.base import read_options
from dllm_rl.config.choice import Choice, RewardChoice, TaskChoice
from dllm_rl.config.command import ModelCommandConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.config.options import MathRewardOptions
from dllm_rl.config.prompt import PromptConfig

_NAME = re.compile(r"[\w.-]+")


class EvalConfig(ModelCommandConfig):
    """Answer tasks and score the answers."""

    tasks: TaskChoice = Field(description="The tasks.")
    prompt: PromptConfig = Field(PromptConfig(), description="How tasks become prompts.")
    decoding: DecodingConfig = Field(DecodingConfig(), description="How responses are decoded.")
    settings: list[dict[str, object]] | None = Field(
        None, description="Ways to decode that are compared on the same tasks: each has a name and any keys of decoding, "
        "which win over that section; only that section if not given.")
    engine: EngineConfig = Field(EngineConfig(), description="The engine that decodes.")
    num_samples: int = Field(1, ge=1, description="Responses per task.")
    reward: RewardChoice = Field(Choice("math", MathRewardOptions()), description="How responses are judged.")
    reward_time_limit: float = Field(
        600.0, gt=0, description="Seconds after which a call of the user's own reward counts as hanging.")
    seed: int = Field(0, ge=0, description="Which samples are drawn.")
    out: str | None = Field(
        None, description="Parquet file for the scored answers, with several settings one each (answers.NAME.parquet); "
        "not written if not given.")

    @field_validator("settings")
    @classmethod
    def _can_be_read(cls, given: list[dict[str, object]] | None, info: ValidationInfo) -> list[dict[str, object]] | None:
        if given is not None and "decoding" in info.data:
            read_settings(given, info.data["decoding"])
        return given

    def decodings(self) -> dict[str, DecodingConfig]:
        """How to decode, by name of the setting; ``default`` without ``settings``."""
        return {"default": self.decoding} if self.settings is None else read_settings(self.settings, self.decoding)


def read_settings(settings: Sequence[Mapping[str, object]], decoding: DecodingConfig) -> dict[str, DecodingConfig]:
    """Named decoding settings.

    Args:
        settings: mappings with a ``name`` and any keys of ``DecodingConfig``.
        decoding: what holds for keys that a setting does not have.

    Raises:
        ValueError: no setting, a setting without a name that can be part of a file name, two of one name.
        OptionsError: unknown keys (with the nearest known one) and values that are not allowed.

    Example:
        >>> read_settings([{"name": "static", "top_k": 1}], DecodingConfig(top_p=0.9))["static"].top_p
        0.9
    """
    if not settings:
        raise ValueError("there is no setting in the list; write one or more, or leave the key out")
    read: dict[str, DecodingConfig] = {}
    for number, setting in enumerate(settings, 1):
        name = setting.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"the name of setting {number} is {name!r}; allowed: letters, digits and . _ -")
        if name in read:
            raise ValueError(f"two settings are called {name!r}; give each a name of its own")
        own = {key: value for key, value in setting.items() if key != "name"}
        read[name] = read_options(DecodingConfig, {**decoding.model_dump(), **own}, f"setting {name!r}")
    return read
