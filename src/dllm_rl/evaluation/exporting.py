"""``dllm-rl export``: a checkpoint in the published format, with a model card."""

from pathlib import Path

from dllm_rl.config.export import ExportConfig
from dllm_rl.evaluation.models import load_configured
from dllm_rl.families.loading import DTYPES
from dllm_rl.families.model_card import model_card


def run_export(config: ExportConfig) -> dict[str, object]:
    """Read the checkpoint and write it again; overridden ids and block size are written too.

    Returns:
        ``folder``, ``family``, ``dtype``, ``bytes`` of the weights and the ``files``.

    Raises:
        ValueError: the checkpoint cannot be read, or ``out`` holds something else, or what is read.
        OSError: the disk is full or the folder cannot be written; what stood there is untouched.
    """
    target = Path(config.out)
    if target.resolve() == Path(config.model.path).resolve():
        raise ValueError(f"out and model.path are both {config.out}; export to another folder")
    lm, dtype = load_configured(config.model), DTYPES[config.dtype]
    origin = Path(config.model.path).name if Path(config.model.path).is_dir() else config.model.path
    card = model_card(lm, target.name, origin, dtype)
    lm.save(target, dtype, max_shard_size=config.max_shard_size, card=card)
    files = sorted(target.iterdir())
    return {"folder": str(target), "family": lm.family.name, "dtype": config.dtype,
            "bytes": sum(file.stat().st_size for file in files if file.suffix == ".safetensors"),
            "files": ", ".join(file.name for file in files)}
