"""What a command line needs before it knows what to do: no torch, and an answer in half a second."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = ("torch", "transformers", "accelerate", "datasets", "pyarrow", "numpy")
IMPORT = "import dllm_rl"
CONFIG = "import dllm_rl.config, dllm_rl.registry"
HELP = """
import sys
from dllm_rl.cli import main
sys.argv = ["dllm-rl", "--help"]
try:
    main()
except SystemExit as end:
    if end.code:
        raise
"""
REPORT = """
import sys
print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""
MAX_HELP_SECONDS = 0.5
TRIES = 5


def run(program: str, source: Path = SOURCE) -> str:
    """Run a program in a new interpreter that finds the package in ``source``; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def heavy_modules(program: str, source: Path = SOURCE) -> set[str]:
    """The heavy packages that a program has loaded when it ends."""
    return set(HEAVY) & set(run(program + REPORT, source).rpartition("loaded:")[2].split())


@pytest.mark.parametrize("program", [IMPORT, CONFIG, HELP], ids=["import", "config", "help"])
def test_nothing_heavy_is_loaded(program: str) -> None:
    assert heavy_modules(program) == set()


def test_a_heavy_import_would_be_seen(tmp_path: Path) -> None:
    package = tmp_path / "dllm_rl"
    package.mkdir()
    (package / "__init__.py").write_text("import numpy\n")
    assert heavy_modules(IMPORT, tmp_path) == {"numpy"}


def test_help_lists_commands_and_answers_at_once() -> None:
    seconds = []
    for _ in range(TRIES):  # the best of several: other processes may keep the machine busy
        start = time.perf_counter()
        text = run(HELP)
        seconds.append(time.perf_counter() - start)
        if seconds[-1] < MAX_HELP_SECONDS:
            break
    assert "Usage" in text and "generate" in text
    assert min(seconds) < MAX_HELP_SECONDS, f"--help took {min(seconds):.2f} s at best: {seconds}"
