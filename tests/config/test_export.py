"""Options of ``export``."""

import pytest

from dllm_rl.config.export import ExportConfig
from dllm_rl.config.loading import load_config


def test_defaults() -> None:
    config, _ = load_config(ExportConfig, ["model.path=x", "out=y"])
    assert (config.model.path, config.out, config.dtype, config.max_shard_size) == ("x", "y", "bfloat16", "5GB")


@pytest.mark.parametrize(("arguments", "message"), [
    (["model.path=x"], "out is missing"),
    (["model.path=x", "out=y", "dtype=float16"], "dtype"),
    (["model.path=x", "out=y", "max_shard_size=5TB"], "write a whole number and KB, MB or GB"),
    (["model.path=x", "out=y", "max_shard_size=0GB"], "write a whole number and KB, MB or GB"),
    (["model.path=x", "out=y", "max_shard_size=1.5GB"], "write a whole number and KB, MB or GB"),
])
def test_wrong_options_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_config(ExportConfig, arguments)
