"""The command chat, through a pipe and in a real terminal."""

import io
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dllm_rl.cli import main
from dllm_rl.training.demo import create_tiny_model

SOURCE = Path(__file__).parents[2] / "src"
PLAIN = 'prompt.template="{problem} = "'
PATIENCE = 120
"""Seconds that a busy machine has to show what is waited for."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "start"
    create_tiny_model(path, seed=1)
    return path


def test_a_pipe_gets_plain_lines(checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    arguments = ["chat", f"model.path={checkpoint}", PLAIN, "decoding.max_gen_length=5", "--quiet"]
    printed = []
    for lines in ("01+02\n3+4\n", "01+02\n/undo\n01+02\n/quit\n3+4\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(lines))
        assert main(arguments) == 0
        printed.append(capsys.readouterr())
    assert "\x1b" not in printed[0].out + printed[1].out and "█" not in printed[0].out
    assert "commands: /quit" in printed[0].err and "forgotten: 01+02" in printed[1].err
    once = printed[1].out[:len(printed[1].out) // 2]
    assert printed[1].out == once * 2 and printed[0].out.startswith(once) and len(printed[0].out) > len(once)


def test_without_a_chat_template_one_sentence_says_so(checkpoint: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["chat", f"model.path={checkpoint}", "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: the tokenizer has no chat template, ")


class Session:
    """A program in a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self.seen, self.unread = "", b""
        self.end, inner = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm", "COLUMNS": "60", "LINES": "20"}
        self.process = subprocess.Popen([sys.executable, "-c", "import sys; from dllm_rl.cli import main; sys.exit(main())",
                                         *arguments], stdin=inner, stdout=inner, stderr=inner, env=environment,
                                        preexec_fn=lambda: os.login_tty(inner))      # so that Ctrl-C reaches it
        os.close(inner)

    def type(self, text: str) -> None:
        os.write(self.end, text.encode())

    def wait_for(self, text: str) -> None:
        """Read until ``text`` is shown behind what was waited for before."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.unread:
            assert time.monotonic() < deadline, f"no {text!r} in {self.unread!r}"
            if select.select([self.end], [], [], 1)[0]:
                self.unread += os.read(self.end, 65536)
        before, found, self.unread = self.unread.partition(text.encode())
        self.seen += (before + found).decode(errors="replace")


def test_a_terminal_shows_the_unmasking_and_ctrl_c_stops_it(checkpoint: Path) -> None:
    session = Session("chat", f"model.path={checkpoint}", PLAIN, "decoding.max_gen_length=900", "decoding.ignore_eos=true",
                      "decoding.remasking_strategy=sequential", "--quiet")
    try:
        session.wait_for("> ")
        session.type("01+02\n")
        session.wait_for("█")
        session.type("\x03")
        session.wait_for("stopped; this question is forgotten")
        session.wait_for("> ")
        session.type("/undo\n")
        session.wait_for("there is no turn to forget")
        session.wait_for("> ")
        session.type("\x04")
        assert session.process.wait(PATIENCE) == 0
    finally:
        session.process.kill()
        session.process.wait()
        os.close(session.end)
