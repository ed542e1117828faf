"""Where a run starts: anew, behind its own last checkpoint, or as a branch of another run's."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch

from dllm_rl.config.run import RunConfig
from dllm_rl.training.run_folder import RunFolder
from dllm_rl.training.states import StoredState

HARMLESS = ("schema_version", "preset", "max_minutes", "run_dir", "checkpoint_every", "keep_last", "export_every",
            "export_dtype", "resume", "init_from", "trackers", "probe", "model.device", "evaluation.every",
            "evaluation.log_samples")
"""Keys, and sections, that do not change what is trained. ``max_steps`` is one of them under a constant schedule."""


class Start(NamedTuple):
    """The step a run goes on behind, and the checkpoint of it; step 0 has none."""

    step: int
    state: StoredState | None


def facts() -> dict[str, Any]:
    """What the bits of a result depend on beside the configuration."""
    return {"num_threads": torch.get_num_threads(), "torch": torch.__version__}


def find_start(config: RunConfig, run: RunFolder) -> Start:
    """Decide where a run starts; nothing is written but a branch's inherited figures.

    Raises:
        ValueError: the run is finished; it must not be resumed; keys or facts differ that may not; the checkpoint is
            damaged or there is none to branch from.
    """
    if not run.holds_a_run():
        return _branch(config, run)
    _refuse_unwanted(config, run)
    changed = dict(changed_keys(run.config() or {}, config.model_dump(mode="json"), config))
    _refuse_changes(changed, config, run)
    steps = run.states.steps()
    if not steps and run.result() is not None:
        raise ValueError(f"{run.path} holds a trained model but no checkpoint to go on from (state/ is empty); give "
                         "another run_dir, or remove the folder to train anew")
    if not steps:
        return _branch(config, run)
    state = run.states.read(steps[-1])
    _refuse_past(state, config, run)
    _refuse_changes(_changed_facts(state), config, run)
    return Start(state.step, state)


def _branch(config: RunConfig, run: RunFolder) -> Start:
    if config.init_from is None:
        return Start(0, None)
    path, _, step = config.init_from.rpartition("@")
    other = RunFolder(path)
    if not other.holds_a_run():
        raise ValueError(f"init_from: {path} holds no run")
    state = other.states.read(int(step))
    if state.step >= config.max_steps:
        raise ValueError(f"init_from: step {state.step} of {path} is not before max_steps {config.max_steps}; raise "
                         "max_steps")
    _refuse_changes(_changed_facts(state), config, other)
    run.copy_figures(other)
    return Start(state.step, state)


def _refuse_past(state: StoredState, config: RunConfig, run: RunFolder) -> None:
    if state.step > config.max_steps:
        raise ValueError(f"{run.path} is behind step {state.step} already, max_steps is {config.max_steps}; raise "
                         "max_steps, or give another run_dir")


def _refuse_unwanted(config: RunConfig, run: RunFolder) -> None:
    if config.resume.mode == "never":
        raise ValueError(f"{run.path} already holds a run and resume is never; give another run_dir or remove it")
    result = run.result()
    if result is not None and result["step"] >= config.max_steps:
        raise ValueError(f"{run.path} already holds a run that is finished (step {result['step']}, max_steps "
                         f"{config.max_steps}); raise max_steps to go on with it, or give another run_dir")


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any], config: RunConfig) -> Iterator[tuple[str, str]]:
    """Keys that differ and matter, with ``old -> new`` in words."""
    before, now = dict(_flat(old)), dict(_flat(new))
    harmless = HARMLESS if config.optimizer.scheduler != "constant" else (*HARMLESS, "max_steps")
    for key in [*now, *(key for key in before if key not in now)]:
        values = before.get(key), now.get(key)
        if values[0] != values[1] and not any(key == name or key.startswith(f"{name}.") for name in harmless):
            yield key, f"{values[0]!r} -> {values[1]!r}"


def _changed_facts(state: StoredState) -> dict[str, str]:
    then, now = state.values["facts"], facts()
    return {name: f"{then.get(name)!r} -> {now[name]!r}" for name in now if then.get(name) != now[name]}


def _refuse_changes(changed: Mapping[str, str], config: RunConfig, run: RunFolder) -> None:
    refused = {key: words for key, words in changed.items()
               if not any(key == name or key.startswith(f"{name}.") for name in config.resume.allow)}
    if refused:
        listed = ", ".join(f"{key}: {words}" for key, words in refused.items())
        raise ValueError(f"the run in {run.path} was made with other settings ({listed}); put them back, allow them with "
                         f"resume.allow=[{','.join(refused)}], or give another run_dir")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
