"""A choice: an entry of a registry by name, with the entry's own options beside the name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator, ValidationInfo

from dllm_rl import registry
from dllm_rl.config.base import Options, read_options
from dllm_rl.config.fields import ChoiceOf
from dllm_rl.registry import DECODERS, STRATEGIES, Registry, anchored

FOLDER = "folder"
"""Key of the validation context: where the file paths of strategies and decoders start."""


@dataclass(frozen=True)
class Choice:
    """A name and its options: the entry's options model, or a plain mapping for the user's own objects.

    Example (in YAML, ``views: trace`` or ``views: {name: trace, shrink: 2}``):
        >>> parse_choice(registry.VIEWS, {"name": "trace", "shrink": 2}).options.shrink
        2
    """

    name: str
    options: Any = field(default_factory=dict)

    def option_values(self) -> dict[str, Any]:
        """The options as a dictionary."""
        return self.options.model_dump() if isinstance(self.options, Options) else dict(self.options)


def parse_choice(known: Registry, value: object) -> Choice:
    """A choice from a name, from a mapping with ``name`` and options, or as it is.

    Raises:
        ValueError: an unknown name or option, or something else than a name or a mapping.
    """
    if isinstance(value, Choice):
        return value
    values = {"name": value} if isinstance(value, str) else value
    if not isinstance(values, Mapping) or not isinstance(values.get("name"), str):
        raise ValueError(f"write the name of a {known.kind}, or a mapping with 'name' and its options; "
                         f"known: {', '.join(known)}")
    name = values["name"]
    options = {key: item for key, item in values.items() if key != "name"}
    model = known.options(name)
    return Choice(name, options if model is None else read_options(model, options, f"{known.kind} {name!r}"))


def _check_name(known: Registry, name: str, info: ValidationInfo) -> str:
    if ":" not in name:
        known[name]
    return anchored(name, info.context[FOLDER]) if info.context else name


def _plain(choice: Choice) -> dict[str, Any]:
    return {"name": choice.name, **choice.option_values()}


def _choice_of(known: Registry) -> Any:  # noqa: ANN401 - an annotated type
    return Annotated[Choice, PlainValidator(partial(parse_choice, known)), PlainSerializer(_plain), ChoiceOf(known)]


ViewChoice = _choice_of(registry.VIEWS)
AdvantageChoice = _choice_of(registry.ADVANTAGES)
PolicyLossChoice = _choice_of(registry.POLICY_LOSSES)
KlChoice = _choice_of(registry.KL_TERMS)
RewardChoice = _choice_of(registry.REWARDS)
TaskChoice = _choice_of(registry.TASKS)
StrategyName = Annotated[str, AfterValidator(partial(_check_name, STRATEGIES)), STRATEGIES]
DecoderName = Annotated[str, AfterValidator(partial(_check_name, DECODERS)), DECODERS]
