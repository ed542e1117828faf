"""Declarations as text: tables for help and documentation, YAML with a comment per key for recipes."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dllm_rl.registry import Registry


class Row(NamedTuple):
    """One option: dotted key, type, default as text, help."""

    key: str
    type: str
    default: str
    help: str


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The options model of a field that is a section, possibly an optional one; ``None`` for plain options."""
    candidates = [field.annotation, *get_args(field.annotation)]
    return next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)


def _type_name(field: FieldInfo) -> str:
    known = next((item for item in field.metadata if isinstance(item, Registry)), None)
    if known is not None:
        return f"{known.kind}: {' | '.join(known)}"
    annotation = field.annotation
    plain = isinstance(annotation, type) and not get_args(annotation)
    return annotation.__name__ if plain else str(annotation).replace("typing.", "")  # type: ignore[union-attr]


def describe(model: type[BaseModel], prefix: str = "") -> Iterator[Row]:
    """Every option of a configuration, sections opened, in the order of declaration."""
    for name, field in model.model_fields.items():
        section = section_of(field)
        if section is not None:
            yield from describe(section, f"{prefix}{name}.")
        else:
            default = "required" if field.is_required() else str(field.get_default(call_default_factory=True))
            yield Row(prefix + name, _type_name(field), default, field.description or "")


def commented_yaml(model: type[BaseModel], values: Mapping[str, Any], indent: int = 0) -> str:
    """YAML of some values, above each key its help from the declaration.

    Args:
        model: where the keys are declared.
        values: plain values, nested as in the file; keys that are not given are left to their defaults.
        indent: spaces in front.
    """
    lines, pad = [], " " * indent
    for key, value in values.items():
        field = model.model_fields[key]
        section = section_of(field)
        lines.append(f"{pad}# {field.description}")
        if section is not None and isinstance(value, Mapping):
            lines += [f"{pad}{key}:", commented_yaml(section, value, indent + 2)]
        else:
            flow = yaml.safe_dump([value], sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000)
            lines.append(f"{pad}{key}: {flow.strip()[1:-1]}")
    return "\n".join(lines)
