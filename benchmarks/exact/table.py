"""The tables of the bench as Markdown, and their place in a page."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.exact.comparison import Row

TOLERANCE = 1e-6
"""Up to this error an expected gradient counts as the true one: rounding of float32 log-probabilities."""

HEAD = ("| sampler | view | policy loss | cosine: mean (worst) | error | variance |", "|---|---|---|---|---|---|")


def is_exact(row: Row) -> bool:
    """Whether an estimator's expectation is the true gradient for all weight draws."""
    return max(own.error for own in row.figures) <= TOLERANCE


def cells(row: Row) -> tuple[str, str, str]:
    """Cosine, error and variance as they are printed."""
    average, worst, error, variance = row.over_draws()
    exact = is_exact(row)
    cosine = "exact" if exact else f"{average:.3f} ({worst:.3f})"
    return cosine, "0" if exact else f"{error:.3f}", f"{variance:.1f}"


def markdown(rows: Iterable[Row]) -> str:
    """One line per sampler and view; policy losses that print the same figures share one."""
    lines = list(HEAD)
    for (sampler, view), own in groupby(rows, key=lambda row: (row.sampler, row.view)):
        losses: dict[tuple[str, str, str], list[str]] = {}
        for row in own:
            losses.setdefault(cells(row), []).append(row.loss)
        lines += [f"| {sampler} | {view} | {', '.join(names)} | {' | '.join(found)} |" for found, names in losses.items()]
    return "\n".join(lines) + "\n"


def markers(name: str) -> tuple[str, str]:
    """The lines between which a table stands in a page."""
    return f"<!-- exact bench, {name}: begin -->", f"<!-- exact bench, {name}: end -->"


def between(page: str, name: str) -> str:
    """What stands between the markers of a table.

    Raises:
        ValueError: the page has no such markers.
    """
    begin, end = markers(name)
    if begin not in page or end not in page:
        raise ValueError(f"the page has no lines {begin!r} and {end!r}; add them where the table is to stand")
    return page.partition(begin)[2].partition(end)[0].strip("\n") + "\n"


def write(path: Path, name: str, text: str) -> None:
    """Put a table between its markers.

    Raises:
        ValueError: the page has no such markers.
    """
    page = path.read_text()
    begin, end = markers(name)
    between(page, name)
    before, after = page.partition(begin)[0], page.partition(end)[2]
    path.write_text(f"{before}{begin}\n{text}{end}{after}")


def parsed(text: str) -> dict[tuple[str, str, str], Sequence[str]]:
    """The figures of a table by sampler, view and policy loss."""
    found: dict[tuple[str, str, str], Sequence[str]] = {}
    for line in text.splitlines()[len(HEAD):]:
        sampler, view, losses, *figures = (cell.strip() for cell in line.strip("|").split("|"))
        found |= {(sampler, view, loss): figures for loss in losses.split(", ")}
    return found
