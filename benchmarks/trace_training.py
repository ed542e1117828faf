"""Cost of TraceRL training: packed shared-clean documents against one row per trace group, as upstream lays it out.

One forward and backward pass over all trace views of eight synthetic rollouts, both ways in one run, on this machine:

    python benchmarks/trace_training.py --out trace_training.json

Prints JSON: token-forwards, seconds and peak memory of both, and their ratios.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from dllm_rl.attention import DenseAttention
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.likelihood import build_packs, enumerate_targets, pack_log_probs
from dllm_rl.likelihood.head import raw_log_probs
from dllm_rl.records import Layout, Rollout
from dllm_rl.records.layout import NO_PARENT
from dllm_rl.views import build_views

BLOCK, PROMPT, RESPONSE, MASK = 4, 128, 512, 0
TOKENS_PER_STEP = torch.tensor([0.35, 0.35, 0.15, 0.15])
SIZES = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
         "head_dim": 64, "intermediate_size": 768, "vocab_size": 4096, "max_position_embeddings": 4096,
         "rope_theta": 1e6, "rms_norm_eps": 1e-6, "tie_word_embeddings": False}


def synthetic_rollouts(num: int, vocab_size: int, seed: int = 0) -> list[Rollout]:
    """Rollouts with random ids whose blocks are revealed 1 to 4 tokens at a time in random order."""
    generator = torch.Generator().manual_seed(seed)
    rollouts = []
    for _ in range(num):
        ids = torch.randint(1, vocab_size, (PROMPT + RESPONSE,), generator=generator).tolist()
        steps, step = [], 0
        for _ in range(RESPONSE // BLOCK):
            order, block, done = torch.randperm(BLOCK, generator=generator).tolist(), [0] * BLOCK, 0
            while done < BLOCK:
                step += 1
                count = 1 + int(torch.multinomial(TOKENS_PER_STEP, 1, generator=generator))
                for place in order[done:done + count]:
                    block[place] = step
                done += count
            steps += block
        rollouts.append(Rollout(ids[:PROMPT], ids[PROMPT:], steps, block_size=BLOCK))
    return rollouts


def small_model(**sizes: int) -> LanguageModel:
    """A randomly initialised SDAR-architecture model."""
    return create_model("sdar", SIZES | sizes, None, {"mask": MASK, "pad": 1, "eos": 1}, BLOCK)


def train_packed(lm: LanguageModel, rollouts: list[Rollout], max_tokens: int) -> int:
    """One forward and backward pass over packed documents; returns the tokens forwarded."""
    views = build_views("trace", rollouts)
    packs, targets = build_packs(rollouts, views, lm.mask_token_id, lm.block_size, max_tokens)
    for pack in packs:
        (-pack_log_probs(lm, pack, targets).sum() / len(targets.labels)).backward()
    return sum(len(pack.ids) for pack in packs)


def upstream_row_layout() -> Layout:
    """The layout of one row ``[prompt | clean response | noisy response]``."""
    prompt, response = torch.arange(PROMPT), PROMPT + torch.arange(RESPONSE)
    position = torch.cat([prompt, response, response])
    view = torch.cat([torch.zeros(PROMPT + RESPONSE), torch.ones(RESPONSE)]).long()
    zero = torch.zeros_like(position)
    return Layout(position, zero, zero + NO_PARENT, view, position // BLOCK)


def train_rows(lm: LanguageModel, rollouts: list[Rollout], max_tokens: int, head_on_targets: bool = False) -> int:
    """The same loss from one row per trace group with a dense mask; returns the tokens forwarded."""
    views = build_views("trace", rollouts)
    total = len(enumerate_targets(rollouts, views).labels)
    length = PROMPT + 2 * RESPONSE
    batch = max(1, max_tokens // length)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for rollout, own in zip(rollouts, views, strict=True):
        ids = torch.tensor(rollout.prompt_ids + rollout.response_ids)
        for view in own:
            noisy = torch.where(view.masked, lm.mask_token_id, ids)
            rows.append((torch.cat([ids, noisy[PROMPT:]]), view.target[PROMPT:], ids[PROMPT:]))
    single = upstream_row_layout()
    for start in range(0, len(rows), batch):
        ids, target, labels = (torch.stack(column) for column in zip(*rows[start:start + batch], strict=True))
        layout = Layout(*(tensor.expand(len(ids), -1) for tensor in single.tensors()))
        hidden = lm.hidden(ids, layout.position, DenseAttention(layout))[:, PROMPT + RESPONSE:]
        if head_on_targets:
            logps = raw_log_probs(lm.head(hidden[target]), labels[target])
        else:
            logps = raw_log_probs(lm.head(hidden).flatten(0, 1), labels.flatten())[target.flatten()]
        (-logps.sum() / total).backward()
    return len(rows) * length


WAYS = {
    "packed": train_packed,
    "rows": train_rows,
    "rows_head_on_targets": lambda lm, rollouts, budget: train_rows(lm, rollouts, budget, head_on_targets=True),
}


def measure(way: str, max_tokens: int, num: int, repeats: int) -> dict[str, float]:
    """Time one way in this process; the first pass is a warm-up. Peak memory is this process's own."""
    lm = small_model()
    rollouts = synthetic_rollouts(num, lm.vocab_size)
    WAYS[way](lm, rollouts[:1], max_tokens)
    lm.backbone.zero_grad()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds, tokens, norm = [], 0, 0.0
    for _ in range(repeats):
        lm.backbone.zero_grad()
        start = time.perf_counter()
        tokens = WAYS[way](lm, rollouts, max_tokens)
        seconds.append(time.perf_counter() - start)
        norm = sum(float(p.grad.square().sum()) for p in lm.backbone.parameters() if p.grad is not None) ** 0.5
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"tokens": tokens, "seconds": min(seconds), "gradient_norm": norm, "peak_mib": after / 1024,
            "peak_before_mib": before / 1024}


def main() -> None:
    """Run every way in a process of its own and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--max-tokens", type=int, default=4608)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.max_tokens, options.rollouts, options.repeats)))
        return
    shared = ["--max-tokens", str(options.max_tokens), "--rollouts", str(options.rollouts), "--repeats",
              str(options.repeats)]
    result: dict[str, object] = {}
    for way in WAYS:
        done = subprocess.run([sys.executable, __file__, "--way", way, *shared], check=True, capture_output=True,
                              text=True)
        result[way] = json.loads(done.stdout.splitlines()[-1])
    packed, rows = result["packed"], result["rows"]
    result["ratios"] = {key: rows[key] / packed[key] for key in ("tokens", "seconds", "peak_mib")}  # type: ignore
    result["ratios_head_on_targets"] = {
        key: result["rows_head_on_targets"][key] / packed[key] for key in ("tokens", "seconds", "peak_mib")}  # type: ignore
    result["settings"] = {"threads": torch.get_num_threads(), "max_tokens": options.max_tokens,
                          "rollouts": options.rollouts, "torch": torch.__version__}
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
