"""``verify`` on the reference vectors: what is known is equal, what is not known fails loudly."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from dllm_rl.verification import verify_folder

KNOWN = ["sdar/logits", "sdar/generation", "sdar/training", "sdar/block_diffusion_training"]
GENERATION = ["sdar", "sdar_moe", "dream", "llada"]


@pytest.fixture
def copy(reference_dir: Path, tmp_path: Path) -> Path:
    shutil.copytree(reference_dir / "sdar", tmp_path / "sdar")
    return tmp_path / "sdar"


def edit(folder: Path, section: str, **changes: object) -> None:
    index = json.loads((folder / "goldens.json").read_text())
    index[section][0] |= changes
    (folder / "goldens.json").write_text(json.dumps(index))


def test_every_known_entry_is_equal(reference_dir: Path) -> None:
    outcomes = list(verify_folder(reference_dir, KNOWN))
    assert len(outcomes) == 4 + 17 + 8 + 3
    assert [outcome.name for outcome in outcomes if not outcome.passed] == []


@pytest.mark.parametrize("family", GENERATION)
def test_every_recorded_generation_is_equal(reference_dir: Path, family: str) -> None:
    outcomes = list(verify_folder(reference_dir, [f"{family}/generation"]))
    assert len(outcomes) == len(json.loads((reference_dir / family / "goldens.json").read_text())["generation"])
    assert [outcome.name for outcome in outcomes if not outcome.passed] == []


RL_OF_CANVASES = ["rl_trace", "rl_trace_shrink3_post1_k3", "rl_random_masking_klk1", "rl_coupled", "sft_random_masking"]


@pytest.mark.parametrize("family", ["dream", "llada"])
def test_full_attention_training_is_equal(reference_dir: Path, family: str) -> None:
    outcomes = {outcome.name.rpartition("/")[2]: outcome
                for outcome in verify_folder(reference_dir, [f"{family}/training"])}
    stored = json.loads((reference_dir / family / "goldens.json").read_text())["training"]
    assert {entry["name"] for entry in stored if entry["kind"] == "rl"} <= set(RL_OF_CANVASES)
    assert [name for name in RL_OF_CANVASES if not outcomes[name].passed] == []
    checked = {check.quantity for check in outcomes["rl_coupled"].checks}
    assert checked == {"noisy_ids", "labels", "p_mask", "row_rewards", "logp", "loss on policy", "grad_norms on policy",
                       "loss old logp", "grad_norms old logp"}


@pytest.mark.parametrize("family", ["dream", "llada"])
def test_a_changed_row_reward_loss_or_gradient_of_a_canvas_fails(reference_dir: Path, tmp_path: Path,
                                                                 family: str) -> None:
    folder = tmp_path / family
    shutil.copytree(reference_dir / family, folder)
    index = json.loads((folder / "goldens.json").read_text())
    trace, merged, random, coupled = index["training"][:4]
    trace["loss_on_policy"] += 1e-4
    merged["row_rewards"][0] = 2.0
    name = next(iter(random["grad_norms_old_logp"]))
    random["grad_norms_old_logp"][name] *= 1.001
    coupled["seed"] += 1
    (folder / "goldens.json").write_text(json.dumps(index))
    found = [{check.quantity for check in outcome.checks if not check.passed}
             for outcome in list(verify_folder(folder, [f"{family}/training"]))[:3]]
    assert found == [{"loss on policy"}, {"row_rewards"}, {"grad_norms old logp"}]
    assert not list(verify_folder(folder, [f"{family}/training"]))[3].passed


def test_a_response_that_goes_on_behind_its_pads_is_refused(reference_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llada"
    shutil.copytree(reference_dir / "llada", folder)
    index = json.loads((folder / "goldens.json").read_text())
    index["training_data"]["responses"][0][3:5] = [index["pad_token_id"]] * 2
    (folder / "goldens.json").write_text(json.dumps(index))
    outcome = list(verify_folder(folder, ["llada/training"]))[1]
    assert outcome.problem == "training/rl_trace_shrink3_post1_k3: a response goes on behind its pads"


@pytest.mark.parametrize("family", ["dream", "llada"])
def test_a_changed_step_of_a_canvas_fails(reference_dir: Path, tmp_path: Path, family: str) -> None:
    folder = tmp_path / family
    shutil.copytree(reference_dir / family, folder)
    entry = json.loads((folder / "goldens.json").read_text())["generation"][0]
    arrays = load_file(folder / "goldens.safetensors")
    name = entry["step_map"] if entry.get("step_map") else entry["native_step_map"]
    arrays[name][0, -1] += 1
    save_file(arrays, folder / "goldens.safetensors")
    first = next(iter(verify_folder(folder, [f"{family}/generation"])))
    assert not first.passed
    assert [check.quantity for check in first.checks if not check.passed] in (["step_map"], ["native_step_map"])


def test_a_section_nobody_knows_fails(reference_dir: Path) -> None:
    outcomes = list(verify_folder(reference_dir / "sdar", ["sdar/value"]))
    assert len(outcomes) == 3
    assert all(not outcome.passed and "'value' are not known" in str(outcome.problem) for outcome in outcomes)


@pytest.mark.parametrize(("section", "changes", "problem"), [
    ("logits", {"logits": "logits/nothing"}, "array 'logits/nothing' is not in goldens.safetensors"),
    ("generation", {"engine": "warp"}, "unknown engine 'warp'"),
    ("training", {"kind": "dpo"}, "unknown kind 'dpo'"),
])
def test_an_entry_of_another_kind_or_without_its_array_fails(copy: Path, section: str, changes: dict,
                                                             problem: str) -> None:
    edit(copy, section, **changes)
    outcome = next(iter(verify_folder(copy, [f"sdar/{section}"])))
    assert not outcome.passed
    assert problem in str(outcome.problem)


def test_a_changed_value_is_out_of_tolerance(copy: Path) -> None:
    arrays = load_file(copy / "goldens.safetensors")
    arrays["logits/full_L11/logits"][0, 0, 0] += 1e-3
    arrays["gen/static_b4_s4/step_map"][0, -1] += 1
    arrays["train/trace/p_mask"][0, -1] ^= 1
    save_file(arrays, copy / "goldens.safetensors")
    edit(copy, "block_diffusion_training", loss=8.0)
    failed = {outcome.name for outcome in verify_folder(copy, KNOWN) if not outcome.passed}
    assert {"sdar/logits/full_L11", "sdar/generation/static_b4_s4", "sdar/training/trace",
            "sdar/block_diffusion_training/single"} <= failed


def test_only_must_select_something(reference_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only='sdar/logit' selects nothing; known: .*sdar/logits"):
        list(verify_folder(reference_dir, ["sdar/logit"]))
    with pytest.raises(ValueError, match=r"holds no goldens.json"):
        list(verify_folder(tmp_path, []))
