"""Cost of decoding: cache modes and strategies of block and full-attention models, on the same prompts, in one run.

    OMP_NUM_THREADS=1 python benchmarks/decoding.py --out decoding.json

Prints JSON and a table: per way forwards, forwarded tokens, tokens per forward, CPU seconds, how many times fewer of both
than the same strategy without a cache, and the mean KL divergence of what an approximate cache predicts from what the
exact whole forward predicts. Seconds are those of the processor, so that other work on the machine matters little; use
one thread.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import Request
from dllm_rl.decoding.canvas_batch import CanvasBatch
from dllm_rl.decoding.canvas_decoder import CanvasDecoder
from dllm_rl.decoding.canvas_forwards import States, WholeForwards
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.records import Rollout

MASK, PAD, VOCABULARY = 0, 1, 4096
SIZES = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
         "intermediate_size": 768, "vocab_size": VOCABULARY, "max_position_embeddings": 4096, "rope_theta": 1e6,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
LLADA_SIZES = {"d_model": 256, "n_layers": 8, "n_heads": 4, "n_kv_heads": 4, "mlp_hidden_size": 768,
               "vocab_size": VOCABULARY, "embedding_size": VOCABULARY, "max_sequence_length": 4096, "rope_theta": 5e5,
               "rms_norm_eps": 1e-5, "weight_tying": False}
FAMILIES = {"sdar": SIZES, "dream": SIZES, "llada": LLADA_SIZES}
CACHES = {"none": {"cache": "none"}, "prefix": {"cache": "prefix"},
          "horizon_32": {"cache": "prefix", "further_horizon": 32}, "dual": {"cache": "dual"}}
STRATEGIES = {
    "static": {"remasking_strategy": "low_confidence_static"},
    "dynamic": {"remasking_strategy": "low_confidence_dynamic", "dynamic_threshold": 0.01},
    "entropy_bounded": {"remasking_strategy": "entropy_bounded", "eb_threshold": 30.0},
}
"""Thresholds at which a random model, which is sure of nothing, reveals several tokens at once."""


def random_model(family: str, block_size: int) -> LanguageModel:
    """A random model whose predictions differ: its matrices are larger than freshly initialised ones."""
    blocks = block_size if family == "sdar" else None
    lm = create_model(family, FAMILIES[family], None, {"mask": MASK, "pad": PAD, "eos": PAD}, blocks)
    with torch.no_grad():
        for weight in lm.backbone.parameters():
            weight.mul_(4 if weight.dim() > 1 else 1)
    return lm


def random_requests(num: int, length: int, max_new: int) -> list[Request]:
    """Greedy requests that nothing stops."""
    prompts = torch.randint(2, VOCABULARY, (num, length), generator=torch.Generator().manual_seed(0)).tolist()
    return [Request(prompt, max_new, greedy=True) for prompt in prompts]


@contextmanager
def counted(lm: LanguageModel) -> Iterator[list[int]]:
    """The number of tokens (rows times positions) of every forward in the meantime."""
    tokens: list[int] = []
    layer = next(module for name, module in lm.backbone.named_modules() if name.endswith("layers.0"))
    hook = layer.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0].shape[:2].numel()))
    try:
        yield tokens
    finally:
        hook.remove()


def measure(lm: LanguageModel, config: DecodingConfig, requests: list[Request]) -> tuple[dict[str, float], list[Rollout]]:
    """Decode once and count; the model is warm."""
    with counted(lm) as tokens:
        begin = time.process_time()
        rollouts = load_decoder(lm, config).decode(requests)
        seconds = time.process_time() - begin
    new = sum(len(rollout.response_ids) for rollout in rollouts)
    denoising, writing = (sum(own) for own in zip(
        *((rollout.num_forwards, rollout.num_cache_forwards) for rollout in rollouts), strict=True))
    return {"forwards": len(tokens), "forwarded_tokens": sum(tokens), "tokens_per_forward": new / denoising,
            "tokens_per_forward_with_cache_writing": new / (denoising + writing), "seconds": seconds,
            "tokens_per_second": new / seconds}, rollouts


def block_ways(lm: LanguageModel, requests: list[Request], block_size: int) -> dict[str, dict[str, float]]:
    """SDAR with its cache, and what the same forwards would cost if each recomputed all that precedes its block."""
    found = {}
    for name, strategy in STRATEGIES.items():
        config = DecodingConfig(max_gen_length=requests[0].max_new, block_size=block_size, **strategy)
        found[name], rollouts = measure(lm, config, requests)
        found[f"{name}, prefix recomputed"] = recompute_blocks(lm, rollouts)
        relate(found[name], found[f"{name}, prefix recomputed"])
    return found


def recompute_blocks(lm: LanguageModel, rollouts: list[Rollout]) -> dict[str, float]:
    """Replay the steps of rollouts of equal length without a cache: the whole sequence up to the block, every step."""
    size, begin, tokens, forwards = lm.block_size, time.process_time(), 0, 0
    for rollout in rollouts:
        assert size is not None      # a block family
        ids = torch.tensor(rollout.prompt_ids + rollout.response_ids + rollout.tail_ids)
        steps = torch.tensor([0] * len(rollout.prompt_ids) + rollout.step_map + rollout.tail_steps)
        for step in range(1, rollout.num_forwards + 1):
            end = (int((steps == step).nonzero()[0]) // size + 1) * size
            lm.head(predicting_states(lm, ids.masked_fill(steps >= step, lm.mask_token_id)[:end])[end - size:])
            tokens, forwards = tokens + end, forwards + 1
    seconds = time.process_time() - begin
    new = sum(len(rollout.response_ids) for rollout in rollouts)
    return {"forwards": forwards, "forwarded_tokens": tokens, "seconds": seconds, "tokens_per_second": new / seconds}


def predicting_states(lm: LanguageModel, ids: Tensor) -> Tensor:
    """(L, H) states of one sequence of (L,) ids, each position's own."""
    layout = lm.row_layout(torch.ones(1, len(ids), dtype=torch.bool))
    return lm.hidden(ids[None], layout.position, attention_for(layout))[0]


