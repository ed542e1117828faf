"""Write the recipes: YAML whose comments are the help texts of the options.

    python tools/make_recipes.py
"""

import textwrap
from pathlib import Path
from typing import Any, NamedTuple

from dllm_rl.config.base import Options
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.describe import MAX_COMMENT_WIDTH, commented_yaml
from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.presets import SDAR_DYNAMIC, SDAR_STATIC
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig

FOLDER = Path(__file__).parent.parent / "recipes"
NOT_RUN = "Not run on real weights yet."
TEMPLATE = "{problem} = "
SUMS = {"name": "arithmetic", "zero_pad": True, "num_tasks": 4000}
HELD_OUT_SUMS = {"name": "arithmetic", "zero_pad": True, "num_tasks": 1000, "split": "test"}
SHORT = {"max_gen_length": 8}
ENGINE = {"max_num_seqs": 128}
DYNAMIC, STATIC = (dict(preset[DecodingConfig]) for preset in (SDAR_DYNAMIC, SDAR_STATIC))
FLOAT32 = ("Training is in float32, because a step at this learning rate is lost in bfloat16 weights and this version "
           "keeps no second copy of them")
LARGE = ("In float32, weights, gradients and optimiser take 16 bytes per parameter, more than one GPU holds; it waits for "
         "sharding.")


class Recipe(NamedTuple):
    """One file: which command reads it, what stands at its head, its values."""

    model: type[Options]
    command: str
    head: str
    values: dict[str, Any]


def _rl(path: str, data: str, test: str, tasks: int, responses: int, block: int | None) -> dict[str, Any]:
    return {"preset": ["tracerl"], "model": {"path": path, "device": "cuda", "dtype": "float32", "block_size": block},
            "tasks": {"name": data, "path": f"../data/{data}_train.jsonl"},
            "evaluation": {"tasks": {"name": data, "path": f"../data/{test}.jsonl"}, "decoding": DYNAMIC,
                           "num_samples": 3, "every": 10},
            "rollout": {"num_task_per_step": tasks, "num_response_per_task": responses, "decoding": DYNAMIC},
            "reward": "math", "views": {"post_num": 1},
            "filter": {"min_pass_rate": 0.2, "max_pass_rate": 0.8},
            "optimizer": {"learning_rate": 1e-6}, "max_tokens_per_micro_batch": 16384, "updates_per_step": 4,
            "max_steps": 80, "run_dir": f"runs/{Path(path).name}-{data}"}


def _full(path: str, method: str, responses: int, decoding: dict[str, Any],
          values: dict[str, Any]) -> dict[str, Any]:
    decoding = {"max_gen_length": 256, "block_size": 32, "remasking_strategy": "low_confidence_static", **decoding}
    judged = {**decoding, "temperature": 0.0}
    return {"preset": [method], "model": {"path": path, "device": "cuda"},
            "tasks": {"name": "gsm8k", "path": "../data/gsm8k_train.jsonl"},
            "evaluation": {"tasks": {"name": "gsm8k", "path": "../data/gsm8k_test.jsonl"}, "decoding": judged, "every": 20},
            "rollout": {"num_task_per_step": 32, "num_response_per_task": responses, "decoding": decoding},
            "reward": "math", "max_tokens_per_micro_batch": 16384, "max_steps": 200,
            "run_dir": f"runs/{Path(path).name}-{method}", **values}


def _eval(decoding: dict[str, Any]) -> dict[str, Any]:
    return {"model": {"path": "JetLM/SDAR-8B-Chat", "dtype": "bfloat16", "device": "cuda"},
            "tasks": {"name": "math", "path": "../data/math500.jsonl"}, "decoding": decoding, "num_samples": 3}


