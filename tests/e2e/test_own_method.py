"""The page on own methods: its code and configuration are taken out of it and run."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from dllm_rl.cli import main
from dllm_rl.config.options import TokenClipOptions
from dllm_rl.objectives.policy_losses import token_clip
from dllm_rl.records import Rollout, View
from dllm_rl.registry import load_object
from dllm_rl.training.demo import create_tiny_model
from dllm_rl.views import build_views
from tests.helpers.targets import single

PAGE = Path(__file__).parents[2] / "docs/own_method.md"
ROLLOUT = Rollout([1, 2, 3], [10, 11, 12, 13, 14, 15, 16], [1, 3, 2, 4, 6, 5, 7], block_size=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page."""
    place = tmp_path_factory.mktemp("mine")
    for name, code in re.findall(r'```\w+ title="(\S+)"\n(.*?)```', PAGE.read_text(), re.DOTALL):
        (place / name).write_text(code)
    assert sorted(path.name for path in place.iterdir()) == ["run.yaml", "sampled_rounds.py"]
    return place


def own_views(folder: Path, rounds: int, seed: int = 0) -> list[View]:
    [found] = build_views("./sampled_rounds.py:views", [ROLLOUT], seed=seed, folder=folder, rounds=rounds)
    return found


def test_the_method_is_as_short_as_the_page_says(folder: Path) -> None:
    assert (folder / "sampled_rounds.py").read_text().count("\n") <= 40


def test_it_trains_from_the_yaml_file(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture) -> None:
    create_tiny_model(tmp_path / "start", seed=1)
    (tmp_path / "reward.py").write_text("def reward(task, rollout):\n    return float(len(set(rollout.response_ids)))\n")
    monkeypatch.chdir(tmp_path)
    small = ["model.path=start", f"reward={tmp_path / 'reward.py'}:reward", "max_steps=2", "evaluation.tasks.num_tasks=4",
             "rollout.num_task_per_step=2", "rollout.num_response_per_task=4", "updates_per_step=2", "run_dir=run"]
    assert main(["rl", f"config={folder / 'run.yaml'}", *small, "--json", "--quiet"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["updates"] == 2 and result["gradient_norm"] > 0
    assert main(["explain", "rl", f"config={folder / 'run.yaml'}", *small, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first_update"]["views"] == 4 * 2      # responses, rounds of each


def test_all_rounds_are_the_trace(folder: Path) -> None:
    [trace] = build_views("trace", [ROLLOUT])
    for ours, theirs in zip(own_views(folder, 99), trace, strict=True):
        assert torch.equal(ours.masked, theirs.masked) and torch.equal(ours.weight, theirs.weight)


def test_on_average_every_token_counts_once(folder: Path) -> None:
    total = torch.stack([view.weight for seed in range(600) for view in own_views(folder, 2, seed)]).sum(0) / 600
    # Two of four rounds, weight 2 each: a token's mean weight over 600 draws has a standard deviation of 0.041.
    torch.testing.assert_close(total[3:], torch.ones(7), atol=0.15, rtol=0)
    assert not total[:3].any() and len(own_views(folder, 2)) == 2


def test_its_loss_is_the_clipped_one_but_for_bad_responses(folder: Path) -> None:
    loss = load_object("./sampled_rounds.py:loss", folder)
    batch = single([0.1, 0.5, -0.5, 0.1], [1, 1, 1, -1])
    found = loss(batch, {"eps": 0.2, "negative": 0.5})
    torch.testing.assert_close(found[:3], token_clip(batch, TokenClipOptions())[:3])
    assert float(found[3]) == pytest.approx(0.5 * torch.tensor(0.1).exp().item(), rel=1e-5)
