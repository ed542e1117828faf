"""What is said about a run, number by number, on a model whose weights are gone."""

import json
from pathlib import Path
from typing import Any

import pytest

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import load_config, parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.families import create_model
from dllm_rl.families.byte_tokenizer import END_OF_TEXT, MASK, byte_tokenizer
from dllm_rl.training.demo import create_tiny_model
from dllm_rl.training.explanation import BYTES, Explanation, Fact, explain, lines
from dllm_rl.training.memory import ModelSizes, decoding_bytes, training_bytes

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
         "intermediate_size": 24, "vocab_size": 264, "max_position_embeddings": 64, "rope_theta": 10000.0,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
PARAMETERS = 2 * 264 * 16 + 2 * (16 * (16 + 8 + 8 + 16) + 3 * 16 * 24 + 2 * 16 + 2 * 8) + 16
MODEL = ModelSizes(PARAMETERS, 4, layers=2, hidden=16, intermediate=24, queries=16, keys=8, vocabulary=264, positions=64)
TASKS = {"name": "arithmetic", "zero_pad": True, "num_tasks": 40}
ROOT = Path(__file__).parents[2]
PROMPT = {"template": "{problem} = "}      # 8 bytes, 8 tokens: 07+35 =


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tokenizer, folder = byte_tokenizer(), tmp_path_factory.mktemp("model") / "model"
    ids = tokenizer.get_vocab()
    special = {"mask": ids[MASK], "pad": ids[END_OF_TEXT], "eos": ids[END_OF_TEXT]}
    create_model("sdar", SIZES, tokenizer, special, block_size=4).save(folder)
    for file in folder.glob("*.safetensors"):
        file.unlink()
    return folder


def rl(path: Path, **values: Any) -> RlConfig:
    decoding = {"max_gen_length": 8}
    given = {"model": {"path": str(path)}, "tasks": TASKS, "prompt": PROMPT, "run_dir": "runs/x", "max_steps": 9,
             "beta": 0.0, "engine": {"max_num_seqs": 5},
             "rollout": {"num_task_per_step": 4, "num_response_per_task": 4, "decoding": decoding},
             "evaluation": {"tasks": TASKS | {"num_tasks": 10}, "num_samples": 2, "every": 4, "decoding": decoding}}
    return parse_config(RlConfig, {**given, **values}, "test")


def test_reinforcement_is_explained(path: Path) -> None:
    found = explain(rl(path, updates_per_step=2), Path()).as_dict()
    assert found["model"] == {"family": "sdar", "parameters": PARAMETERS, "layers": 2, "hidden_size": 16,
                              "vocabulary": 264, "positions": 64, "block_size": 4}
    assert found["data"] == {"tasks": 40, "prompt_tokens_mean": 8.0, "prompt_tokens_largest": 8, "prompts_too_long": 0,
                             "steps_per_pass": 10.0, "held_out_tasks": 10, "held_out_responses": 20, "evaluations": 4}
    # Two groups of four: a prompt of 8 shared; each response 4 clean tokens and two blocks of 4, four times.
    tokens = 2 * (8 + 4 * (4 + 2 * 4 * 4))
    assert found["step"] == {"tasks": 4, "responses": 16, "response_tokens_at_most": 128, "updates_at_most": 2,
                             "passes_for_old_log_probabilities": 1, "tokens_forwarded_by_updates": 2 * tokens,
                             "tokens_forwarded_without_gradients": 2 * tokens}
    assert found["first_update"] == {
        "responses_at_most": 8, "views": 32, "tokens": tokens, "micro_batches": 1,
        "tokens_of_the_largest_micro_batch": tokens, "tokens_as_one_row_per_view": 32 * (8 + 2 * 8)}
    parts, training = training_bytes(MODEL, "cpu", tokens, 8 * 8)
    decoding = decoding_bytes(MODEL, rl(path).rollout.decoding, 5, 16, 4)
    assert found["memory"] == {
        "weights_bytes": 4 * PARAMETERS, "optimiser_bytes": parts["optimiser"], "gradients_bytes": parts["gradients"],
        "activations_bytes": parts["activations"], "output_matrix_one_chunk_bytes": parts["output matrix, one chunk"],
        "key_value_cache_bytes": decoding["key/value cache"],
        "logits_of_one_decoding_step_bytes": decoding["logits of one decoding step"], "peak_bytes": training}
    assert found["run"] == {"folder": "runs/x", "steps": 9, "updates_at_most": 18,
                            "one_checkpoint_to_go_on_from_bytes": 12 * PARAMETERS, "one_export_bytes": 4 * PARAMETERS}
    assert found["warnings"] == []


