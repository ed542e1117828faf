"""The folder of a run."""

import json
from pathlib import Path

import pytest

from dllm_rl.config.base import Options
from dllm_rl.training.run_folder import RunFolder


class Tiny(Options):
    size: int = 1


def begun(path: Path, *steps: int) -> RunFolder:
    run = RunFolder(path)
    run.begin(Tiny(), 0)
    for step in steps:
        run.log(step, {"loss": step / 2}, [{"text": f"at {step}\u2028é"}])
    return run


def test_a_run_that_goes_on_loses_later_figures(tmp_path: Path) -> None:
    run = begun(tmp_path, 0, 1, 2, 3)
    run.begin(Tiny(size=2), 2)
    assert [line["step"] for line in run.figures()] == [0, 1, 2]
    assert [json.loads(line)["text"] for line in (tmp_path / "samples.jsonl").read_text().splitlines()] == \
        ["at 0\u2028é", "at 1\u2028é", "at 2\u2028é"]
    assert run.config() == {"size": 2}
    run.begin(Tiny(), 0)
    assert run.figures() == []


def test_an_unfinished_last_line_is_dropped(tmp_path: Path) -> None:
    run = begun(tmp_path, 0, 1)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert [line["step"] for line in run.figures()] == [0, 1]
    run.begin(Tiny(), 1)
    run.log(2, {"loss": 1.0})
    assert [line["step"] for line in run.figures()] == [0, 1, 2]


@pytest.mark.parametrize(("text", "message"), [
    ("", "does not hold steps 0 to 2 in order"),
    ('{"step": 0}\n{"step": 2}\n', "does not hold steps 0 to 2 in order"),
    ('{"step": 0}\n{"ste\n{"step": 2}\n', "metrics.jsonl, line 2 is damaged .*; restore it, or give another run_dir"),
])
def test_figures_that_are_gone_are_not_passed_over(tmp_path: Path, text: str, message: str) -> None:
    run = begun(tmp_path, 0, 1, 2)
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(ValueError, match=message):
        run.begin(Tiny(size=2), 2)
    assert (tmp_path / "metrics.jsonl").read_text() == text
    assert run.config() == {"size": 1}


def test_what_a_new_folder_holds(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new")
    assert (run.holds_a_run(), run.config(), run.result(), run.figures()) == (False, None, None, [])
    run.begin(Tiny(), 0)
    run.finish(4, {"loss": 0.5})
    assert run.holds_a_run()
    assert run.result() == {"step": 4, "figures": {"loss": 0.5}}
    assert run.export(12).relative_to(run.path) == Path("exports/step-000012")


def test_a_branch_inherits_figures(tmp_path: Path) -> None:
    branch = RunFolder(tmp_path / "b")
    branch.copy_figures(begun(tmp_path / "a", 0, 1, 2))
    branch.begin(Tiny(), 1)
    assert [line["step"] for line in branch.figures()] == [0, 1]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "r").alone():
        with (pytest.raises(ValueError, match="another process is running in .*; wait for it, or give another run_dir"),
              RunFolder(tmp_path / "r").alone()):
            pass
        with RunFolder(tmp_path / "other").alone():
            pass
    with RunFolder(tmp_path / "r").alone():
        assert not RunFolder(tmp_path / "r").holds_a_run()
