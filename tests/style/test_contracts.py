"""The doors between rooms, as ``[tool.importlinter]`` in pyproject.toml states them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    """Check the package below ``source`` against the contracts of this repository."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    return subprocess.run([sys.executable, "-c", LINT], cwd=ROOT, env=environment, capture_output=True, text=True)


def test_the_package_keeps_every_contract() -> None:
    done = lint(ROOT / "src")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "line", "broken"), [
    ("records/task.py", "import dllm_rl.views", "A room imports only from rooms below it"),
    ("views/block.py", "import dllm_rl.decoding", "A room imports only from rooms below it"),
    ("config/base.py", "import torch", "Configuration and registry reach neither"),
    ("cli.py", "from transformers import AutoConfig", "The command line imports neither"),
])
def test_a_broken_contract_is_named(tmp_path: Path, module: str, line: str, broken: str) -> None:
    rooms = ("cli", "registry", "records", "views", "decoding", "config")
    files = [f"{room}.py" if room in ("cli", "registry") else f"{room}/__init__.py" for room in rooms]
    for name in ("__init__.py", *files, module):
        (tmp_path / "dllm_rl" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dllm_rl" / name).touch()
    assert lint(tmp_path).returncode == 0
    (tmp_path / "dllm_rl" / module).write_text(line + "\n")
    done = lint(tmp_path)
    assert done.returncode == 1
    assert f"{broken}" in done.stdout and "BROKEN" in done.stdout, done.stdout
