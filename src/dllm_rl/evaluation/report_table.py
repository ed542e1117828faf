"""Figures of several evaluations side by side."""

from collections.abc import Mapping

from dllm_rl.evaluation.summary import Summary


def comparison_rows(summaries: Mapping[str, Summary]) -> list[list[str]]:
    """Rows of a table with one column per setting.

    Args:
        summaries: by the name of the setting; one or more.

    Returns:
        the head, ``figure`` and the names, then one row per figure: its name and its value under each setting, numbers
        to four digits, ``-`` where there is none.

    Example (the head and the first row):
        >>> from dllm_rl.evaluation.summary import summarize
        >>> from dllm_rl.records import Rollout, Scored, Task
        >>> summary = summarize([Scored(Task("a", "?"), Rollout([1], [2], [1]), 1.0)])
        >>> comparison_rows({"static": summary, "dynamic": summary})[:2]
        [['figure', 'static', 'dynamic'], ['num_tasks', '1', '1']]
    """
    columns = [summary.as_dict() for summary in summaries.values()]
    return [["figure", *summaries], *([name, *(_text(column[name]) for column in columns)] for name in columns[0])]


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
