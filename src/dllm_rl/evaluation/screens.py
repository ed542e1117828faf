"""The two sides a chat can have: a person at a terminal, or a pipe."""

import sys
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

from rich.console import Console
from rich.live import Live

from dllm_rl.decoding.watching import Watcher
from dllm_rl.evaluation.unmasking import excerpt, frame, readable, until_stop
from dllm_rl.families import LanguageModel

with suppress(ImportError):     # absent on some systems; where it is, ``input`` can be edited and has a history
    import readline  # noqa: F401

PROMPT = "> "
SPARE_LINES = 2
"""Lines of the terminal that a picture leaves free, so that it never scrolls."""


class Screen(Protocol):
    """Where questions come from and answers go to."""

    def ask(self) -> str | None:
        """The next line; ``None`` when there are no more."""
        ...

    def watching(self, lm: LanguageModel, stop_ids: Collection[int]) -> AbstractContextManager[Watcher | None]:
        """While it is open, an answer is decoded; what it gives is the decoder's ``watch``."""
        ...

    def answer(self, text: str) -> None:
        """Print a finished answer."""
        ...

    def say(self, note: str) -> None:
        """Print what is not the model's."""
        ...


class PipeScreen:
    """Plain lines: questions on standard input, answers on standard output, notes on standard error."""

    def ask(self) -> str | None:
        """See ``Screen``."""
        line = sys.stdin.readline()
        return line.removesuffix("\n") if line else None

    def watching(self, lm: LanguageModel, stop_ids: Collection[int]) -> AbstractContextManager[Watcher | None]:
        """See ``Screen``; nobody watches."""
        return nullcontext()

    def answer(self, text: str) -> None:
        """See ``Screen``."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def say(self, note: str) -> None:
        """See ``Screen``."""
        sys.stderr.write(note + "\n")


class LiveScreen:
    """A terminal in which answers are unmasked before the eyes of a person."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to a console, that of standard output if not given."""
        self._console = console or Console(highlight=False)

    def ask(self) -> str | None:
        """See ``Screen``; Ctrl-C empties the line and Ctrl-D ends."""
        while True:
            try:
                return input(PROMPT)
            except EOFError:
                self._console.print()
                return None
            except KeyboardInterrupt:
                self._console.print()
                self.say("Ctrl-D or /quit ends")

    @contextmanager
    def watching(self, lm: LanguageModel, stop_ids: Collection[int]) -> Iterator[Watcher | None]:
        """See ``Screen``; the picture is gone when the context ends."""
        assert lm.tokenizer is not None     # there is no chat without one
        tokenizer, before, height = lm.tokenizer, list[int](), max(1, self._console.height - SPARE_LINES)
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            def watch(number: int, ids: list[int]) -> None:
                shown = until_stop(ids, stop_ids)
                picture = frame(tokenizer, shown, before, lm.mask_token_id)
                live.update(excerpt(picture, self._console, height), refresh=True)
                before[:] = shown

            yield watch

    def answer(self, text: str) -> None:
        """See ``Screen``."""
        self._console.print(readable(text), markup=False)

    def say(self, note: str) -> None:
        """See ``Screen``."""
        self._console.print(note, markup=False, style="dim")


def screen_here() -> Screen:
    """A live screen if standard input and output are a terminal, else plain lines."""
    return LiveScreen() if sys.stdin.isatty() and sys.stdout.isatty() else PipeScreen()
