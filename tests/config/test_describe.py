"""Every option is declared with help, and every shipped recipe is current and parses."""

import importlib.util
from pathlib import Path

import pytest

from dllm_rl.config.describe import describe
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import load_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def recipe_tool() -> object:
    spec = importlib.util.spec_from_file_location("make_recipes", ROOT / "tools" / "make_recipes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", [EvalConfig, GenerateConfig, RlConfig, SftConfig])
def test_every_option_has_help(model: type) -> None:
    rows = list(describe(model))
    assert len(rows) > 10
    assert all(row.help.endswith(".") for row in rows)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_parses_and_its_comments_are_current(path: Path) -> None:
    tool = recipe_tool()
    assert path.read_text() == tool.text(path.stem), "run python tools/make_recipes.py"
    config, _ = load_config(tool.RECIPES[path.stem].model, [f"config={path}"])
    assert config.schema_version == 1


def test_there_is_a_file_for_every_recipe() -> None:
    assert [path.stem for path in RECIPES] == sorted(recipe_tool().RECIPES)
