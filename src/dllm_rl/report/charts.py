"""The charts of a report, drawn with matplotlib and given out as SVG.

Text stays text, equal figures give equal bytes, and nothing global changes. Inside the page colours are CSS variables,
so that one drawing stands on light and on dark ground; a picture for elsewhere stands on white.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dllm_rl.report.run_data import Phase, Points, RunData

INK, GRID, ROLLOUTS, HELD_OUT = "#1f2430", "#d5d9e0", "#2f6fde", "#c2570c"
ON_THE_PAGE = {INK: "currentColor", GRID: "var(--line)", ROLLOUTS: "var(--rollouts)", HELD_OUT: "var(--held-out)"}
STYLE: dict[Any, Any] = {     # matplotlib's stubs list the keys of one version
    "svg.fonttype": "none", "svg.hashsalt": "dllm-rl", "font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0, "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
    "axes.titlelocation": "left", "axes.titlesize": 10.0, "axes.edgecolor": GRID, "axes.facecolor": "none",
    "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False, "axes.spines.right": False,
    "grid.color": GRID, "grid.linewidth": 0.6, "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": INK,
    "ytick.labelcolor": INK, "legend.frameon": False, "figure.facecolor": "none",
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))  # a date would make each drawing another one
PANEL = (4.6, 2.7)  # inches
HEALTH = {
    "clip_fraction": ("Clip fraction", "share of targets"),
    "entropy": ("Entropy", "nats per target"),
    "kl": ("KL to the rollouts' policy", "nats per target"),
    "gradient_norm": ("Gradient norm", "before clipping"),
    "length": ("Response length", "tokens"),
    "share_truncated": ("Cut off at the limit", "share of responses"),
}


@dataclass(frozen=True)
class Line:
    """One curve: ``(step, value)`` points, and ``(step, low, high)`` of an interval around them."""

    label: str
    points: Points
    held_out: bool = False
    band: Points | tuple[()] = ()


@dataclass(frozen=True)
class Chart:
    """Curves over the steps of a run that share one axis and its unit."""

    title: str
    unit: str
    lines: Sequence[Line]

    @property
    def drawable(self) -> bool:
        """Whether there is a point to draw."""
        return any(line.points for line in self.lines)


def reward_chart(rl: Phase) -> Chart:
    """Reward of the rollouts, and accuracy on held-out tasks with its 95 % interval."""
    band = rl.points("held_out_accuracy_low", "held_out_accuracy_high")
    held_out = Line("held-out accuracy, 95 % interval" if band else "held-out accuracy",
                    rl.points("held_out_accuracy"), held_out=True, band=band)
    return Chart("Reward and held-out accuracy", "mean reward, share correct",
                 [Line("reward of rollouts", rl.points("reward")), held_out])


def speed_chart(rl: Phase) -> Chart:
    """Tokens per forward pass, of the rollouts and on held-out tasks."""
    return Chart("Decoding speed", "tokens per forward pass",
                 [Line("rollouts", rl.points("tokens_per_forward")),
                  Line("held-out", rl.points("held_out_tokens_per_forward"), held_out=True)])


def loss_chart(sft: Phase) -> Chart:
    """Loss of the fine-tuning."""
    return Chart("Loss of fine-tuning", "cross-entropy in nats", [Line("loss", sft.points("loss"))])


def main_charts(data: RunData) -> list[Chart]:
    """The charts at the head of a report."""
    found = [reward_chart(data.rl), speed_chart(data.rl)] if data.rl else []
    return [chart for chart in found + ([loss_chart(data.sft)] if data.sft else []) if chart.drawable]


def health_charts(rl: Phase) -> list[Chart]:
    """One chart for each figure by which a reinforcement shows that it is well, as far as it was logged."""
    charts = [Chart(title, unit, [Line(title, rl.points(name))]) for name, (title, unit) in HEALTH.items()]
    return [chart for chart in charts if chart.drawable]


def page_svg(chart: Chart) -> str:
    """An ``<svg>`` element for a page that defines ``--line``, ``--rollouts`` and ``--held-out``; it scales with it."""
    svg = _draw([chart], "none")
    svg = svg[svg.index("<svg"):]
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None      # matplotlib always writes one
    svg = f'<svg role="img" aria-label="{chart.title}, {chart.unit}" {box[0]}' + svg[svg.index(">"):]
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)       # nothing refers to groups, and two charts may not share an id
    for color, variable in ON_THE_PAGE.items():
        svg = svg.replace(color, variable)
    return svg


def picture(charts: Sequence[Chart]) -> str:
    """A whole SVG file with the charts side by side on white ground."""
    return _draw(charts, "white")


def _draw(charts: Sequence[Chart], ground: str) -> str:
    stream = io.StringIO()
    width, height = PANEL
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width * len(charts), height), layout="constrained", facecolor=ground)
        for axes, chart in zip(figure.subplots(1, len(charts), squeeze=False)[0], charts, strict=True):
            _fill(axes, chart)
        figure.savefig(stream, format="svg", metadata=NO_METADATA)
    return re.sub(" +$", "", stream.getvalue(), flags=re.MULTILINE)


def _fill(axes: Axes, chart: Chart) -> None:
    lines = [line for line in chart.lines if line.points]
    for line in lines:
        _plot(axes, line)
    axes.set(title=chart.title, xlabel="step", ylabel=chart.unit)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_ylim()[0] < 0 <= min(value for line in lines for _, value in line.points):
        axes.set_ylim(bottom=0)     # no empty room below zero for what is never negative
    if len(lines) > 1:
        axes.legend(loc="best")


def _plot(axes: Axes, line: Line) -> None:
    steps, values = zip(*line.points, strict=True)
    color, width = (HELD_OUT, 1.5) if line.held_out else (ROLLOUTS, 0.9)
    marker = "o" if line.held_out or len(steps) == 1 else ""
    axes.plot(steps, values, color=color, linewidth=width, marker=marker, markersize=3.5, label=line.label,
              zorder=3, clip_on=False)      # so that a line at zero is seen on its axis
    if line.band:
        steps, low, high = zip(*line.band, strict=True)
        axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
        axes.vlines(steps, low, high, color=color, linewidth=0.6)   # a band of one step has no width
