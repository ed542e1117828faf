"""The recipes of the tiny model are the demonstration's own settings."""

from pathlib import Path

import pytest

from dllm_rl.config.advice import replaced_part
from dllm_rl.config.loading import load_config, parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.registry import PRESETS
from dllm_rl.training.demo import rl_values, sft_values

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.mark.parametrize(("model", "values", "name"), [(SftConfig, sft_values, "sft_arithmetic"),
                                                       (RlConfig, rl_values, "rl_arithmetic")])
def test_a_recipe_is_the_demonstration_in_a_folder_of_its_own(model: type, values: object, name: str) -> None:
    recipe, _ = load_config(model, [f"config={RECIPES / name}.yaml"])
    demo = parse_config(model, {**values(Path("runs/demo"), 0), "run_dir": f"runs/{name}"}, "demo")
    assert recipe == demo


@pytest.mark.parametrize("recipe", sorted(path.stem for path in RECIPES.glob("rl_*.yaml")))
@pytest.mark.parametrize("method", [name for name in PRESETS if "views" in PRESETS.load(name).get(RlConfig, {})])
def test_a_method_named_on_the_command_line_is_the_one_that_runs(recipe: str, method: str) -> None:
    arguments = [f"config={RECIPES / recipe}.yaml", f"preset={method}"]
    if recipe == "rl_llada_8b_gsm8k_tracerl" and method not in ("tracerl", "dipo"):
        with pytest.raises(ValueError, match="views.shrink is no option of view"):
            load_config(RlConfig, arguments)
        return
    config, _ = load_config(RlConfig, arguments)
    assert config.views.name == PRESETS.load(method)[RlConfig]["views"]["name"]
    assert replaced_part(config) is None
