"""Where a run starts, and when it must not."""

import shutil
from pathlib import Path

import pytest

from dllm_rl.config.loading import parse_config
from dllm_rl.config.sft import SftConfig
from dllm_rl.training.continuation import facts, find_start
from dllm_rl.training.run_folder import RunFolder


def config(path: Path, **values: object) -> SftConfig:
    return parse_config(SftConfig, {"model": {"path": "m"}, "tasks": "arithmetic", "run_dir": str(path), **values}, "test")


def left(path: Path, *steps: int, **values: object) -> RunFolder:
    """A run with checkpoints of some steps."""
    run = RunFolder(path)
    run.begin(config(path, **values), 0)
    for step in steps:
        run.log(step, {})
        run.states.write(step, {"num_updates": step, "facts": facts()}, {}, 5)
    return run


def start(path: Path, **values: object) -> int:
    return find_start(config(path, **values), RunFolder(path)).step


def test_new_interrupted_and_continued(tmp_path: Path) -> None:
    assert start(tmp_path / "new") == 0
    left(tmp_path / "begun")
    assert start(tmp_path / "begun") == 0
    left(tmp_path / "half", 5, 10)
    assert start(tmp_path / "half") == 10


def test_harmless_keys_may_change(tmp_path: Path) -> None:
    left(tmp_path, 5)
    assert start(tmp_path, max_steps=200, max_minutes=1.0, checkpoint_every=7, keep_last=3, export_every=2,
                 export_dtype="bfloat16", trackers=[], model={"path": "m", "device": "cuda"}) == 5


def test_other_keys_are_listed_and_refused_unless_allowed(tmp_path: Path) -> None:
    left(tmp_path, 5)
    changed = {"seed": 3, "optimizer": {"learning_rate": 0.5}}
    with pytest.raises(ValueError, match=r"optimizer.learning_rate: 1e-05 -> 0.5, seed: 0 -> 3\); put them back, allow "
                       r"them with resume.allow=\[optimizer.learning_rate,seed\]"):
        start(tmp_path, **changed)
    with pytest.raises(ValueError, match=r"other settings \(seed"):
        start(tmp_path, **changed, resume={"allow": ["optimizer"]})
    assert start(tmp_path, **changed, resume={"allow": ["optimizer.learning_rate", "seed"]}) == 5


def test_the_length_counts_where_the_schedule_depends_on_it(tmp_path: Path) -> None:
    cosine = {"optimizer": {"scheduler": "cosine"}}
    left(tmp_path, 5, **cosine)
    with pytest.raises(ValueError, match="max_steps: 100 -> 200"):
        start(tmp_path, **cosine, max_steps=200)


def test_another_choice_is_another_setting(tmp_path: Path) -> None:
    left(tmp_path, 5, views={"name": "semi_ar", "lower_p": 0.2})
    with pytest.raises(ValueError, match=r"views.name: 'semi_ar' -> 'block'.*views.lower_p: 0.2 -> None"):
        start(tmp_path)


def test_never_and_finished(tmp_path: Path) -> None:
    run = left(tmp_path, 100)
    with pytest.raises(ValueError, match="already holds a run and resume is never; give another run_dir"):
        start(tmp_path, resume="never")
    run.finish(100, {})
    with pytest.raises(ValueError, match=r"finished \(step 100, max_steps 100\); raise max_steps"):
        start(tmp_path)
    assert start(tmp_path, max_steps=101) == 100


def test_a_model_without_checkpoints_is_not_trained_over(tmp_path: Path) -> None:
    run = left(tmp_path, 5)
    run.finish(100, {})
    shutil.rmtree(run.states.path)
    with pytest.raises(ValueError, match="holds a trained model but no checkpoint to go on from"):
        start(tmp_path, max_steps=200)


def test_a_length_that_is_passed_already_is_refused(tmp_path: Path) -> None:
    left(tmp_path / "a", 5, 10)
    with pytest.raises(ValueError, match="is behind step 10 already, max_steps is 7; raise max_steps"):
        start(tmp_path / "a", max_steps=7)
    with pytest.raises(ValueError, match="step 10 of .* is not before max_steps 10; raise max_steps"):
        start(tmp_path / "b", init_from=f"{tmp_path / 'a'}@10", max_steps=10)


def test_other_threads_give_other_bits(tmp_path: Path) -> None:
    run = left(tmp_path)
    run.states.write(3, {"num_updates": 3, "facts": facts() | {"num_threads": 77}}, {}, 5)
    with pytest.raises(ValueError, match=f"num_threads: 77 -> {facts()['num_threads']}"):
        start(tmp_path)
    assert start(tmp_path, resume={"allow": "num_threads"}) == 3


def test_a_branch_starts_where_it_is_told(tmp_path: Path) -> None:
    left(tmp_path / "a", 5, 10)
    assert start(tmp_path / "b", init_from=f"{tmp_path / 'a'}@5", seed=9) == 5
    assert [line["step"] for line in RunFolder(tmp_path / "b").figures()] == [5, 10]      # begin() cuts them
    with pytest.raises(ValueError, match="has no checkpoint of step 7; it has 5, 10"):
        start(tmp_path / "c", init_from=f"{tmp_path / 'a'}@7")
    with pytest.raises(ValueError, match="holds no run"):
        start(tmp_path / "c", init_from=f"{tmp_path / 'x'}@7")
    with pytest.raises(ValueError, match="is not RUN@STEP"):
        config(tmp_path, init_from="runs/a")
