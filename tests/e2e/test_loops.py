"""Whole commands on a tiny model: fine-tuning, reinforcement, evaluation, generation."""

import json
from pathlib import Path

import pytest

from dllm_rl.cli import main
from dllm_rl.training import demo

LENGTH_REWARD = "def reward(task, rollout):\n    return -float(len(set(rollout.response_ids)))\n"
SHORT = ['prompt.template="{problem} = "', "tasks.zero_pad=true"]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "start"
    demo.create_tiny_model(path, seed=1)
    return path


def figures(capsys: pytest.CaptureFixture) -> dict[str, float]:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("views", ["block", "semi_ar", "trace", "random"])
def test_sft_lowers_the_loss(views: str, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = [f"model.path={start}", "tasks.name=arithmetic", "tasks.num_tasks=64", *SHORT, f"views={views}",
                 "max_steps=25", "batch_size=16", "optimizer.learning_rate=2e-3", f"run_dir={tmp_path / 'run'}"]
    assert main(["sft", *arguments, "--json", "--quiet"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(26))
    assert sum(line["loss"] for line in lines[-5:]) < 0.9 * sum(line["loss"] for line in lines[1:6])


@pytest.mark.parametrize("views", ["trace", "trace_action", "random", "coupled"])
def test_rl_takes_updates_with_the_users_own_reward(views: str, start: Path, tmp_path: Path,
                                                    capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "reward.py").write_text(LENGTH_REWARD)
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    assert main(["rl", f"config={tmp_path / 'run.yaml'}", f"model.path={start}", "tasks.name=arithmetic", *SHORT,
                 "evaluation.tasks={name: arithmetic, num_tasks: 8, split: test}", f"views={views}",
                 "evaluation.decoding.max_gen_length=6", "rollout.decoding.max_gen_length=6",
                 "rollout.num_task_per_step=3", "rollout.num_response_per_task=4", "updates_per_step=2",
                 "max_steps=2", "max_tokens_per_micro_batch=80", f"run_dir={tmp_path / 'run'}", "--json",
                 "--quiet"]) == 0
    result = figures(capsys)
    assert result["updates"] == 2
    assert result["gradient_norm"] > 0
    assert (tmp_path / "run/checkpoint/model.safetensors").is_file()
    assert (tmp_path / "run/config.yaml").is_file()


def test_equal_rewards_skip_the_update(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "reward.py").write_text("def reward(task, rollout):\n    return 1.0\n")
    (tmp_path / "run.yaml").write_text("reward: ./reward.py:reward\n")
    assert main(["rl", f"config={tmp_path / 'run.yaml'}", f"model.path={start}", "tasks.name=arithmetic", *SHORT,
                 "evaluation.tasks={name: arithmetic, num_tasks: 4, split: test}",
                 "evaluation.decoding.max_gen_length=4", "rollout.decoding.max_gen_length=4",
                 "rollout.num_task_per_step=2", "rollout.num_response_per_task=2", "max_steps=1",
                 f"run_dir={tmp_path / 'run'}", "--json", "--quiet"]) == 0
    assert figures(capsys)["updates"] == 0


def test_generate_and_eval(start: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["generate", f"model.path={start}", "prompts=['01+02','3+4']", 'prompt.template="{problem} = "',
                 "decoding.max_gen_length=5", "num_samples=2", "trace=true", f"out={tmp_path / 'o.jsonl'}",
                 "--quiet"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [line["question"] for line in lines] == ["01+02", "3+4"]
    assert all(len(response["step_map"]) == len(response["response_ids"])
               for line in lines for response in line["responses"])
    assert main(["eval", f"model.path={start}", "tasks={name: arithmetic, num_tasks: 10}", "--json", "--quiet",
                 'prompt.template="{problem} = "', "decoding.max_gen_length=5", "reward={name: math, answer: text}",
                 f"out={tmp_path / 'a.parquet'}"]) == 0
    result = figures(capsys)
    assert result["num_answers"] == 10
    assert result["accuracy_low"] <= result["accuracy"] <= result["accuracy_high"]
