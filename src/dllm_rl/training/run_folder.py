"""The folder of a run: its resolved configuration, a line of figures per step, the checkpoint."""

import json
from collections.abc import Mapping
from pathlib import Path

from dllm_rl.config.base import Options
from dllm_rl.config.loading import dump_yaml
from dllm_rl.families import LanguageModel


class RunFolder:
    """``config.yaml``, ``metrics.jsonl`` and ``checkpoint/`` of one run."""

    def __init__(self, path: str | Path, config: Options) -> None:
        """Make the folder.

        Raises:
            ValueError: another run's figures stand there; they are not overwritten.
        """
        self.path = Path(path)
        if (self.path / "metrics.jsonl").exists():
            raise ValueError(f"{self.path} already holds a run; give another run_dir or remove it")
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.yaml").write_text(dump_yaml(config))

    @property
    def checkpoint(self) -> Path:
        """Where the model is saved, in its published format."""
        return self.path / "checkpoint"

    def log(self, figures: Mapping[str, float]) -> None:
        """Append one line of figures."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(dict(figures)) + "\n")

    def save(self, lm: LanguageModel) -> None:
        """Write the checkpoint, replacing an earlier one."""
        lm.save(self.checkpoint)
