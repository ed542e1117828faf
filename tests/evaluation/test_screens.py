"""Screens: plain lines for a pipe, pictures for a terminal."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from dllm_rl.evaluation.screens import LiveScreen, PipeScreen, screen_here
from dllm_rl.families import LanguageModel


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=40, height=10, highlight=False, color_system=None)


def typed(monkeypatch: pytest.MonkeyPatch, *events: str | type[BaseException]) -> None:
    """Have ``input`` return texts and raise what a terminal raises."""
    left: Iterator[str | type[BaseException]] = iter(events)

    def read(prompt: str) -> str:
        event = next(left)
        if isinstance(event, str):
            return event
        raise event

    monkeypatch.setattr("builtins.input", read)


def test_a_pipe_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\n\n b"))
    screen = screen_here()
    assert isinstance(screen, PipeScreen)
    assert [screen.ask() for _ in range(4)] == ["a", "", " b", None]
    screen.answer("[bold]x[/bold]\ny")
    screen.say("note")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("[bold]x[/bold]\ny\n", "note\n")


def test_nobody_watches_a_pipe(lm: LanguageModel) -> None:
    with PipeScreen().watching(lm, frozenset()) as watch:
        assert watch is None


def test_ctrl_c_empties_the_line_and_ctrl_d_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    console = terminal()
    screen = LiveScreen(console)
    typed(monkeypatch, KeyboardInterrupt, "a", EOFError)
    assert (screen.ask(), screen.ask()) == ("a", None)
    assert "Ctrl-D or /quit ends" in console.file.getvalue()


def test_pictures_follow_the_tokens_and_vanish(lm: LanguageModel) -> None:
    console = terminal()
    m, (a, b) = lm.mask_token_id, lm.tokenizer.encode("ab")
    with LiveScreen(console).watching(lm, {lm.eos_token_id}) as watch:
        for ids in ([m, m, m], [a, m, m], [a, m, lm.eos_token_id], [a, b, lm.eos_token_id]):
            start = console.file.tell()
            watch(0, ids)
            shown = console.file.getvalue()[start:]
            expected = "".join({m: "█", a: "a", b: "b"}[token] for token in ids if token != lm.eos_token_id)
            assert expected in shown and "endoftext" not in shown
    assert console.file.getvalue().endswith("\x1b[2K")     # the picture's line is erased


def test_a_picture_never_exceeds_the_terminal(lm: LanguageModel) -> None:
    console = terminal()
    with LiveScreen(console).watching(lm, frozenset()) as watch:
        start = console.file.tell()
        watch(0, [lm.mask_token_id] * 1000)
        assert console.file.getvalue()[start:].count("█") == 8 * 40


def test_an_answer_is_neither_markup_nor_command(lm: LanguageModel) -> None:
    console = terminal()
    screen = LiveScreen(console)
    screen.answer("[bold]x[/bold]\x1b[2J")
    assert console.file.getvalue() == "[bold]x[/bold]\ufffd[2J\n"
