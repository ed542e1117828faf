"""``dllm-rl demo``: a tiny SDAR-architecture model learns sums, first from answers, then from rewards.

Everything is the ordinary road: the model is saved as a published checkpoint, and fine-tuning and reinforcement run
from the configurations that the recipes ``sft_arithmetic.yaml`` and ``rl_arithmetic.yaml`` hold as well.
"""

import json
from pathlib import Path
from typing import Any

from dllm_rl.config.loading import parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.run import RunConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.engine import Engine
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.summary import wilson_interval
from dllm_rl.families import create_model, load_model
from dllm_rl.families.byte_tokenizer import END_OF_TEXT, MASK, byte_tokenizer
from dllm_rl.records.atomic import write_text
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks
from dllm_rl.training.rl import evaluated, held_out_figures, run_rl
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.sft import run_sft
from dllm_rl.training.traces import play, write_traces

SIZES = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 32, "intermediate_size": 384, "vocab_size": 264, "max_position_embeddings": 1024,
         "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
TEMPLATE = "{problem} = "
TRAIN = {"name": "arithmetic", "zero_pad": True, "num_tasks": 4000}
HELD_OUT = {"name": "arithmetic", "zero_pad": True, "num_tasks": 1000, "split": "test"}
DECODING = {"max_gen_length": 8}
ENGINE = {"max_num_seqs": 128}
NUM_TRACES = 3
"""Answers that the report can play, before and after."""


def create_tiny_model(path: Path, seed: int) -> None:
    """Write a randomly initialised 0.86 M model with a byte-level tokenizer as a checkpoint."""
    tokenizer = byte_tokenizer()
    ids = tokenizer.get_vocab()
    special = {"mask": ids[MASK], "pad": ids[END_OF_TEXT], "eos": ids[END_OF_TEXT]}
    create_model("sdar", SIZES, tokenizer, special, block_size=4, seed=seed).save(path)


def sft_values(run_dir: Path, seed: int) -> dict[str, Any]:
    """The fine-tuning configuration of the demonstration, as plain values."""
    return {"model": {"path": str(run_dir / "start")}, "tasks": TRAIN, "prompt": {"template": TEMPLATE},
            "views": "block", "batch_size": 64, "max_steps": 450,
            "optimizer": {"learning_rate": 2e-3, "warmup_steps": 50}, "seed": seed, "run_dir": str(run_dir / "sft")}


def rl_values(run_dir: Path, seed: int) -> dict[str, Any]:
    """The TraceRL configuration of the demonstration, as plain values."""
    return {"model": {"path": str(run_dir / "sft" / "checkpoint")}, "tasks": TRAIN, "prompt": {"template": TEMPLATE},
            "evaluation": {"tasks": HELD_OUT, "decoding": DECODING, "every": 40},
            "rollout": {"num_task_per_step": 16, "num_response_per_task": 8, "decoding": DECODING},
            "engine": ENGINE, "reward": {"name": "math", "answer": "text"}, "preset": ["tracerl"], "max_steps": 400,
            "optimizer": {"learning_rate": 2e-4}, "seed": seed, "run_dir": str(run_dir / "rl")}


def run_demo(run_dir: Path, seed: int, display: Display) -> dict[str, Any]:
    """Run the demonstration, or go on with an interrupted one, and write ``summary.json`` and ``traces.json``.

    Returns:
        what ``summary.json`` holds: held-out accuracy (of 1,000 sums) before reinforcement and after it (the mean of the
        last three evaluations) with 95 % intervals, tokens per forward before and after, seconds per phase, the seed.

    Raises:
        ValueError: ``run_dir`` holds a finished demonstration.
    """
    if (run_dir / "summary.json").exists():
        raise ValueError(f"{run_dir} holds a finished demonstration; remove it or give another run_dir")
    if not (run_dir / "start").exists():
        create_tiny_model(run_dir / "start", seed)
    tuning = parse_config(SftConfig, sft_values(run_dir, seed), "demo")
    reinforcing = parse_config(RlConfig, rl_values(run_dir, seed), "demo")
    display.line("1/2 fine-tuning a 0.86 M model from scratch on sums such as 07+35 = 042")
    if not _is_finished(tuning):
        run_sft(tuning, run_dir, display)
    display.line("2/2 reinforcing it (TraceRL); held-out sums are never trained")
    if not _is_finished(reinforcing):
        run_rl(reinforcing, run_dir, display)
    write_traces(run_dir / "traces.json", [*_traces(run_dir / "sft", reinforcing, "before reinforcement"),
                                           *_traces(run_dir / "rl", reinforcing, "after reinforcement")])
    summary = _summary(RunFolder(run_dir / "sft"), RunFolder(run_dir / "rl"), seed)
    write_text(run_dir / "summary.json", json.dumps(summary, indent=2) + "\n")
    return summary


def _is_finished(config: RunConfig) -> bool:
    result = RunFolder(config.run_dir).result()
    return result is not None and result["step"] == config.max_steps


def _summary(tuning: RunFolder, reinforcing: RunFolder, seed: int) -> dict[str, Any]:
    accuracy, evaluations = held_out_figures(reinforcing), evaluated(reinforcing)
    before, after = accuracy["accuracy_before"], accuracy["accuracy_mean_of_last"]
    num = evaluations[0]["held_out_num_tasks"]
    summary = {"accuracy_before": before, "accuracy_after": after, "accuracy_last": accuracy["accuracy_after"],
               "tokens_per_forward_before": evaluations[0]["held_out_tokens_per_forward"],
               "tokens_per_forward_after": evaluations[-1]["held_out_tokens_per_forward"], "seed": seed}
    for name, value in (("before", before), ("after", after)):
        summary[f"accuracy_{name}_low"], summary[f"accuracy_{name}_high"] = wilson_interval(value * num, num)
    for title, run in (("sft", tuning), ("rl", reinforcing)):
        phases = seconds_per_phase(run)
        summary[f"seconds_{title}"] = sum(phases.values())
        summary |= {f"seconds_{title}_{name}": spent for name, spent in phases.items()}
    return summary


def seconds_per_phase(run: RunFolder) -> dict[str, float]:
    """Seconds that a run spent in each phase, over all its steps."""
    spent: dict[str, float] = {}
    for line in run.figures():
        for name, value in line.items():
            if name.startswith("seconds_"):
                phase = name.removeprefix("seconds_")
                spent[phase] = spent.get(phase, 0.0) + value
    return spent


def _traces(run: Path, config: RlConfig, title: str) -> list[dict[str, Any]]:
    """The first held-out sums, answered by the model that a phase left."""
    lm = load_model(run / "checkpoint")
    reward = build_reward(config.reward.name, config.reward.options)
    answerer = Answerer(lm, Engine(lm), config.prompt, config.evaluation.decoding, reward)
    tasks = load_tasks(config.evaluation.tasks.name, config.evaluation.tasks.options)
    return play(answerer, tasks[:NUM_TRACES], title, config.seed)
