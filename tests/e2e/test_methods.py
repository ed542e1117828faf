"""Every method preset on every kind of family: a run takes its updates; what does not go together is refused at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from dllm_rl.cli import main
from dllm_rl.config.loading import parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.registry import PRESETS
from tests.families.checkpoints import tiny

METHODS = [name for name in PRESETS if "views" in PRESETS.load(name).get(RlConfig, {})]
FAMILIES = ["sdar", "llada", "dream"]
PASSES = 3


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    for family in FAMILIES:
        tiny(family, tokenizer=True).save(folder / family)
    (folder / "reward.py").write_text("def reward(task, rollout):\n    return -float(len(set(rollout.response_ids)))\n")
    (folder / "run.yaml").write_text("reward: ./reward.py:reward\n")
    return {family: folder / family for family in FAMILIES}


def arguments(model: Path, run_dir: Path, *more: str) -> list[str]:
    canvas = [] if model.name == "sdar" else ["rollout.decoding.block_size=8", "evaluation.decoding.block_size=8"]
    return ["rl", f"config={model.parent / 'run.yaml'}", f"model.path={model}", "tasks.name=arithmetic",
            'prompt.template="{problem} = "', "evaluation.tasks={name: arithmetic, num_tasks: 2, split: test}",
            "evaluation.decoding.max_gen_length=8", "rollout.decoding.max_gen_length=8", "rollout.num_task_per_step=2",
            "rollout.num_response_per_task=4", "max_steps=1", "max_tokens_per_micro_batch=400", f"run_dir={run_dir}",
            "optimizer.learning_rate=1e-3", *canvas, *more, "--json", "--quiet"]


def own_options(method: str, family: str) -> list[str]:
    """The fewer passes of a test, and what a method's preset cannot ask of a block family."""
    redraws = parse_config(RlConfig, {"preset": [method], "model": {"path": "x"}, "tasks": "arithmetic",
                                      "evaluation": {"tasks": "arithmetic"}}, method).redraw_views
    return [*[f"num_train_epochs={PASSES}"] * redraws,
            *["views.p_mask_prompt=0"] * (method == "diffu_grpo" and family == "sdar")]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
def test_a_run_takes_its_updates(method: str, family: str, models: dict[str, Path], tmp_path: Path,
                                 capsys: pytest.CaptureFixture) -> None:
    options = own_options(method, family)
    assert main(arguments(models[family], tmp_path / "run", f"preset={method}", *options)) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["updates"] == (PASSES if f"num_train_epochs={PASSES}" in options else 1)
    assert result["gradient_norm"] > 0
    if result["updates"] != PASSES:
        assert result["ratio_min"] == result["ratio_max"] == 1
    else:
        assert result["ratio_max"] > 1 or result["ratio_min"] < 1


@pytest.mark.parametrize("command", [[], ["--dry-run"]])
@pytest.mark.parametrize(("family", "options", "said"), [
    ("sdar", ["preset=diffu_grpo"], "views 'mean_field' do not suit family 'sdar' with its block attention: the prompt is "
     "read from its clean copy, so p_mask_prompt 0.15 has no effect; set it to 0"),
    ("llada", ["views=semi_ar"], "views 'semi_ar' do not suit family 'llada' with its full attention: it has no blocks; "
     "use random, coupled or trace"),
    ("llada", ["preset=tracerl", "rollout.decoding.cache=prefix"], "rollouts are of replay class 'history'"),
    ("dream", ["preset=tracerl", "rollout.decoding.cfg_scale=1.5"], "rollouts are of replay class 'history'"),
    ("sdar", ["views=scheduled"], "views 'scheduled' differ from pass to pass over a step's rollouts; set "
     "redraw_views=true, and num_train_epochs to the number of passes"),
    ("sdar", ["preset=tracrl"], "unknown preset 'tracrl'; did you mean 'tracerl'?; known: upstream"),
])
def test_what_does_not_go_together_is_refused_before_anything_runs(
        command: list[str], family: str, options: list[str], said: str, models: dict[str, Path], tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    assert main([*arguments(models[family], tmp_path / "run", *options), *command]) != 0
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run").exists()


def test_fine_tuning_refuses_them_too(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sft", f"model.path={models['dream']}", "tasks.name=arithmetic", "views=semi_ar",
                 f"run_dir={tmp_path / 'run'}"]) != 0
    assert "views 'semi_ar' do not suit family 'dream'" in " ".join(capsys.readouterr().err.split())


def test_a_mismatch_may_be_accepted(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(arguments(models["llada"], tmp_path / "run", "preset=tracerl", "rollout.decoding.cache=prefix",
                          "rollout.replay_classes=[selection,history]")) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["updates"] == 1


@pytest.mark.parametrize("method", ["unigrpo", "coupled_grpo", "diffu_grpo"])
def test_old_and_new_log_probabilities_are_of_the_same_views(method: str, models: dict[str, Path], tmp_path: Path,
                                                             capsys: pytest.CaptureFixture) -> None:
    assert main(arguments(models["llada"], tmp_path / "run", f"preset={method}", "num_train_epochs=3",
                          "optimizer.learning_rate=1e-12")) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["updates"] == 3
    # Weights that do not move: other masks would move log-probabilities by tenths, float32 does by 1e-6.
    assert abs(result["ratio_min"] - 1) < 1e-4 and abs(result["ratio_max"] - 1) < 1e-4
