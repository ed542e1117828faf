"""The base of every options model: unknown keys are errors, values are checked when read and never written to."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from dllm_rl.config.fields import with_section_defaults
from dllm_rl.config.problems import OptionsError, Problem, find_problems
from dllm_rl.registry import nearest


class Options(BaseModel):
    """A frozen pydantic model that refuses unknown keys and values of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _keep_section_defaults(cls, values: object) -> object:
        return with_section_defaults(cls, values) if isinstance(values, Mapping) else values


def split_names(value: object) -> object:
    """``"a,b"`` as a list of names; anything else as it is."""
    return [name.strip() for name in value.split(",")] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(split_names)]
"""A list of names, or one text with commas between them, as a command line has it."""

AnyOptions = TypeVar("AnyOptions", bound=Options)
"""Any options model."""


def read_options(model: type[AnyOptions], values: Mapping[str, Any], owner: str) -> AnyOptions:
    """An options model from the values a user gave.

    Args:
        model: whose fields are the known options.
        values: option names and values.
        owner: what the options belong to, for messages.

    Raises:
        OptionsError: unknown names (with the nearest known one) and values that are not allowed, all of them.
    """
    known = list(model.model_fields)
    said = {name: f"{nearest(name, known)}; known: {', '.join(known) or 'none'}" for name in values if name not in known}
    message = [f"{owner} has no option {name!r}{text}" for name, text in said.items()]
    problems = [Problem(name, f" is no option of {owner}{text}") for name, text in said.items()]
    rest = {name: value for name, value in values.items() if name in known}
    try:
        options = model.model_validate(rest)
    except ValidationError as error:
        message += [f"{owner}: {'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']} (given: {item['input']!r})"
                    for item in error.errors()]
        raise OptionsError("; ".join(message), problems + find_problems(model, rest, error)) from error
    if problems:
        raise OptionsError("; ".join(message), problems)
    return options
