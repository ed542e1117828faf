"""Names to objects: every registered name loads, wrong ones are named."""

from pathlib import Path

import pytest

from dllm_rl import registry
from dllm_rl.config.base import Options
from dllm_rl.registry import Entry, Registry, load_object

REGISTRIES = [value for value in vars(registry).values() if isinstance(value, Registry)]
NAMES = [(known, name) for known in REGISTRIES for name in known]


@pytest.mark.parametrize(("known", "name"), NAMES, ids=lambda value: value if isinstance(value, str) else value.kind)
def test_every_entry_loads_with_its_options(known: Registry, name: str) -> None:
    assert known.load(name) is not None
    assert issubclass(known.options(name), Options)
    assert known[name].summary


def test_the_users_own_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def answer():\n    return 42\n")
    assert registry.REWARDS.load("./mine.py:answer", tmp_path)() == 42
    assert registry.REWARDS.options("./mine.py:answer") is None


@pytest.mark.parametrize(("target", "message"), [
    ("math", "does not name an object; write package.module:object"),
    ("math:sinn", "math has no object 'sinn'; did you mean 'sin'?"),
    ("./nowhere.py:f", "no file .*nowhere.py"),
])
def test_a_wrong_path_is_named(target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_object(target)


def test_a_name_is_registered_once() -> None:
    known = Registry("fruit", {"apple": Entry("operator:add", "builtins:dict", "a fruit")})
    with pytest.raises(ValueError, match="fruit 'apple' is already registered"):
        known.add("apple", known["apple"])
    with pytest.raises(ValueError, match=r"unknown fruit 'aple'; did you mean 'apple'\? \(known: apple"):
        known.load("aple")
