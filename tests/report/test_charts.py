"""The drawings: what is on them, that they are the same each time, that they follow the page's colours."""

import re
import xml.etree.ElementTree as ET

import matplotlib
import pytest

from dllm_rl.report import charts
from dllm_rl.report.charts import Chart, Line, health_charts, loss_chart, main_charts, page_svg, picture
from dllm_rl.report.run_data import Phase, RunData

RL = Phase([{"step": 0, "held_out_accuracy": 0.5, "held_out_accuracy_low": 0.4, "held_out_accuracy_high": 0.6,
             "held_out_tokens_per_forward": 1.5},
            {"step": 1, "reward": 0.25, "tokens_per_forward": 2.0, "kl": 0.0, "entropy": None},
            {"step": 2, "reward": 0.75, "tokens_per_forward": 3.0, "kl": 0.0, "held_out_accuracy": 0.625}])


def texts(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def test_reward_chart() -> None:
    rollouts, held_out = charts.reward_chart(RL).lines
    assert (rollouts.points, rollouts.band) == ([(1, 0.25), (2, 0.75)], ())
    assert (held_out.points, held_out.band) == ([(0, 0.5), (2, 0.625)], [(0, 0.4, 0.6)])
    assert held_out.label == "held-out accuracy, 95 % interval"
    assert charts.reward_chart(Phase(RL.rows[1:])).lines[1].label == "held-out accuracy"


def test_speed_and_loss_chart() -> None:
    assert [line.points for line in charts.speed_chart(RL).lines] == [[(1, 2.0), (2, 3.0)], [(0, 1.5)]]
    assert loss_chart(Phase([{"step": 3, "loss": 1.5}])).lines[0].points == [(3, 1.5)]


def test_only_charts_with_points_are_made() -> None:
    sft = Phase([{"step": 1, "loss": 2.0}])
    assert [chart.title for chart in main_charts(RunData("x", sft, RL))] == [
        "Reward and held-out accuracy", "Decoding speed", "Loss of fine-tuning"]
    assert main_charts(RunData("x", sft=Phase([{"step": 1, "loss": None}]))) == []
    assert [chart.title for chart in health_charts(RL)] == ["KL to the rollouts' policy"]


def test_every_text_of_a_chart_is_text_and_two_lines_have_a_legend() -> None:
    found = texts(picture([charts.reward_chart(RL)]))
    assert {"Reward and held-out accuracy", "mean reward, share correct", "step", "reward of rollouts",
            "held-out accuracy, 95 % interval"} <= set(found)
    one = texts(picture([loss_chart(Phase([{"step": 1, "loss": 2.0}]))]))
    assert {"Loss of fine-tuning", "cross-entropy in nats", "step"} <= set(one) and "loss" not in one


def test_a_picture_holds_charts_side_by_side_on_white() -> None:
    one, two = (picture([charts.reward_chart(RL)] * count) for count in (1, 2))
    width, height = charts.PANEL
    assert f'viewBox="0 0 {72 * width:g} {72 * height:g}"' in one and f'viewBox="0 0 {72 * 2 * width:g}' in two
    assert "fill: #ffffff" in one and texts(two).count("reward of rollouts") == 2


def test_equal_figures_give_equal_bytes_without_a_date() -> None:
    assert page_svg(charts.reward_chart(RL)) == page_svg(charts.reward_chart(RL))
    assert picture([charts.speed_chart(RL)]) == picture([charts.speed_chart(RL)])
    assert "<metadata" not in picture([charts.speed_chart(RL)])


def test_global_settings_stay() -> None:
    before = dict(matplotlib.rcParams)
    picture([charts.speed_chart(RL)])
    assert dict(matplotlib.rcParams) == before


def test_the_svg_of_a_page_follows_its_colours() -> None:
    svg = page_svg(charts.reward_chart(RL))
    assert svg.startswith('<svg role="img" aria-label="Reward and held-out accuracy, mean reward, share correct" viewBox=')
    assert not re.search(r"#[0-9a-f]{6}\b", svg)
    colours = set(re.findall(r"currentColor|var\([^)]*\)", svg))
    assert colours == {"currentColor", "var(--line)", "var(--rollouts)", "var(--held-out)"}
    assert "fill: #ffffff" not in svg and '<g id=' not in svg


def test_ids_are_referred_to_and_mean_the_same_in_every_chart() -> None:
    drawn = [page_svg(charts.reward_chart(RL)), page_svg(charts.speed_chart(RL))]
    ids: dict[str, str] = {}
    for svg in drawn:
        for name, element in re.findall(r'<(?:clipPath|path) id="([^"]*)"([^§]*?)/>', svg):
            assert ids.setdefault(name, element) == element and f"#{name}" in svg
    assert len(ids) > 2


@pytest.mark.parametrize(("values", "bottom"), [([0.0, 0.0], "0.00"), ([-1.0, 1.0], "−1.0")])
def test_what_is_never_negative_has_no_room_below_zero(values: list[float], bottom: str) -> None:
    found = texts(picture([Chart("t", "u", [Line("l", [(step, value) for step, value in enumerate(values)])])]))
    numbers = [text for text in found if re.fullmatch(r"−?\d+\.\d+", text or "")]
    assert numbers[0] == bottom, numbers


def test_one_point_is_seen() -> None:
    one, none = (picture([Chart("t", "u", [Line("l", [(1, 2.0)] * count)])]) for count in (1, 2))
    assert one.count("<use") > none.count("<use")