RECIPES = {
    "sft_arithmetic": Recipe(SftConfig, "sft", "A tiny model on built-in sums; `make demo` makes runs/demo/start.", {
        "model": {"path": "runs/demo/start"}, "tasks": SUMS, "prompt": {"template": TEMPLATE}, "views": "block",
        "batch_size": 64, "max_steps": 450, "optimizer": {"learning_rate": 2e-3, "warmup_steps": 50},
        "run_dir": "runs/sft_arithmetic"}),
    "rl_arithmetic": Recipe(RlConfig, "rl", "TraceRL of a tiny model on built-in sums, after `make demo`.", {
        "preset": ["tracerl"],
        "model": {"path": "runs/demo/sft/checkpoint"}, "tasks": SUMS, "prompt": {"template": TEMPLATE},
        "evaluation": {"tasks": HELD_OUT_SUMS, "decoding": SHORT, "every": 40},
        "rollout": {"num_task_per_step": 16, "num_response_per_task": 8, "decoding": SHORT},
        "engine": ENGINE, "reward": {"name": "math", "answer": "text"}, "max_steps": 400,
        "optimizer": {"learning_rate": 2e-4}, "run_dir": "runs/rl_arithmetic"}),
    "eval_arithmetic": Recipe(EvalConfig, "eval", "Accuracy of a tiny model on held-out sums, after `make demo`.", {
        "model": {"path": "runs/demo/rl/checkpoint"}, "tasks": HELD_OUT_SUMS, "prompt": {"template": TEMPLATE},
        "decoding": SHORT, "engine": ENGINE, "reward": {"name": "math", "answer": "text"}}),
    "sft_sdar_1.7b_block": Recipe(SftConfig, "sft", f"Native block fine-tuning of SDAR-1.7B. {NOT_RUN} {FLOAT32}.", {
        "model": {"path": "JetLM/SDAR-1.7B-Chat", "device": "cuda", "block_size": 4}, "data": "../data/sft.jsonl",
        "views": "block", "batch_size": 32, "max_tokens_per_micro_batch": 16384, "max_steps": 1000,
        "optimizer": {"learning_rate": 1e-5, "warmup_steps": 30}, "run_dir": "runs/sft_sdar_1.7b"}),
    "rl_sdar_1.7b_gsm8k": Recipe(RlConfig, "rl", f"TraceRL of SDAR-1.7B on GSM8K. {NOT_RUN} {FLOAT32}: about "
                                 "32 GB without activations. Upstream takes up to 16 updates on a step's rollouts. "
                                 "Data: GSM8K's files as published, under these names.",
                                 _rl("JetLM/SDAR-1.7B-Chat", "gsm8k", "gsm8k_test", 64, 16, 4)),
    "rl_trado_8b_math": Recipe(RlConfig, "rl", f"TraceRL of TraDo-8B on MATH. {NOT_RUN} {FLOAT32}: about 131 GB "
                               "without activations, more than one GPU holds; it waits for sharding. "
                               "Data: MATH's training set and MATH500 as published, under these names.",
                               _rl("Gen-Verse/TraDo-8B-Instruct", "math", "math500", 64, 16, 4)),
    "rl_llada_8b_gsm8k_tracerl": Recipe(
        RlConfig, "rl", f"TraceRL of LLaDA-8B on GSM8K, full attention: eight steps of a trace to a view and rollouts at "
        f"temperature 0.8, as upstream. {NOT_RUN} {LARGE}",
        _full("GSAI-ML/LLaDA-8B-Instruct", "tracerl", 16, {"temperature": 0.8}, {
            "views": {"shrink": 8, "post_num": 1}, "updates_per_step": 4})),
    "rl_llada_8b_gsm8k_diffu_grpo": Recipe(
        RlConfig, "rl", f"diffu-GRPO (d1) of LLaDA-8B on GSM8K. {NOT_RUN} Passes, clipping and KL are the paper's; it "
        f"trains LoRA weights, which this version does not have. {LARGE}",
        _full("GSAI-ML/LLaDA-8B-Instruct", "diffu_grpo", 8, {"temperature": 1.0}, {})),
    "rl_dream_7b_gsm8k_coupled_grpo": Recipe(
        RlConfig, "rl", "coupled-GRPO with DiffuCoder's settings of optimiser and rollouts, on GSM8K instead of code. "
        f"{NOT_RUN} {LARGE}",
        _full("Dream-org/Dream-v0-Instruct-7B", "coupled_grpo", 10, {"temperature": 1.0, "steps": 256}, {
            "optimizer": {"learning_rate": 1e-6, "beta2": 0.99, "weight_decay": 0.1, "max_grad_norm": 0.2}})),
    "eval_sdar_math500_static": Recipe(EvalConfig, "eval", f"Published static settings on MATH500. {NOT_RUN} Published "
                                       "accuracy: 74.3 %, by upstream's string route. Data: MATH500 as published.",
                                       _eval(STATIC)),
    "eval_sdar_math500_dynamic": Recipe(EvalConfig, "eval", f"Published dynamic settings on MATH500. {NOT_RUN} Published "
                                        "accuracy: 70.7 %, by upstream's string route. Data: MATH500 as published.",
                                        _eval(DYNAMIC)),
}


def text(name: str) -> str:
    """The recipe as it stands in its file."""
    recipe = RECIPES[name]
    head = textwrap.fill(recipe.head, MAX_COMMENT_WIDTH, initial_indent="# ", subsequent_indent="# ")
    return (f"{head}\n#   dllm-rl {recipe.command} config=recipes/{name}.yaml\n"
            f"{commented_yaml(recipe.model, {'schema_version': 1, **recipe.values})}\n")


def main() -> None:
    """Write every recipe."""
    for name in RECIPES:
        (FOLDER / f"{name}.yaml").write_text(text(name))


if __name__ == "__main__":
    main()
