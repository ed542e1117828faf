"""The page of a report: one HTML file that needs no network and no other file."""

import html
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template

from dllm_rl.records.atomic import atomic_file
from dllm_rl.report.charts import Chart, health_charts, main_charts, page_svg
from dllm_rl.report.run_data import Evaluation, Phase, RunData, read_run
from dllm_rl.report.trace import trace_section

LARGE = 1000


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a demo, a reinforcement or a fine-tuning, finished or still running.

    Args:
        folder: a demo's folder (``sft/``, ``rl/``, ``summary.json``, ``traces.json``) or a run's (``metrics.jsonl``).

    Returns:
        The path of the page. It appears whole or not at all, and takes the place of an older one.

    Raises:
        ValueError: there is nothing to report in the folder, or one of its files is damaged.
    """
    path = folder / "report.html"
    text = page(read_run(folder))
    with atomic_file(path) as staging:
        staging.write_text(text, encoding="utf-8")
    return path


def page(data: RunData) -> str:
    """The whole page as text."""
    phases = {"Reinforcement": data.rl, "Fine-tuning": data.sft}
    present = {name: phase for name, phase in phases.items() if phase}
    sections = (headline(data.first_and_last()), _charts("Curves", main_charts(data)), trace_section(data.traces),
                _charts("Health of the training", health_charts(data.rl) if data.rl else []),
                time_shares(present), last_figures(present), _configs(present))
    template = Template(files("dllm_rl.report").joinpath("template.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(data.name), kind=" after ".join(present).lower(),
                               sections="\n".join(filter(None, sections)))


def percent(share: float) -> str:
    """A share in percent with one decimal."""
    return f"{share:.1%}".replace("%", " %")


def figure(value: float) -> str:
    """A number for a table: whole ones and large ones with separators, others to four digits."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= LARGE else f"{value:.4g}"


def headline(evaluations: Sequence[Evaluation]) -> str:
    """Held-out accuracy and speed before and after; empty without two evaluations."""
    accuracies = [(own.when, percent(own.accuracy), _interval(own)) for own in evaluations if own.accuracy is not None]
    speeds = [(own.when, f"{own.tokens_per_forward:.2f}", "") for own in evaluations if own.tokens_per_forward is not None]
    changes = _change("Held-out accuracy", accuracies) + _change("Tokens per forward pass", speeds)
    return f'<div class="changes">{changes}</div>' if changes else ""


def _interval(evaluation: Evaluation) -> str:
    if evaluation.low is None or evaluation.high is None:
        return ""
    return f"95 % interval {percent(evaluation.low)} to {percent(evaluation.high)}"


def _change(label: str, ends: Sequence[tuple[str, str, str]]) -> str:
    """``label``: before → after, each ``(when, figure, its interval)``."""
    if len(ends) < 2:
        return ""
    shown = [f"<div><small>{html.escape(when)}</small><b>{value}</b><small>{interval}</small></div>"
             for when, value, interval in ends]
    return f'<section class="change"><h2>{label}</h2>{"<span>→</span>".join(shown)}</section>'


def _charts(heading: str, charts: Sequence[Chart]) -> str:
    if not charts:
        return ""
    figures = "\n".join(f"<figure>{page_svg(chart)}</figure>" for chart in charts)
    return f'<section><h2>{heading}</h2><div class="charts">{figures}</div></section>'


def time_shares(phases: dict[str, Phase]) -> str:
    """Where the seconds of each phase went, with their shares as bars; empty if none were logged."""
    tables = []
    for name, phase in phases.items():
        seconds = phase.seconds()
        total = sum(seconds.values())
        rows = ((part, f"{spent:,.1f}", f"{percent(spent / total)} <meter value='{spent / total:.4f}'></meter>")
                for part, spent in seconds.items() if total)
        tables.append(_table(name, ("part of a step", "seconds", "share"), rows) if total else "")
    return _tables("Where the time went", tables)


def last_figures(phases: dict[str, Phase]) -> str:
    """The last value of every figure that was logged, by its name in ``metrics.jsonl``."""
    return _tables("Last figures", [
        _table(name, ("figure", "value", "step"),
               ((figure_name, figure(value), figure(step)) for figure_name, (step, value) in phase.last_figures().items()))
        for name, phase in phases.items()])


def _table(caption: str, head: tuple[str, ...], rows: Iterable[tuple[str, str, str]]) -> str:
    """A table; the first cell of a row is untrusted text, the others are HTML."""
    heads = "".join(f'<th scope="col">{name}</th>' for name in head)
    body = "".join(f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'
                   for name, *cells in rows)
    return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _tables(heading: str, tables: Iterable[str]) -> str:
    shown = "".join(tables)
    return f'<section><h2>{heading}</h2><div class="tables">{shown}</div></section>' if shown else ""


def _configs(phases: dict[str, Phase]) -> str:
    return "\n".join(f"<details><summary>Configuration: {name.lower()}</summary>"
                     f"<pre>{html.escape(phase.config)}</pre></details>"
                     for name, phase in phases.items() if phase.config)
