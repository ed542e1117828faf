"""``dllm-rl demo``: a tiny SDAR-architecture model learns sums, first from answers, then from rewards.

Everything is the ordinary road: the model is saved as a published checkpoint, and fine-tuning and reinforcement run
from the configurations that the recipes ``sft_arithmetic.yaml`` and ``rl_arithmetic.yaml`` hold as well.
"""

import json
import time
from pathlib import Path
from typing import Any

from dllm_rl.config.loading import parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig
from dllm_rl.evaluation.display import Display
from dllm_rl.families import create_model
from dllm_rl.families.byte_tokenizer import END_OF_TEXT, MASK, byte_tokenizer
from dllm_rl.training.rl import run_rl
from dllm_rl.training.sft import run_sft

SIZES = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 32, "intermediate_size": 384, "vocab_size": 264, "max_position_embeddings": 1024,
         "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
TEMPLATE = "{problem} = "
TRAIN = {"name": "arithmetic", "zero_pad": True, "num_tasks": 4000}
HELD_OUT = {"name": "arithmetic", "zero_pad": True, "num_tasks": 1000, "split": "test"}
DECODING = {"max_gen_length": 8, "batch_size": 256}


def create_tiny_model(path: Path, seed: int) -> None:
    """Write a randomly initialised 0.86 M model with a byte-level tokenizer as a checkpoint."""
    tokenizer = byte_tokenizer()
    ids = tokenizer.get_vocab()
    special = {"mask": ids[MASK], "pad": ids[END_OF_TEXT], "eos": ids[END_OF_TEXT]}
    create_model("sdar", SIZES, tokenizer, special, block_size=4, seed=seed).save(path)


def sft_values(run_dir: Path, seed: int) -> dict[str, Any]:
    """The fine-tuning configuration of the demonstration, as plain values."""
    return {"model": {"path": str(run_dir / "start")}, "tasks": TRAIN, "prompt": {"template": TEMPLATE},
            "views": "block", "batch_size": 64, "max_steps": 600,
            "optimizer": {"learning_rate": 2e-3, "warmup_steps": 50}, "seed": seed, "run_dir": str(run_dir / "sft")}


def rl_values(run_dir: Path, seed: int) -> dict[str, Any]:
    """The TraceRL configuration of the demonstration, as plain values."""
    return {"model": {"path": str(run_dir / "sft" / "checkpoint")}, "tasks": TRAIN, "prompt": {"template": TEMPLATE},
            "evaluation": {"tasks": HELD_OUT, "decoding": DECODING, "every": 25},
            "rollout": {"num_task_per_step": 16, "num_response_per_task": 8, "decoding": DECODING},
            "reward": {"name": "math", "answer": "text"}, "views": "trace", "max_steps": 150,
            "optimizer": {"learning_rate": 2e-4}, "seed": seed, "run_dir": str(run_dir / "rl")}


def run_demo(run_dir: Path, seed: int, display: Display) -> dict[str, float]:
    """Run the demonstration and write ``summary.json``.

    Returns:
        held-out accuracy before and after reinforcement, and seconds per phase.

    Raises:
        ValueError: ``run_dir`` holds a demonstration already.
    """
    if (run_dir / "summary.json").exists() or (run_dir / "sft").exists():
        raise ValueError(f"{run_dir} holds a demonstration already; remove it or give another folder")
    start = time.perf_counter()
    create_tiny_model(run_dir / "start", seed)
    display.line("1/2 fine-tuning a 0.86 M model from scratch on sums such as 07+35 = 042")
    run_sft(parse_config(SftConfig, sft_values(run_dir, seed), "demo"), run_dir, display)
    tuned = time.perf_counter()
    display.line("2/2 reinforcing it (TraceRL); held-out sums are never trained")
    figures = run_rl(parse_config(RlConfig, rl_values(run_dir, seed), "demo"), run_dir, display)
    summary = {"accuracy_before": figures["accuracy_before"], "accuracy_after": figures["accuracy_after"],
               "accuracy_after_low": figures["held_out_accuracy_low"],
               "accuracy_after_high": figures["held_out_accuracy_high"],
               "tokens_per_forward_after": figures["held_out_tokens_per_forward"], "seed": float(seed),
               "seconds_sft": tuned - start, "seconds_rl": time.perf_counter() - tuned}
    (run_dir / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary
