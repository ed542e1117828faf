"""The page of each kind of run."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dllm_rl.report import write_report
from dllm_rl.report.page import figure, headline, last_figures, percent, time_shares
from dllm_rl.report.run_data import Evaluation, Phase

RL = [{"step": 0, "held_out_accuracy": 0.5, "held_out_accuracy_low": 0.25, "held_out_accuracy_high": 0.75},
      {"step": 1, "reward": 0.5, "kl": 0.1, "seconds_rollout": 3.0, "seconds_update": 1.0, "held_out_accuracy": 0.625}]
SFT = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}]
TRACE = {"title": "before", "question": "1+1", "gold": "2", "answer": "2", "correct": True, "prompt": "1+1 = ",
         "pieces": ["</script><i>"], "steps": [1]}
VOID = {"meta", "input"}


class Headings(HTMLParser):
    """The headings of a page; fails where an element is closed that is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "summary"):
            self.found.append(data)


def write(file: Path, rows: list[dict]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def demo(folder: Path) -> Path:
    write(folder / "sft/metrics.jsonl", SFT)
    write(folder / "rl/metrics.jsonl", RL)
    (folder / "rl/config.yaml").write_text("note: </pre><script>alert(1)</script>\n")
    (folder / "summary.json").write_text(json.dumps({
        "accuracy_before": 0.678, "accuracy_before_low": 0.6484, "accuracy_before_high": 0.7062, "accuracy_after": 0.92,
        "tokens_per_forward_before": 1.826, "tokens_per_forward_after": 2.7416, "seed": 0}))
    (folder / "traces.json").write_text(json.dumps([TRACE]))
    return folder


def test_the_page_of_a_demo(tmp_path: Path) -> None:
    path = write_report(demo(tmp_path / "a<b>"))
    text = path.read_text(encoding="utf-8")
    assert path == tmp_path / "a<b>" / "report.html"
    assert Headings(text).found == [
        "a<b>", "Held-out accuracy", "Tokens per forward pass", "Curves", "An answer, pass by pass",
        "Health of the training", "Where the time went", "Last figures", "Configuration: reinforcement"]
    assert "<b>67.8 %</b><small>95 % interval 64.8 % to 70.6 %</small>" in text and "<b>92.0 %</b><small></small>" in text
    assert "<b>1.83</b>" in text and "<b>2.74</b>" in text
    assert text.count("<svg ") == 3 and text.count("<script") == 2
    assert "note: &lt;/pre&gt;&lt;script&gt;" in text


@pytest.mark.parametrize(("rows", "headings", "kind"), [
    (RL, ["Held-out accuracy", "Curves", "Health of the training", "Where the time went", "Last figures"], "reinforcement"),
    (RL[:1], ["Curves", "Last figures"], "reinforcement"),
    (SFT, ["Curves", "Last figures"], "fine-tuning")])
def test_the_page_of_one_run(tmp_path: Path, rows: list[dict], headings: list[str], kind: str) -> None:
    write(tmp_path / "metrics.jsonl", rows)
    text = write_report(tmp_path).read_text(encoding="utf-8")
    assert Headings(text).found == [tmp_path.name, *headings]
    assert f"<p>{kind}, reported by dllm-rl</p>" in text and "<script" not in text


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    text = write_report(demo(tmp_path)).read_text(encoding="utf-8")
    assert re.findall(r"(?:https?:)?//[a-z]", text) == []
    assert re.findall(r"""\b(?:src|href)=["'](?!#)|url\((?!#)|@import|\bfetch\(""", text) == []


def test_equal_runs_give_equal_pages_and_leave_nothing_else(tmp_path: Path) -> None:
    first = write_report(demo(tmp_path)).read_bytes()
    files = sorted(tmp_path.rglob("*"))
    assert write_report(tmp_path).read_bytes() == first
    assert sorted(tmp_path.rglob("*")) == files


def test_a_damaged_run_leaves_the_older_page(tmp_path: Path) -> None:
    write(tmp_path / "metrics.jsonl", SFT)
    older = write_report(tmp_path).read_bytes()
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n{"st\n{"step": 3}\n')
    with pytest.raises(ValueError, match="line 2 is no JSON object"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == older


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"nothing to report in {tmp_path}"):
        write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("value", "shown"), [
    (0.0, "0"), (1000.0, "1,000"), (123456, "123,456"), (12345.6, "12,346"), (0.92, "0.92"), (-1.49e-8, "-1.49e-08"),
    (2.7416, "2.742")])
def test_figure(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_percent() -> None:
    assert [percent(share) for share in (0, 0.6784, 1)] == ["0.0 %", "67.8 %", "100.0 %"]


def test_a_headline_needs_both_ends_of_a_figure() -> None:
    assert headline([]) == ""
    before, after = Evaluation("before", 0.5, None, 0.6, None), Evaluation("after", 0.75, 0.7, 0.8, 2.0)
    shown = headline([before, after])
    assert "<b>50.0 %</b><small></small>" in shown and "<b>75.0 %</b><small>95 % interval 70.0 % to 80.0 %</small>" in shown
    assert "Tokens per forward" not in shown


def test_time_shares_add_up() -> None:
    shown = time_shares({"Reinforcement": Phase(RL), "Fine-tuning": Phase(SFT)})
    assert re.findall(r"<th scope=\"row\">(\w+)</th><td>([\d.]+)</td><td>([\d.]+ %)", shown) == [
        ("rollout", "3.0", "75.0 %"), ("update", "1.0", "25.0 %")]
    assert "Fine-tuning" not in shown and time_shares({"Fine-tuning": Phase(SFT)}) == ""
    assert time_shares({"Fine-tuning": Phase([{"step": 1, "seconds_update": 0.0}])}) == ""


def test_names_of_figures_are_escaped() -> None:
    shown = last_figures({"Fine-tuning": Phase([{"step": 1, "<b>": 0.5}])})
    assert '<th scope="row">&lt;b&gt;</th><td>0.5</td><td>1</td>' in shown
