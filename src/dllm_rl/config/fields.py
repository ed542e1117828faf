"""What the declaration of an option says, in words: for messages, help and recipes alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dllm_rl.registry import Registry

_WORDS = {bool: "true | false", int: "whole number", float: "number", str: "text", NoneType: "null"}
_BOUNDS = {Ge: ">= {0.ge:g}", Gt: "> {0.gt:g}", Le: "<= {0.le:g}", Lt: "< {0.lt:g}",
           MinLen: "of length {0.min_length} or more"}


@dataclass(frozen=True)
class ChoiceOf:
    """Marks a field that holds an entry of a registry with its options; a bare registry marks a field of names."""

    known: Registry


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The options model of a field that is a section, possibly an optional one; ``None`` for plain options."""
    candidates = [field.annotation, *get_args(field.annotation)]
    return next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)


def choice_of(field: FieldInfo) -> Registry | None:
    """The registry of a field that is a choice, possibly an optional one; ``None`` for others."""
    return next((item.known for item in _marks(field) if isinstance(item, ChoiceOf)), None)


def allowed_values(field: FieldInfo) -> str:
    """The values a field takes, in words.

    Example:
        >>> from pydantic import Field, create_model
        >>> model = create_model("M", size=(int | None, Field(None, ge=1)))
        >>> allowed_values(model.model_fields["size"])
        'whole number >= 1, or null'
    """
    known = choice_of(field) or next((item for item in _marks(field) if isinstance(item, Registry)), None)
    words = _words(field.annotation) if known is None else f"{' | '.join(known)}, or your own module:object"
    bounds = " and ".join(_BOUNDS[type(item)].format(item) for item in field.metadata if type(item) in _BOUNDS)
    null = ", or null" if NoneType in get_args(field.annotation) else ""
    return f"{words} {bounds}".rstrip() + null


def merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings in one; ``upper`` wins. A choice of another name replaces the lower one with its options."""
    merged = {**lower, **upper}
    for key in lower.keys() & upper.keys():
        below, above = lower[key], upper[key]
        if isinstance(below, Mapping) and isinstance(above, Mapping) and _same_choice(below, above):
            merged[key] = merge(below, above)
    return merged


def as_choice(field: FieldInfo, given: str | Mapping[str, Any]) -> dict[str, Any]:
    """A choice as a mapping; where no name is given, with the name that the field takes by default, if it has one."""
    values = {"name": given} if isinstance(given, str) else dict(given)
    has_default = not field.is_required() and field.default is not None
    return {"name": field.default.name, **values} if has_default and "name" not in values else values


def with_section_defaults(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and below each section that is given in part what ``model`` declares as that section's default."""
    completed = dict(values)
    for name, given in values.items():
        field = model.model_fields.get(name)
        if field is None or not isinstance(given, Mapping):
            continue
        if choice_of(field) is not None:
            completed[name] = as_choice(field, given)
        elif isinstance(field.default, BaseModel):
            completed[name] = merge(field.default.model_dump(exclude_unset=True), given)
    return completed


def spelled_out(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with choices as mappings, so that an option may be added to a name given elsewhere."""
    spelled = dict(values)
    for name, value in values.items():
        field = model.model_fields.get(name)
        section = section_of(field) if field else None
        if section is not None and isinstance(value, Mapping):
            spelled[name] = spelled_out(section, value)
        elif field is not None and choice_of(field) is not None and isinstance(value, str):
            spelled[name] = as_choice(field, value)
    return spelled


def _same_choice(below: Mapping[str, Any], above: Mapping[str, Any]) -> bool:
    return "name" not in above or "name" not in below or below["name"] == above["name"]


def _marks(field: FieldInfo) -> list[Any]:
    """Metadata of a field, also where it stands inside ``X | None``."""
    inner = [get_args(item)[1:] for item in get_args(field.annotation) if get_origin(item) is Annotated]
    return [*field.metadata, *(mark for marks in inner for mark in marks)]


def _words(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    origin, inside = get_origin(annotation), get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"keys {', '.join(annotation.model_fields)}"
    if origin is Literal:
        return " | ".join(map(str, inside))
    if origin is dict:
        return "mapping"
    if origin in (list, tuple):
        return f"list of {_words(inside[0])}"
    if origin in (Union, UnionType):
        return " | ".join(_words(item) for item in inside if item is not NoneType)
    return _WORDS.get(annotation, str(annotation))
