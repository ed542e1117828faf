"""What is wrong with some options, one sentence per problem, made from pydantic's errors and the declarations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dllm_rl.config.describe import describe
from dllm_rl.config.fields import allowed_values, section_of
from dllm_rl.registry import closest

MAX_SUGGESTIONS = 3


class Problem(NamedTuple):
    """One thing that is wrong: the dotted key, empty for the whole, and what is said behind it.

    Example:
        >>> Problem("seed", " is -1; allowed: whole number >= 0").sentence
        'seed is -1; allowed: whole number >= 0'
    """

    key: str
    text: str

    @property
    def sentence(self) -> str:
        """Key and text."""
        return f"{self.key}{self.text}" if self.key else self.text.removeprefix(": ")

    def under(self, key: str) -> "Problem":
        """The same problem, of options that stand at ``key``."""
        return Problem(".".join(filter(None, (key, self.key))), self.text)


class OptionsError(ValueError):
    """Options that cannot be used, with the problems one by one."""

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        """Say ``message``; whoever holds the options under a key of its own says the problems instead."""
        super().__init__(message)
        self.problems = list(problems)


def find_problems(model: type[BaseModel], values: Mapping[str, Any], error: ValidationError) -> list[Problem]:
    """Every problem that pydantic found in ``values``, in its order, each once."""
    found: dict[Problem, None] = {}
    for item in error.errors(include_url=False):
        kind = _KINDS.get(item["type"], _wrong)
        found |= dict.fromkeys(kind(model, values, dict(item)))
    return list(found)


def _located(model: type[BaseModel], loc: Sequence[object]) -> tuple[list[str], FieldInfo | None]:
    """The declared part of a place, and the field it leads to; ``None`` for the whole."""
    keys: list[str] = []
    field: FieldInfo | None = None
    section: type[BaseModel] | None = model
    for part in loc:
        if section is None or part not in section.model_fields:
            break
        field = section.model_fields[str(part)]
        keys.append(str(part))
        section = section_of(field)
    return keys, field


def _wrong(model: type[BaseModel], values: Mapping[str, Any], item: dict[str, Any]) -> Iterator[Problem]:
    keys, field = _located(model, item["loc"])
    given: Any = values
    for key in keys:
        given = given[key] if isinstance(given, Mapping) and key in given else item["input"]
    said = "null" if given is None else repr(given)
    yield Problem(".".join(keys), f" is {said}; allowed: {allowed_values(field)}" if field else f": {item['msg']}")


def _raised(model: type[BaseModel], values: Mapping[str, Any], item: dict[str, Any]) -> Iterator[Problem]:
    key, error = ".".join(_located(model, item["loc"])[0]), item["ctx"]["error"]
    problems = error.problems if isinstance(error, OptionsError) else [Problem("", f": {error}")]
    yield from (problem.under(key) for problem in problems)


def _missing(model: type[BaseModel], values: Mapping[str, Any], item: dict[str, Any]) -> Iterator[Problem]:
    keys, field = _located(model, item["loc"])
    section = section_of(field) if field else None
    required = [name for name, inner in section.model_fields.items() if inner.is_required()] if section else []
    for name in required:
        yield from _missing(model, values, {"loc": [*keys, name]})
    if field and not required:
        yield Problem(".".join(keys), f" is missing; allowed: {allowed_values(field)}")


def _unknown(model: type[BaseModel], values: Mapping[str, Any], item: dict[str, Any]) -> Iterator[Problem]:
    *place, name = map(str, item["loc"])
    every = [row.key for row in describe(model)]
    prefix = "".join(f"{part}." for part in place)
    siblings = list(dict.fromkeys(key.removeprefix(prefix).partition(".")[0] for key in every if key.startswith(prefix)))
    close = closest(name, siblings)
    meant = [key for key in every if key.rpartition(".")[2] == name] or ([prefix + close] if close else [])
    said = f"; did you mean {' or '.join(map(repr, meant[:MAX_SUGGESTIONS]))}?" if meant else ""
    yield Problem(prefix + name, f" is no known key{said or '; known here: ' + ', '.join(siblings)}")


_KINDS = {"extra_forbidden": _unknown, "missing": _missing, "value_error": _raised}
"""How pydantic's kinds of errors are put; any other kind is a value that the declaration does not allow."""
