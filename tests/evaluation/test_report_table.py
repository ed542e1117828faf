"""Rows of the comparison."""

from dllm_rl.evaluation.report_table import comparison_rows
from dllm_rl.evaluation.summary import summarize
from dllm_rl.records import Rollout, Scored, Task


def test_one_row_per_figure_and_one_column_per_setting() -> None:
    right, wrong = (Scored(Task("a", "?"), Rollout([1], [2, 3, 4], [1, 1, 1], num_forwards=2), float(correct), correct)
                    for correct in (True, False))
    summaries = {"static": summarize([right, wrong, right], seconds=0.5), "dynamic": summarize([wrong], num_skipped=1)}
    rows = comparison_rows(summaries)
    assert rows[0] == ["figure", "static", "dynamic"]
    assert [row[0] for row in rows[1:]] == list(summaries["static"].as_dict())
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["accuracy"] == ["0.6667", "0"]
    assert by_name["num_skipped"] == ["0", "1"]
    assert by_name["answer_tokens_per_second"] == ["18", "-"]
    assert by_name["string_accuracy"] == ["-", "-"]
    assert by_name["tokens_per_forward"] == ["1.5", "1.5"]
