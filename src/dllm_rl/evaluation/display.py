"""What a person sees while a command runs: progress bars and lines, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """One progress bar; ``advance`` it and set what stands beside it."""

    def __init__(self, progress: Progress, description: str, total: int, done: int) -> None:
        """Show a bar of ``total`` steps, ``done`` of which an earlier process made."""
        self._progress = progress
        self._task = progress.add_task(description, total=total, completed=done, note="")

    def advance(self, steps: int = 1, note: str | None = None) -> None:
        """Move on by ``steps``; ``note`` replaces the text behind the bar."""
        self._progress.update(self._task, advance=steps)
        if note is not None:
            self._progress.update(self._task, note=note)


class Display:
    """Progress bars and lines; silent if ``quiet``."""

    def __init__(self, quiet: bool = False) -> None:
        """Write to standard error, or nowhere."""
        self._console = Console(stderr=True, quiet=quiet, highlight=False)

    def line(self, text: str) -> None:
        """Print one line."""
        self._console.print(text, markup=False)

    @contextmanager
    def bar(self, description: str, total: int, done: int = 0) -> Iterator[Bar]:
        """A bar that lives as long as the context, ``done`` of ``total`` steps full at first; only one at a time."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                   TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
        with Progress(*columns, console=self._console, redirect_stdout=False, redirect_stderr=False) as progress:
            yield Bar(progress, description, total, done)
