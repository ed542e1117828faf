"""The recipes of the tiny model are the demonstration's own settings."""

from pathlib import Path

import pytest

from dllm_rl.config.loading import load_config, parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.training.demo import rl_values, sft_values

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(("model", "values", "name"), [(SftConfig, sft_values, "sft_arithmetic"),
                                                       (RlConfig, rl_values, "rl_arithmetic")])
def test_a_recipe_is_the_demonstration_in_a_folder_of_its_own(model: type, values: object, name: str) -> None:
    recipe, _ = load_config(model, [f"config={RECIPES / name}.yaml"])
    demo = parse_config(model, {**values(Path("runs/demo"), 0), "run_dir": f"runs/{name}"}, "demo")
    assert recipe == demo
