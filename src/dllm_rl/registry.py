"""Names to objects: every choice a configuration can make by name is an entry here.

A registry maps a name to ``module:object`` without importing it, so that listing, help and configuration checks need
no torch. A name may also be a path to the user's own object, ``package.module:object`` or ``./file.py:object``.
"""

import difflib
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any


def closest(name: str, known: list[str]) -> str | None:
    """The known name that looks most like ``name``; ``None`` if none does."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), None)


def nearest(name: str, known: list[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or an empty string."""
    close = closest(name, known)
    return f"; did you mean {close!r}?" if close else ""


def _load_module(module: str, folder: Path | None) -> ModuleType:
    try:
        return _load_file(module, folder) if module.endswith(".py") else importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        raise ValueError(f"cannot import {module}: {error}") from error


def _load_file(module: str, folder: Path | None) -> ModuleType:
    """The module in a file. It is run once per process, so that all objects in it share their globals."""
    path = ((folder or Path.cwd()) / module).resolve()
    if not path.is_file():
        raise ValueError(f"no file {path} (named in {module!r}); paths are relative to the configuration file")
    name = f"dllm_rl_user_{path.stem}_{hashlib.blake2b(str(path).encode(), digest_size=6).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None      # every .py file has a loader
    loaded = importlib.util.module_from_spec(spec)
    with ExitStack() as undo:
        undo.callback(sys.modules.pop, name)
        sys.modules[name] = loaded
        spec.loader.exec_module(loaded)
        undo.pop_all()
    return loaded


def load_object(target: str, folder: Path | None = None) -> Any:  # noqa: ANN401 - any object may be registered
    """Import ``module:object``.

    Args:
        target: ``package.module:object`` or ``file.py:object``.
        folder: what a relative file path starts from; the working directory if not given.

    Raises:
        ValueError: the target has no colon, the file or the object does not exist, or the module cannot be imported.
    """
    module, colon, name = target.partition(":")
    if not colon or not module or not name:
        raise ValueError(f"{target!r} does not name an object; write package.module:object or ./file.py:object")
    loaded = _load_module(module, folder)
    if name not in vars(loaded):
        raise ValueError(f"{module} has no object {name!r}{nearest(name, list(vars(loaded)))}")
    return vars(loaded)[name]


def anchored(target: str, folder: Path) -> str:
    """``./file.py:object`` with an absolute path, which a relative one starts at ``folder``; any other name as it is."""
    module, colon, name = target.partition(":")
    return f"{(folder / module).resolve()}:{name}" if colon and module.endswith(".py") else target


@dataclass(frozen=True)
class Entry:
    """One name of a registry: where its object and the pydantic model of its options are."""

    target: str
    options: str
    summary: str


