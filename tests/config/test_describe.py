"""Every option is declared with help, and every shipped recipe is current and parses."""

import importlib.util
from pathlib import Path

import pytest

from dllm_rl.config.chat import ChatConfig
from dllm_rl.config.demo import DemoConfig
from dllm_rl.config.describe import Row, commented_yaml, describe
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import load_config
from dllm_rl.config.options import MaskViewOptions
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.config.verification import VerifyConfig
from dllm_rl.registry import VIEWS

ROOT = Path(__file__).parent.parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def recipe_tool() -> object:
    spec = importlib.util.spec_from_file_location("make_recipes", ROOT / "tools" / "make_recipes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", [ChatConfig, DemoConfig, EvalConfig, GenerateConfig, RlConfig, SftConfig, VerifyConfig])
def test_every_option_has_help_and_a_type_in_words(model: type) -> None:
    rows = list(describe(model))
    assert rows[0] == Row("schema_version", "1", "1", "Version of this file's keys.")
    assert all(row.help.endswith(".") for row in rows)
    assert all("typing" not in row.type and "<class" not in row.type for row in rows)
    assert len({(row.key, row.help) for row in rows}) == len(rows)


def test_rows_open_sections_and_choices() -> None:
    rows = {(row.key, row.help.partition(":")[0] if row.help.startswith("For ") else ""): row
            for row in describe(SftConfig)}
    assert rows["optimizer.learning_rate", ""] == Row("optimizer.learning_rate", "number > 0", "1e-05",
                                                      "Peak learning rate.")     # the section's own default
    assert rows["views", ""].default == "block"
    masking = ", ".join(name for name in VIEWS if issubclass(VIEWS.options(name), MaskViewOptions))
    assert rows["views.post_num", f"For {masking}"].type == "whole number >= 0, or null"
    assert rows["views.shrink", "For trace"].default == "1"
    assert rows["views.level", "For random, coupled"].default == "block"
    assert rows["views.level", "For semi_ar"].default == "token"
    assert rows["model.path", ""].default == "required"
    assert rows["tasks", ""].default == "null"


def test_comments_stand_above_keys_of_sections_and_choices() -> None:
    assert commented_yaml(EvalConfig, {"tasks": {"name": "arithmetic", "seed": 1}, "num_samples": 2,
                                       "reward": {"name": "./mine.py:reward", "weight": [1, 2]},
                                       "decoding": {"top_k": 1}}).splitlines() == [
        "# The tasks. [math_json | gsm8k | math | arithmetic | sudoku | reasoning_gym, or your own module:object]",
        "tasks:", "  name: arithmetic", "  # Which tasks are drawn. [whole number >= 0]", "  seed: 1",
        "# Responses per task. [whole number >= 1]", "num_samples: 2",
        "# How responses are judged. [math | exact | reasoning_gym | length, or your own module:object]",
        "reward:", "  name: './mine.py:reward'", "  weight: [1, 2]",
        "# How responses are decoded.", "decoding:",
        "  # Keep the k largest logits; 0 keeps all. [whole number >= 0]", "  top_k: 1"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_parses_and_its_comments_are_current(path: Path) -> None:
    tool = recipe_tool()
    assert path.read_text() == tool.text(path.stem), "run python tools/make_recipes.py"
    config, _ = load_config(tool.RECIPES[path.stem].model, [f"config={path}"])
    assert config.schema_version == 1


def test_there_is_a_file_for_every_recipe() -> None:
    assert [path.stem for path in RECIPES] == sorted(recipe_tool().RECIPES)
