"""The base of every options model: unknown keys are errors, values are checked when read and never written to."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dllm_rl.registry import nearest


class Options(BaseModel):
    """A frozen pydantic model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyOptions = TypeVar("AnyOptions", bound=Options)
"""Any options model."""


def read_options(model: type[AnyOptions], values: Mapping[str, Any], owner: str) -> AnyOptions:
    """An options model from the values a user gave.

    Args:
        model: whose fields are the known options.
        values: option names and values.
        owner: what the options belong to, for messages.

    Raises:
        ValueError: an unknown name (with the nearest known one), or values out of range (all of them are named).
    """
    known = list(model.model_fields)
    for name in values:
        if name not in known:
            raise ValueError(f"{owner} has no option {name!r}{nearest(name, known)}; known: {', '.join(known) or 'none'}")
    try:
        return model(**values)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, item['loc'])) or 'options'}: {item['msg']} (given: {item['input']!r})"
                    for item in error.errors()]
        raise ValueError(f"{owner}: {'; '.join(problems)}") from error