class Registry:
    """A dictionary of named entries of one kind.

    Example:
        >>> Registry("fruit", {"apple": Entry("operator:add", "builtins:dict", "a fruit")}).load("apple")(1, 2)
        3
    """

    def __init__(self, kind: str, entries: dict[str, Entry]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __getitem__(self, name: str) -> Entry:
        """The entry called ``name``; ``ValueError`` with the known names if there is none."""
        if name not in self._entries:
            known = list(self._entries)
            raise ValueError(f"unknown {self.kind} {name!r}{nearest(name, known)} (known: {', '.join(known)}; "
                             "your own: package.module:object or ./file.py:object)")
        return self._entries[name]

    def add(self, name: str, entry: Entry) -> None:
        """Register one more entry; ``ValueError`` if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is already registered")
        self._entries[name] = entry

    def load(self, name: str, folder: Path | None = None) -> Any:  # noqa: ANN401 - any object may be registered
        """The object behind ``name``, which is a registered name or an import path of the user's own."""
        return load_object(name, folder) if ":" in name else load_object(self[name].target)

    def options(self, name: str) -> Any:  # noqa: ANN401 - a pydantic model class; pydantic is not imported here
        """The pydantic model class of the options of ``name``; ``None`` for the user's own objects."""
        return None if ":" in name else load_object(self[name].options)


def _entry(target: str, options: str, summary: str) -> Entry:
    return Entry(f"dllm_rl.{target}", f"dllm_rl.config.options:{options}", summary)


FAMILIES = Registry("family", {
    "sdar": _entry("families.sdar:SDAR", "NoOptions", "SDAR and TraDo: Qwen3 backbone, block-causal attention"),
    "sdar_moe": _entry("families.sdar_moe:SDAR_MOE", "NoOptions", "SDAR mixture of experts: Qwen3-MoE backbone"),
    "dream": _entry("families.dream:DREAM", "NoOptions", "Dream and DiffuCoder: Qwen2 backbone, logits shifted by one"),
    "llada": _entry("families.llada:LLADA", "NoOptions", "LLaDA: Llama backbone under its own names, full attention"),
    "mmada": _entry("families.mmada:MMADA", "NoOptions", "MMaDA, text: LLaDA's trunk with a larger vocabulary"),
})

STRATEGIES = Registry("unmasking strategy", {
    "low_confidence_static": _entry("decoding.strategies:LowConfidenceStatic", "NoOptions",
                                    "a fixed number of the most confident positions each step"),
    "low_confidence_dynamic": _entry("decoding.strategies:LowConfidenceDynamic", "NoOptions",
                                     "every position above a confidence threshold, at least the static number"),
    "sequential": _entry("decoding.strategies:Sequential", "NoOptions", "left to right, a fixed number each step"),
    "entropy_bounded": _entry("decoding.strategies:EntropyBounded", "NoOptions",
                              "the most certain positions whose entropies sum to less than a bound"),
    "threshold_factor": _entry("decoding.factor:ThresholdFactor", "NoOptions",
                               "Fast-dLLM: the more positions pass together, the surer they must be"),
    "margin": _entry("decoding.orders:Margin", "NoOptions", "a fixed number, largest gap of the two best tokens first"),
    "neg_entropy": _entry("decoding.orders:NegEntropy", "NoOptions", "a fixed number, smallest entropy first"),
    "random_order": _entry("decoding.orders:RandomOrder", "NoOptions", "a fixed number at random places"),
    "hierarchical": _entry("decoding.hierarchical:Hierarchical", "NoOptions",
                           "sure positions, and the best of every run of masks"),
    "klass": _entry("decoding.klass:Klass", "NoOptions", "sure positions whose distribution has come to rest"),
    "local_leap": _entry("decoding.local_leap:LocalLeap", "NoOptions", "sure positions, and less sure ones beside them"),
    "adablock": _entry("decoding.ada_block:AdaBlock", "NoOptions", "blocks of a canvas that end at a sure delimiter"),
    "carried_threshold": _entry("decoding.factor:CarriedThreshold", "NoOptions",
                                "Fast-dLLM: what is due but not sure is carried over to the next step"),
})

DECODERS = Registry("decoder", {
    "block": _entry("decoding.block_decoder:BlockDecoder", "NoOptions", "block families: finished blocks in a cache"),
    "canvas": _entry("decoding.native:canvas", "NoOptions", "full attention: block after block of one canvas"),
    "dream": _entry("decoding.native:dream", "NoOptions", "Dream's diffusion_generate: no blocks, its own schedule"),
    "dream_rl": _entry("decoding.native:dream_rl", "NoOptions", "the original's RL sampler for Dream"),
    "dream_fast": _entry("decoding.native:dream_fast", "NoOptions", "Fast-dLLM for Dream: prefix or dual cache"),
    "dream_parallel": _entry("decoding.native:dream_parallel", "NoOptions", "Fast-dLLM for Dream without a cache"),
    "llada": _entry("decoding.native:llada", "NoOptions", "LLaDA's generate, with guidance"),
    "llada_rl": _entry("decoding.native:llada_rl", "NoOptions", "the original's RL sampler for LLaDA and MMaDA"),
    "llada_fast": _entry("decoding.native:llada_fast", "NoOptions", "Fast-dLLM for LLaDA: no, prefix or dual cache"),
})

PRESETS = Registry("preset", {
    "upstream": _entry("config.presets:UPSTREAM", "NoOptions", "computations of the original (dLLM-RL)"),
    "upstream_full": _entry("config.presets:UPSTREAM_FULL", "NoOptions",
                            "on top of upstream: what the original does otherwise for full attention"),
    "tracerl": _entry("config.presets:TRACERL", "NoOptions", "TraceRL: the sampler's own contexts"),
    "random_masking": _entry("config.presets:RANDOM_MASKING", "NoOptions", "RL on random masks"),
    "coupled": _entry("config.presets:COUPLED", "NoOptions", "RL on random masks and their complements"),
    "unigrpo": _entry("config.presets:UNIGRPO", "NoOptions", "UniGRPO: one mask per pass, denser from pass to pass"),
    "coupled_grpo": _entry("config.presets:COUPLED_GRPO", "NoOptions",
                           "coupled-GRPO: full mask, mask and complement make one log-probability per token"),
    "diffu_grpo": _entry("config.presets:DIFFU_GRPO", "NoOptions", "diffu-GRPO: everything masked, part of the prompt too"),
    "dipo": _entry("config.presets:DIPO", "NoOptions", "DiPO: TraceRL with one update, on policy"),
    "sdar_static": _entry("config.presets:SDAR_STATIC", "NoOptions", "published static decoding of SDAR and TraDo"),
    "sdar_dynamic": _entry("config.presets:SDAR_DYNAMIC", "NoOptions", "published dynamic decoding of SDAR and TraDo"),
})

VIEWS = Registry("view", {
    "trace": _entry("views.trace:trace_views", "TraceViewOptions", "the contexts the sampler revealed tokens in"),
    "random": _entry("views.random:random_views", "RandomViewOptions", "random masks over the response"),
    "coupled": _entry("views.random:coupled_views", "RandomViewOptions", "random masks and their complements"),
    "semi_ar": _entry("views.random:semi_ar_views", "SemiArViewOptions", "one random mask in every block, clean history"),
    "mean_field": _entry("views.mean_field:mean_field_views", "MeanFieldViewOptions",
                         "the whole response from the prompt, part of which may be masked"),
    "three_pass": _entry("views.three_pass:three_pass_views", "ThreePassViewOptions",
                         "full mask, random mask and complement, weighted to one number per token"),
    "scheduled": _entry("views.scheduled:scheduled_views", "ScheduledViewOptions",
                        "one random mask, denser from pass to pass over a step's rollouts"),
    "block": _entry("views.block:block_views", "BlockViewOptions", "native SDAR fine-tuning: one ratio per document, 1/p"),
    "trace_action": _entry("views.action:trace_action_views", "TraceActionViewOptions",
                           "as trace, and that the candidates left behind lost"),
    "trace_all": _entry("views.action:trace_all_views", "TraceAllViewOptions",
                        "as trace, and the candidates that were drawn and left behind"),
})

ADVANTAGES = Registry("advantage", {
    "group_z": _entry("objectives.advantages:group_z", "GroupZOptions", "z-score within the responses of one task"),
    "leave_one_out": _entry("objectives.advantages:leave_one_out", "LeaveOneOutOptions",
                            "reward minus the mean of the task's other responses"),
})

POLICY_LOSSES = Registry("policy loss", {
    "token_clip": _entry("objectives.policy_losses:token_clip", "TokenClipOptions", "clipped surrogate per target"),
})

KL_TERMS = Registry("KL term", {
    "k1": _entry("objectives.kl:k1", "NoOptions", "log-ratio"),
    "k3": _entry("objectives.kl:k3", "NoOptions", "exp(-d) - 1 + d"),
})

REWARDS = Registry("reward", {
    "math": _entry("rewards.math:math_reward", "MathRewardOptions", "1 if the extracted answer equals the gold answer"),
    "exact": _entry("rewards.exact:exact_reward", "AnswerOptions", "1 if the extracted answer is the gold answer's text"),
    "reasoning_gym": _entry("rewards.reasoning_gym:reasoning_gym_reward", "AnswerOptions",
                            "what the data set of a reasoning_gym task says, 0 to 1"),
    "length": _entry("rewards.length:length_reward", "NoOptions", "fewer response tokens score higher; for smoke runs"),
})

TASKS = Registry("task set", {
    "math_json": _entry("tasks.files:math_json", "FileTaskOptions", "question/ground_truth_answer JSON, as upstream"),
    "gsm8k": _entry("tasks.files:gsm8k", "FileTaskOptions", "GSM8K JSON lines as published"),
    "math": _entry("tasks.files:math", "FileTaskOptions", "MATH and MATH500 JSON lines as published"),
    "arithmetic": _entry("tasks.arithmetic:arithmetic", "ArithmeticTaskOptions", "built-in sums of small numbers"),
    "sudoku": _entry("tasks.sudoku:sudoku", "SudokuTaskOptions", "built-in 4x4 sudokus with one solution each"),
    "reasoning_gym": _entry("tasks.reasoning_gym:reasoning_gym_tasks", "ReasoningGymTaskOptions",
                            "generated reasoning problems of the package reasoning-gym"),
})
