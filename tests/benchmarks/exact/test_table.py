"""The tables: printed, put into the page, and the page's figures are what the bench finds."""

from pathlib import Path

import pytest
from benchmarks.exact.__main__ import TABLES
from benchmarks.exact.comparison import Figures, Row
from benchmarks.exact.table import between, markdown, parsed, write

PAGE = Path(__file__).parents[3] / "docs" / "methods.md"
COMMAND = "PYTHONPATH=src python -m benchmarks.exact --table blocks --write docs/methods.md"
ROWS = [Row("R", "trace", loss, (Figures(1.0, 1e-8, 2.0), Figures(1.0, 2e-7, 4.0))) for loss in ("a", "b")] + [
    Row("R", "random", "a", (Figures(0.5, 1.0, 1.0), Figures(0.25, 0.5, 1.0))),
    Row("R", "random", "b", (Figures(0.5, 1.0, 3.0), Figures(0.25, 0.5, 1.0)))]


def test_losses_with_equal_figures_share_a_line() -> None:
    text = markdown(ROWS)
    assert text.splitlines()[2:] == ["| R | trace | a, b | exact | 0 | 3.0 |",
                                     "| R | random | a | 0.375 (0.250) | 0.750 | 1.0 |",
                                     "| R | random | b | 0.375 (0.250) | 0.750 | 2.0 |"]
    assert parsed(text)["R", "trace", "b"] == ["exact", "0", "3.0"]


def test_a_table_replaces_what_stood_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- exact bench, x: begin -->\nold\n<!-- exact bench, x: end -->\nbehind\n")
    write(page, "x", "new\n")
    assert page.read_text() == "before\n<!-- exact bench, x: begin -->\nnew\n<!-- exact bench, x: end -->\nbehind\n"
    assert between(page.read_text(), "x") == "new\n"


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="has no lines '<!-- exact bench, y: begin -->'"):
        between("a page", "y")


def numbers(cells: list[str]) -> list[float]:
    return [1.0 if word == "exact" else float(word.strip("()")) for cell in cells for word in cell.split()]


@pytest.mark.slow
def test_the_page_says_what_the_bench_finds() -> None:
    """Every figure is pinned: to half a unit of its last printed place and a little for other machines' rounding."""
    found, printed = parsed(markdown(TABLES["blocks"]())), parsed(between(PAGE.read_text(), "blocks"))
    assert found.keys() == printed.keys(), f"run: {COMMAND}"
    for key, cells in found.items():
        assert (cells[0] == "exact") == (printed[key][0] == "exact"), (key, COMMAND)
        *rest, variance = numbers(list(cells))
        *rest_printed, variance_printed = numbers(list(printed[key]))
        assert rest == pytest.approx(rest_printed, abs=2e-3), (key, COMMAND)
        assert variance == pytest.approx(variance_printed, abs=0.15, rel=1e-3), (key, COMMAND)
