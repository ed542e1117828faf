"""Declarations as text: rows for help and documentation, YAML with a comment per key for recipes."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dllm_rl.config.fields import allowed_values, as_choice, choice_of, section_of

MAX_COMMENT_WIDTH = 110


class Row(NamedTuple):
    """One option: dotted key, allowed values, default as text, help."""

    key: str
    type: str
    default: str
    help: str


def describe(model: type[BaseModel], prefix: str = "", given: BaseModel | None = None) -> Iterator[Row]:
    """Every option of a configuration in the order of declaration, sections and choices opened.

    Args:
        model: whose options.
        prefix: what stands before each key.
        given: the values that are taken by default; ``model``'s own defaults if not given.
    """
    taken = {} if given is None else dict(given)
    for name, field in model.model_fields.items():
        key, section = prefix + name, section_of(field)
        default = taken[name] if name in taken else _default(field)
        if section is not None:
            yield from describe(section, f"{key}.", default if isinstance(default, BaseModel) else None)
            continue
        is_choice = choice_of(field) is not None
        chosen = default.name if is_choice and default is not None else default
        text = "required" if field.is_required() and not taken else _plain(chosen)
        yield Row(key, allowed_values(field), text, field.description or "")
        if is_choice:
            yield from _describe_entries(field, key)


def _describe_entries(field: FieldInfo, key: str) -> Iterator[Row]:
    """Options that stand beside the name of a choice; equal ones of several entries in one row."""
    known = choice_of(field)
    assert known is not None     # asked by ``describe``
    owners: dict[Row, list[str]] = {}
    for entry in known:
        for row in describe(known.options(entry), f"{key}."):
            owners.setdefault(row, []).append(entry)
    for row, names in owners.items():
        yield row if names == list(known) else row._replace(help=f"For {', '.join(names)}: {row.help}")


def commented_yaml(model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """YAML of some values, above each key its help from the declaration.

    Args:
        model: where the keys are declared.
        values: plain values, nested as in the file; keys that are not given are left to their defaults.
    """
    return "\n".join(_yaml_lines(model, values))


def _yaml_lines(model: type[BaseModel] | None, values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for key, value in values.items():
        field = model.model_fields.get(key) if model is not None else None
        if field is not None:
            yield from _comment(field, indent)
        if field is not None and isinstance(value, Mapping):
            known = choice_of(field)
            yield f"{indent}{key}:"
            section = known.options(as_choice(field, value)["name"]) if known else section_of(field)
            yield from _yaml_lines(section, value, indent + "  ")
        else:
            flow = yaml.safe_dump([value], sort_keys=False, allow_unicode=True, default_flow_style=True, width=10_000)
            yield f"{indent}{key}: {flow.strip()[1:-1]}"


def _comment(field: FieldInfo, indent: str) -> list[str]:
    text = field.description or ""
    if section_of(field) is None:
        text += f" [{allowed_values(field)}]"
    return textwrap.wrap(text, MAX_COMMENT_WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ",
                         break_long_words=False, break_on_hyphens=False)


def _default(field: FieldInfo) -> Any:  # noqa: ANN401 - any default
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _plain(value: Any) -> str:  # noqa: ANN401 - any default
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
