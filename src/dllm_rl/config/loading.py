"""Configurations in: ``config=FILE key=value ...`` to a checked, frozen model."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from dllm_rl.config.base import Options
from dllm_rl.config.describe import section_of
from dllm_rl.config.presets import expand_compat
from dllm_rl.registry import VIEWS, nearest

AnyConfig = TypeVar("AnyConfig", bound=Options)


class ConfigError(ValueError):
    """What is wrong with a configuration, one sentence per problem."""


def load_config(model: type[AnyConfig], arguments: Sequence[str]) -> tuple[AnyConfig, Path]:
    """Read a configuration.

    Args:
        model: the command's options.
        arguments: ``config=FILE`` at most once, and ``key.sub=value`` pairs, which win over the file. Values are YAML;
            ``${key}`` refers to another key.

    Returns:
        the configuration, and the folder that relative paths in it start from: the file's, or the working directory.

    Raises:
        ConfigError: a missing or damaged file, an unknown key (with the nearest known one), a wrong type or range.
    """
    files, pairs = _sort_arguments(arguments)
    path = Path(files[0]) if files else None
    try:
        written = OmegaConf.merge(_read(path) if path else {}, *map(_read_pair, pairs))
        values = OmegaConf.to_container(written, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"{path or 'command line'}: {str(error).splitlines()[0]}") from error
    return parse_config(model, values, str(path or "command line")), path.parent if path else Path()


def parse_config(model: type[AnyConfig], values: Any, source: str) -> AnyConfig:  # noqa: ANN401 - any YAML value
    """A checked configuration from plain values; ``ConfigError`` names ``source`` and every problem."""
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{source}: the configuration must be a mapping of keys to values")
    if "compat" in model.model_fields and "views" in model.model_fields:
        options = {name: set(VIEWS.options(name).model_fields) for name in VIEWS}
        values = expand_compat(values, options, model.model_fields["views"].default.name)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [_sentence(model, dict(item)) for item in error.errors()]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from error


def dump_yaml(config: Options) -> str:
    """The resolved configuration as YAML, readable by ``load_config``."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _sort_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    files: list[str] = []
    pairs: list[str] = []
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or not key:
            raise ConfigError(f"{argument!r} is not key=value; write config=FILE or key=value")
        (files if key == "config" else pairs).append(value if key == "config" else argument)
    if len(files) > 1:
        raise ConfigError(f"config= is given {len(files)} times ({', '.join(files)}); give it once")
    return files, pairs


def _read_pair(pair: str) -> Any:  # noqa: ANN401 - an OmegaConf container
    try:
        return OmegaConf.from_dotlist([pair])
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"the value of {pair!r} is not YAML; put text with braces or colons in double quotes, as in "
                          "'prompt.template=\"{problem} = \"'") from error


def _read(path: Path) -> Any:  # noqa: ANN401 - an OmegaConf container
    if not path.is_file():
        raise ConfigError(f"no configuration file {path}")
    return OmegaConf.load(path)


def _fields_at(model: type[BaseModel], path: Iterable[object]) -> list[str]:
    """Keys known at a place of the configuration."""
    for part in path:
        section = section_of(model.model_fields[str(part)])
        if section is None:
            return []
        model = section
    return list(model.model_fields)


def _unknown(model: type[BaseModel], key: str, place: list[Any], item: dict[str, Any]) -> str:
    known = _fields_at(model, place[:-1])
    return f"unknown key {key!r}{nearest(str(place[-1]), known)} (known here: {', '.join(known)})"


def _missing(model: type[BaseModel], key: str, place: list[Any], item: dict[str, Any]) -> str:
    return f"key {key!r} is missing; write {key}=..."


def _own_message(model: type[BaseModel], key: str, place: list[Any], item: dict[str, Any]) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    return f"{key}: {message}" if key else message


_SENTENCES = {"extra_forbidden": _unknown, "missing": _missing, "value_error": _own_message}
"""How the kinds of pydantic's errors are put; every other kind also quotes what was given."""


def _sentence(model: type[BaseModel], item: dict[str, Any]) -> str:
    place = [part for part in item["loc"] if part != "function-plain"]
    key = ".".join(map(str, place))
    if item["type"] in _SENTENCES:
        return _SENTENCES[item["type"]](model, key, place, item)
    return f"{_own_message(model, key, place, item)} (given: {item['input']!r})"
