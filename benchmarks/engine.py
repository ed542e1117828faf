"""The engine against the readable decoder: tokens per second, in ratios measured in one run.

    python benchmarks/engine.py [--requests 64] [--threads 2] [--context]

A random SDAR-type model (hidden 256, 8 layers, vocabulary 4096), 64 requests with prompts of 64 to 256 and answers of 32
to 256 tokens: dynamic at about two tokens per forward, then static at two and at one. Prints a line of JSON per
measurement. ``--context`` measures the cost per token of a growing context instead.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence

import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.engine import EngineConfig
from dllm_rl.decoding import Request
from dllm_rl.decoding.block_decoder import BlockDecoder
from dllm_rl.engine import Engine
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.records import Rollout

SIZES = {"hidden_size": 256, "num_hidden_layers": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 64,
         "intermediate_size": 768, "vocab_size": 4096, "max_position_embeddings": 16384, "rope_theta": 1e6,
         "rms_norm_eps": 1e-6, "tie_word_embeddings": False}
BLOCK = 4


class Clock:
    """Seconds spent in the model's layers and output matrix, and in all."""

    def __init__(self, lm: LanguageModel) -> None:
        self.inside, self._begun = 0.0, 0.0
        decoder = lm.backbone.get_decoder()
        decoder.register_forward_pre_hook(lambda module, given: self._start())
        decoder.register_forward_hook(lambda module, given, result: self._stop())
        self._head, lm.head = lm.head, self._timed_head  # type: ignore[method-assign]

    def _start(self) -> None:
        self._begun = time.perf_counter()

    def _stop(self) -> None:
        self.inside += time.perf_counter() - self._begun

    def _timed_head(self, hidden: torch.Tensor) -> torch.Tensor:
        self._start()
        logits = self._head(hidden)
        self._stop()
        return logits


def requests(count: int) -> list[Request]:
    """Requests of unequal prompts and lengths."""
    rng = random.Random(0)
    return [Request([rng.randrange(1, 4000) for _ in range(rng.randrange(64, 257))], rng.randrange(32, 257), seed=number)
            for number in range(count)]


def rate(rollouts: Sequence[Rollout], seconds: float) -> float:
    """Response tokens per second."""
    return sum(len(own.response_ids) for own in rollouts) / seconds


SETTINGS = {"dynamic": {"dynamic_threshold": 2.2e-4},      # a random model's confidences lie near 1/4096
            "static, 2 per step": {"remasking_strategy": "low_confidence_static", "denoising_steps_per_block": 2},
            "static, 1 per step": {"remasking_strategy": "low_confidence_static"}}


def compare(lm: LanguageModel, clock: Clock, count: int, name: str) -> None:
    """The engine, the readable decoder in batches of 64, and the readable decoder one by one."""
    config = DecodingConfig(decoder="block", batch_size=64, **SETTINGS[name])
    wanted, engine = requests(count), Engine(lm, EngineConfig(max_num_seqs=64))
    list(engine.stream(wanted[:2], config))
    clock.inside, start = 0.0, time.perf_counter()
    found = dict(engine.stream(wanted, config))
    seconds = time.perf_counter() - start
    outside = 1 - clock.inside / seconds
    start = time.perf_counter()
    batched = BlockDecoder(lm, config).decode(wanted)
    batched_seconds = time.perf_counter() - start
    some = wanted[:max(1, count // 8)]
    start = time.perf_counter()
    alone = BlockDecoder(lm, config.model_copy(update={"batch_size": 1})).decode(some)
    alone_seconds = time.perf_counter() - start
    ours = rate(list(found.values()), seconds)
    decoded = sum(len(own.response_ids) + len(own.tail_ids) for own in batched)
    print(json.dumps({
        "settings": name, "tokens_per_forward": round(decoded / sum(own.num_forwards for own in batched), 2),
        "engine_tokens_per_second": round(ours, 1),
        "times_one_after_another": round(ours / rate(alone, alone_seconds), 2),
        "times_padded_batches_of_64": round(ours / rate(batched, batched_seconds), 2),
        "share_outside_forward": round(outside, 3),
        "equal_responses": sum(found[number].response_ids == own.response_ids for number, own in enumerate(batched))}))


def sharing(lm: LanguageModel) -> None:
    """Forwarded tokens of one and of sixteen samples of a prompt of 1,024 tokens."""
    prompt, config = list(range(1, 1025)), DecodingConfig(max_gen_length=4, ignore_eos=True)
    one, many = Engine(lm), Engine(lm)
    one.generate([prompt], config)
    many.generate([prompt], config, num_samples=16)
    print(json.dumps({"forwarded_tokens_of_1_sample": one.forwarded_tokens,
                      "forwarded_tokens_of_16_samples": many.forwarded_tokens}))


def context(lm: LanguageModel) -> None:
    """Milliseconds per token behind ever longer prompts."""
    config = DecodingConfig(max_gen_length=16, ignore_eos=True, denoising_steps_per_block=1, block_size=BLOCK)
    rng = random.Random(0)
    for length in (512, 1024, 2048, 4096, 8192):
        prompts = [[rng.randrange(1, 4000) for _ in range(length)] for _ in range(2)]
        engine = Engine(lm, EngineConfig(max_prefill_tokens=512))
        start = time.perf_counter()
        engine.generate(prompts, config.model_copy(update={"max_gen_length": 4}))
        short = time.perf_counter() - start
        start = time.perf_counter()
        engine.generate(prompts, config.model_copy(update={"max_gen_length": 68}))
        print(json.dumps({"context": length, "ms_per_token": round(
            (time.perf_counter() - start - short) * 1000 / 128, 2)}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--context", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lm = create_model("sdar", SIZES, None, {"mask": 4095, "pad": 0, "eos": 0}, BLOCK)
    if given.context:
        context(lm)
        return
    sharing(lm)
    clock = Clock(lm)
    for name in SETTINGS:
        compare(lm, clock, given.requests, name)


if __name__ == "__main__":
    main()
