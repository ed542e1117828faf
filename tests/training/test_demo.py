"""The demonstration's configurations are those of the recipes."""

from pathlib import Path

import pytest

from dllm_rl.config.loading import load_config, parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.training import demo

RECIPES = Path(__file__).parent.parent.parent / "recipes"


@pytest.mark.parametrize(("name", "model", "values"), [
    ("sft_arithmetic", SftConfig, demo.sft_values), ("rl_arithmetic", RlConfig, demo.rl_values)])
def test_recipe_and_demonstration_agree(name: str, model: type, values: object) -> None:
    recipe, _ = load_config(model, [f"config={RECIPES / name}.yaml", "run_dir=x"])
    own = parse_config(model, values(Path("runs/demo"), 0) | {"run_dir": "x"}, "demo")
    assert own == recipe