def test_views_that_are_drawn_anew_take_old_log_probabilities_anew(path: Path) -> None:
    for redraw, passes in ((False, 1), (True, 5)):
        config = rl(path, updates_per_step=2, num_train_epochs=5, redraw_views=redraw)
        step = explain(config, Path()).as_dict()["step"]
        assert (step["updates_at_most"], step["passes_for_old_log_probabilities"]) == (10, passes)
        assert step["tokens_forwarded_without_gradients"] * 5 == step["tokens_forwarded_by_updates"] * passes
    pooled = explain(rl(path, updates_per_step=2, importance_level="token"), Path()).as_dict()["step"]
    assert pooled["tokens_forwarded_without_gradients"] == 2 * pooled["tokens_forwarded_by_updates"]
    once = explain(rl(path, redraw_views=True), Path()).as_dict()["step"]
    assert once["passes_for_old_log_probabilities"] == once["tokens_forwarded_without_gradients"] == 0


def test_rollouts_may_need_the_most(path: Path) -> None:
    config = rl(path, rollout={"num_task_per_step": 40, "num_response_per_task": 16, "decoding": {
        "max_gen_length": 8}}, engine={"max_num_seqs": 10**6}, max_tokens_per_micro_batch=60)
    found = explain(config, Path()).as_dict()["memory"]
    decoding = decoding_bytes(MODEL, config.rollout.decoding, 40 * 16, 16, 4)
    assert found["peak_bytes"] == 4 * PARAMETERS + 8 * PARAMETERS + sum(decoding.values())


def test_the_larger_of_rollouts_and_evaluation_counts(path: Path) -> None:
    evaluation = {"tasks": TASKS, "decoding": {"max_gen_length": 40}}
    config = rl(path, evaluation=evaluation, engine={"max_num_seqs": 50})
    found = explain(config, Path()).as_dict()["memory"]
    assert found["key_value_cache_bytes"] == decoding_bytes(
        MODEL, config.evaluation.decoding, 40, 48, 4)["key/value cache"]


def test_fine_tuning_is_explained(path: Path) -> None:
    config = parse_config(SftConfig, {"model": {"path": str(path)}, "tasks": TASKS, "prompt": PROMPT, "batch_size": 16,
                                      "max_tokens_per_micro_batch": 100, "run_dir": "runs/y"}, "test")
    found = explain(config, Path()).as_dict()
    assert found["data"] == {"samples": 40, "tokens_per_sample_mean": 12.0, "tokens_per_sample_largest": 12,
                             "updates_per_pass": 2.5}
    # A response of 3 digits and an end fills the block behind the prompt: 8 clean tokens and one noisy block.
    assert found["first_update"] == {"samples": 16, "views": 16, "tokens": 16 * 12, "micro_batches": 2,
                                     "tokens_of_the_largest_micro_batch": 96}
    assert "key_value_cache_bytes" not in found["memory"]
    assert found["run"]["updates_at_most"] == 100


@pytest.mark.parametrize(("model", "values"), [
    (EvalConfig, {"tasks": TASKS}), (GenerateConfig, {"tasks": TASKS | {"num_tasks": 39}, "prompts": ["07+35"]})])
def test_answering_is_explained(path: Path, model: type, values: dict[str, Any]) -> None:
    config = parse_config(model, {"model": {"path": str(path), "dtype": "bfloat16"}, "prompt": PROMPT, "num_samples": 3,
                                  "decoding": {"max_gen_length": 8}, **values}, "test")
    found = explain(config, Path()).as_dict()
    assert found["data"] == {"prompts": 40, "prompt_tokens_mean": 8.0, "prompt_tokens_largest": 8, "prompts_too_long": 0,
                             "responses": 120, "response_tokens_at_most": 960}
    memory = found["memory"]
    assert memory["weights_bytes"] == 2 * PARAMETERS
    assert memory["key_value_cache_bytes"] == 2 * 2 * 8 * 2 * 64 * 16
    assert memory.pop("peak_bytes") == sum(memory.values())


