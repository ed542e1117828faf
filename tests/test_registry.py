"""Names to objects: every registered name loads, wrong ones are named."""

from pathlib import Path

import pytest

from dllm_rl import registry
from dllm_rl.config.base import Options
from dllm_rl.registry import Entry, Registry, closest, load_object, nearest

REGISTRIES = [value for value in vars(registry).values() if isinstance(value, Registry)]
NAMES = [(known, name) for known in REGISTRIES for name in known]


OF_EXTRAS = {"reasoning_gym": "reasoning_gym"}
"""Entries whose module needs an optional package; ``.ci/run`` installs them all."""


@pytest.mark.parametrize(("known", "name"), NAMES, ids=lambda value: value if isinstance(value, str) else value.kind)
def test_every_entry_loads_with_its_options(known: Registry, name: str) -> None:
    if name in OF_EXTRAS:
        pytest.importorskip(OF_EXTRAS[name])
    assert known.load(name) is not None
    assert issubclass(known.options(name), Options)
    assert known[name].summary


def test_the_users_own_file_is_found_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def answer():\n    return 42\n")
    assert registry.REWARDS.load("./mine.py:answer", tmp_path)() == 42
    assert registry.REWARDS.options("./mine.py:answer") is None


def test_a_file_is_run_once_and_files_of_one_name_are_apart(tmp_path: Path) -> None:
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(f"value = [{value}]\nother = value\n")
    first = load_object("./mine.py:value", tmp_path / "a")
    assert load_object("mine.py:other", tmp_path / "a") is first
    assert load_object(f"{tmp_path / 'a' / 'mine.py'}:value") is first
    assert load_object("mine.py:value", tmp_path / "b") == [2]


def test_a_file_that_fails_is_not_kept(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("value = 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_object("mine.py:value", tmp_path)
    file.write_text("value = 'as it should be'\n")
    assert load_object("mine.py:value", tmp_path) == "as it should be"


def test_a_module_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(ValueError, match=r"cannot import \./broken\.py: invalid syntax \(broken\.py, line 1\)"):
        load_object("./broken.py:f", tmp_path)
    (tmp_path / "needy.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(ValueError, match=r"cannot import \./needy\.py: No module named 'no_such_module_anywhere'"):
        load_object("./needy.py:f", tmp_path)
    with pytest.raises(ValueError, match="cannot import no_such_module: No module named 'no_such_module'"):
        load_object("no_such_module:f")


def test_closest_and_nearest() -> None:
    assert (closest("tarce", ["random", "trace"]), nearest("tarce", ["trace"])) == ("trace", "; did you mean 'trace'?")
    assert (closest("zzz", ["trace"]), nearest("zzz", ["trace"])) == (None, "")


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
