"""Configurations in: ``config=FILE key=value ...`` to a checked, frozen model."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError

from dllm_rl.config.base import Options
from dllm_rl.config.choice import FOLDER
from dllm_rl.config.fields import merge, spelled_out
from dllm_rl.config.presets import preset_names, with_presets
from dllm_rl.config.problems import find_problems
from dllm_rl.registry import PRESETS, nearest

AnyConfig = TypeVar("AnyConfig", bound=Options)

COMMAND_LINE = "command line"


class ConfigError(ValueError):
    """What is wrong with a configuration, one sentence per problem."""


class _Layer(NamedTuple):
    """Keys from one place, ``${references}`` not yet replaced; later layers win."""

    source: str
    values: dict[str, Any]


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
    folder = Path(files[0]).parent if files else Path()
    written = [_read(Path(file)) for file in files] + [_read_pair(pair) for pair in pairs]
    layers = _preset_files(model, written, folder) + written
    source = files[0] if files else COMMAND_LINE

    def source_of(key: str) -> str:
        return next((layer.source for layer in reversed(layers) if _holds(layer.values, key)), source)

    return _check(model, _resolve(_join(model, layers), source_of), source_of, folder), folder


def parse_config(model: type[AnyConfig], values: Mapping[str, Any], source: str) -> AnyConfig:
    """A checked configuration from plain values; ``ConfigError`` names ``source`` and every problem."""
    return _check(model, dict(values), lambda key: source, Path())


def dump_yaml(config: Options) -> str:
    """The resolved configuration as YAML, readable by ``load_config``."""
    return yaml.dump(config.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes text with line breaks in double quotes, on one line."""


_Dumper.add_representer(str, lambda dumper, text: dumper.represent_scalar(
    "tag:yaml.org,2002:str", text, style='"' if "\n" in text else None))


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


def _read_pair(pair: str) -> _Layer:
    try:
        return _Layer(COMMAND_LINE, OmegaConf.to_container(OmegaConf.from_dotlist([pair])))  # type: ignore[arg-type]
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise ConfigError(f"the value of {pair!r} is not YAML; put text with braces or colons in double quotes, as in "
                          "'prompt.template=\"{problem} = \"'") from error


def _read(path: Path) -> _Layer:
    if not path.is_file():
        siblings = [other.stem for other in path.parent.glob(f"*{path.suffix}")]
        raise ConfigError(f"no configuration file {path}{nearest(path.stem, siblings)}")
    try:
        values = OmegaConf.to_container(OmegaConf.load(path))
    except yaml.MarkedYAMLError as error:
        line = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ConfigError(f"{path} is not valid YAML: {error.problem}{line}") from error
    except (OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{path}: the configuration must be a mapping of keys to values")
    return _Layer(str(path), {str(key): value for key, value in values.items()})


def _preset_files(model: type[BaseModel], written: Sequence[_Layer], folder: Path) -> list[_Layer]:
    """The presets that are YAML files; an unknown name is an error here."""
    layers = []
    for name in preset_names(_join(model, written)) if "preset" in model.model_fields else []:
        if name.endswith((".yaml", ".yml")):
            layers.append(_read(folder / name))
        elif name not in PRESETS:
            raise ConfigError(f"unknown preset {name!r}{nearest(name, list(PRESETS))}; known: {', '.join(PRESETS)}, "
                              "or a YAML file")
    return layers


def _join(model: type[BaseModel], layers: Sequence[_Layer]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for layer in layers:
        joined = merge(spelled_out(model, joined), layer.values)
    return joined


def _resolve(values: dict[str, Any], source_of: Callable[[str], str]) -> dict[str, Any]:
    try:
        resolved = OmegaConf.to_container(OmegaConf.create(values), resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = str(error.full_key)
        raise ConfigError(f"{source_of(key)}: {key}: {str(error).splitlines()[0]}") from error
    return {str(key): value for key, value in resolved.items()} if isinstance(resolved, dict) else {}


def _holds(values: Any, key: str) -> bool:  # noqa: ANN401 - any YAML value
    for part in key.split("."):
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _check(model: type[AnyConfig], values: dict[str, Any], source_of: Callable[[str], str], folder: Path) -> AnyConfig:
    expanded = with_presets(model, values)
    try:
        return model.model_validate(expanded, context={FOLDER: folder})
    except ValidationError as error:
        lines = [f"{source_of(problem.key)}: {problem.sentence}" for problem in find_problems(model, expanded, error)]
        raise ConfigError("\n".join(lines)) from error
