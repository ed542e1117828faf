"""Memory of the output matrix: eight recorded-like responses packed, vocabulary of a real model.

One forward and backward pass in a process of its own:

    python benchmarks/head_memory.py --out head_memory.json

Prints JSON: peak memory above weights, gradients and optimiser state, against packed length x vocabulary x 4 bytes.
"""

import argparse
import json
import resource
from pathlib import Path

import torch
from trace_training import small_model, synthetic_rollouts

from dllm_rl.likelihood import build_packs, pack_log_probs
from dllm_rl.views import build_views

VOCABULARY = 151_936


def peak_bytes() -> int:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lm = small_model(vocab_size=VOCABULARY)
    for parameter in lm.backbone.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer = torch.optim.AdamW(lm.backbone.parameters(), lr=0.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    rollouts = synthetic_rollouts(8, VOCABULARY)
    views = build_views("trace", rollouts)
    [pack], targets = build_packs(rollouts, views, lm.mask_token_id, lm.block_size)
    before = peak_bytes()
    pack_log_probs(lm, pack, targets).mean().backward()
    full = len(pack.ids) * VOCABULARY * 4
    above = peak_bytes() - before
    result = {"packed_length": len(pack.ids), "targets": len(targets.labels), "peak_above_bytes": above,
              "logits_of_pack_bytes": full, "share": above / full, "torch": torch.__version__,
              "threads": torch.get_num_threads()}
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