def test_samples_are_called_samples(path: Path) -> None:
    found = explain(rl(path, tasks=TASKS | {"num_tasks": 300}, rollout={
        "num_task_per_step": 300, "num_response_per_task": 4, "decoding": {"max_gen_length": 4}}), Path()).as_dict()
    assert (found["data"]["tasks"], found["data"]["of_which_tokenised_as_a_sample"]) == (300, 256)
    update = found["first_update"]
    assert (update["responses_at_most"], update["of_which_laid_out_the_rest_in_proportion"]) == (1200, 256)


def warnings_of(config: Any) -> list[str]:
    return explain(config, Path()).warnings


def test_advice_comes_first(path: Path) -> None:
    assert warnings_of(rl(path, beta=0.1))[0].startswith("beta is 0.1 with one update per step")


def test_prompts_without_room_are_told(path: Path) -> None:
    decoding = {"max_gen_length": 55}
    long = rl(path, tasks={"name": "arithmetic", "num_tasks": 200, "max_operand": 1000},
              rollout={"num_task_per_step": 4, "num_response_per_task": 4, "decoding": decoding},
              max_tokens_per_micro_batch=10**6)
    [said] = warnings_of(long)
    assert "prompts leave no room for max_gen_length within the model's positions" in said


def test_a_budget_that_is_too_small_is_told(path: Path) -> None:
    [said] = warnings_of(rl(path, max_tokens_per_micro_batch=19))
    assert said == ("one view of a response of the largest length takes 20 tokens, more than "
                    "max_tokens_per_micro_batch=19, which would stop the run; raise it to at least 20")
    values = {"model": {"path": str(path)}, "tasks": TASKS, "prompt": PROMPT, "max_tokens_per_micro_batch": 11}
    [said] = warnings_of(parse_config(SftConfig, values, "test"))
    assert said.startswith("one view of a sample takes 12 tokens")


def test_too_few_tasks_are_told(path: Path) -> None:
    [said] = warnings_of(rl(path, tasks=TASKS | {"num_tasks": 3}))
    assert said.startswith("a step takes 4 tasks and there are 3")


def test_samples_beyond_the_positions_are_told(path: Path, tmp_path: Path) -> None:
    rows = [{"prompt": "ab", "response": "c" * 70}, {"prompt": "ab", "response": "c"}]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = parse_config(SftConfig, {"model": {"path": str(path)}, "data": "data.jsonl", "batch_size": 2}, "test")
    [said] = explain(config, tmp_path).warnings
    assert said == ("1 of 2 samples are longer than the model's 64 positions; shorten them or leave them out")


def test_a_missing_checkpoint_is_the_usual_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no checkpoint folder"):
        explain(rl(tmp_path / "absent"), Path())


def test_lines_are_aligned_and_warnings_last() -> None:
    found = Explanation([("memory", [Fact("weights", 3 * 2**29, BYTES), Fact("a longer name", 12345)]),
                         ("run", [Fact("steps", 2.5), Fact("folder", "runs/x")])], ["mind the gap"])
    assert lines(found) == ["memory", "  weights        1.5 GiB", "  a longer name  12,345", "",
                            "run", "  steps          2.5", "  folder         runs/x", "", "warning: mind the gap"]
    assert lines(Explanation([("run", [Fact("steps", 2)])])) == ["run", "  steps  2"]
    assert found.as_dict() == {"memory": {"weights_bytes": 3 * 2**29, "a_longer_name": 12345},
                               "run": {"steps": 2.5, "folder": "runs/x"}, "warnings": ["mind the gap"]}


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (1023, "1,023 B"), (1024, "1.0 KiB"), (2**40, "1.0 TiB"),
                                              (2**52, "4,096.0 TiB")])
def test_bytes_are_shown_in_the_unit_they_reach(number: int, text: str) -> None:
    assert Fact("x", number, BYTES).text == text


def test_the_documented_example_is_what_is_said(tmp_path: Path) -> None:
    create_tiny_model(tmp_path / "start", seed=0)
    config, folder = load_config(RlConfig, [f"config={ROOT}/recipes/rl_arithmetic.yaml", f"model.path={tmp_path}/start"])
    shown = (ROOT / "docs" / "explain.md").read_text().split("```text\n")[1].split("\n```")[0]
    assert lines(explain(config, folder)) == shown.split("\n")