def canvas_ways(lm: LanguageModel, requests: list[Request], block_size: int) -> dict[str, dict[str, float]]:
    """Every cache with every strategy."""
    found = {}
    for name, strategy in STRATEGIES.items():
        for cache, options in CACHES.items():
            config = DecodingConfig(max_gen_length=requests[0].max_new, block_size=block_size, **strategy, **options)
            found[f"{name}, {cache}"], _ = measure(lm, config, requests)
            relate(found[f"{name}, {cache}"], found[f"{name}, none"])
            if cache != "none":
                found[f"{name}, {cache}"]["mean_kl"] = mean_kl(lm, config, requests)
    return found


class ComparedDecoder(CanvasDecoder):
    """Decodes with an approximate cache, and beside every eighth further forward computes the exact one of that canvas."""

    divergences: list[Tensor]
    num_further: int

    def _logits(self, batch: CanvasBatch, states: States, places: Tensor) -> Tensor:
        logits = super()._logits(batch, states, places)
        if states.hidden.shape[1] < batch.canvas.ids.shape[1]:      # the opening forward is exact
            if self.num_further % 8 == 0:
                exact = super()._logits(batch, WholeForwards(self._lm, batch, None).opening(), places).log_softmax(-1)
                self.divergences.append((exact.exp() * (exact - logits.log_softmax(-1))).sum(-1))
            self.num_further += 1
        return logits


def mean_kl(lm: LanguageModel, config: DecodingConfig, requests: list[Request]) -> float:
    """KL(exact || cached) in nats, mean over the masked positions of the current blocks in every eighth further forward."""
    decoder = ComparedDecoder(lm, config)
    decoder.divergences, decoder.num_further = [], 0
    decoder.decode(requests)
    return float(torch.cat(decoder.divergences).mean())


def relate(own: dict[str, float], plain: dict[str, float]) -> None:
    """Add how many times fewer tokens and seconds than the plain way a way takes."""
    own["fewer_tokens"] = plain["forwarded_tokens"] / own["forwarded_tokens"]
    own["faster"] = plain["seconds"] / own["seconds"]


def table(result: dict[str, dict[str, dict[str, float]]]) -> str:
    """The figures as a Markdown table."""
    columns = {"forwards": "d", "forwarded_tokens": ",d", "tokens_per_forward": ".2f",
               "tokens_per_forward_with_cache_writing": ".2f", "tokens_per_second": ".1f", "fewer_tokens": ".1f",
               "faster": ".1f", "mean_kl": ".3f"}
    lines = ["| family | way | " + " | ".join(name.replace("_", " ") for name in columns) + " |",
             "|---" * (len(columns) + 2) + "|"]
    for family, ways in result.items():
        for way, figures in ways.items():
            cells = [format(figures[name], form) if name in figures else "" for name, form in columns.items()]
            lines.append(f"| {family} | {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run everything and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--prompt-length", type=int, default=256)
    parser.add_argument("--answer-length", type=int, default=256)
    parser.add_argument("--block-size", type=int, default=32)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    requests = random_requests(options.prompts, options.prompt_length, options.answer_length)
    ways = {}
    for family in options.families:
        lm = random_model(family, options.block_size)
        measured = block_ways if lm.family.attention == "block" else canvas_ways
        with torch.no_grad():
            lm.logits(torch.tensor([requests[0].prompt_ids]))
            ways[family] = measured(lm, requests, options.block_size)
    settings = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0], "torch": torch.__version__,
                **{name: value for name, value in vars(options).items() if name != "out"}}
    text = json.dumps({"ways": ways, "settings": settings}, indent=2)
    print(text, table(ways), sep="\n\n")
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
