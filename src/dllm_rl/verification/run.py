"""``dllm-rl verify``: recompute every entry of a folder of reference vectors in fp32 and compare."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dllm_rl.families import LanguageModel, load_model
from dllm_rl.families.loading import read_published_config
from dllm_rl.verification.block_training import check_block_training
from dllm_rl.verification.check import Check
from dllm_rl.verification.generation import check_generation
from dllm_rl.verification.logits import check_logits
from dllm_rl.verification.reference import Entry, Reference, find_references
from dllm_rl.verification.training import check_training

PUBLISHED_BLOCK_SIZE = 4
"""Of most published checkpoints; for those that state none. Entries that need another one say so."""

SECTIONS: dict[str, Callable[[Entry, LanguageModel], list[Check]]] = {
    "logits": check_logits,
    "generation": check_generation,
    "training": check_training,
    "block_diffusion_training": check_block_training,
}


@dataclass(frozen=True)
class Outcome:
    """What became of one entry: its checks, or why it could not be checked.

    Example:
        >>> Outcome("sdar/logits/full_L11", [Check("logits", 0.0, 1e-4)], None).passed
        True
    """

    name: str
    checks: list[Check]
    problem: str | None

    @property
    def passed(self) -> bool:
        """Whether everything the entry stores was recomputed within tolerance."""
        return self.problem is None and bool(self.checks) and all(check.passed for check in self.checks)

    @property
    def worst(self) -> Check | None:
        """The check furthest out of its tolerance, or with the largest difference if all are within."""
        return max(self.checks, key=lambda check: (not check.passed, check.difference), default=None)


def _selected(reference: Reference, only: list[str]) -> Iterator[Entry]:
    """Entries of the sections ``family`` or ``family/section`` names; all if none are named."""
    for section, entries in reference.sections().items():
        if not only or reference.name in only or f"{reference.name}/{section}" in only:
            yield from entries


def _check(entry: Entry, family: str, lm: LanguageModel) -> Outcome:
    name = f"{family}/{entry.section}/{entry.name}"
    if entry.section not in SECTIONS:
        return Outcome(name, [], f"entries of section {entry.section!r} are not known to this version")
    try:
        return Outcome(name, SECTIONS[entry.section](entry, lm), None)
    except (ValueError, KeyError) as error:
        return Outcome(name, [], str(error))


def verify_folder(folder: Path, only: list[str]) -> Iterator[Outcome]:
    """Check entry by entry.

    Args:
        folder: one family's folder or a folder of them.
        only: ``family`` or ``family/section`` names to narrow it.

    Raises:
        ValueError: no vectors in the folder, a damaged file, or a name in ``only`` that selects nothing.
    """
    references = find_references(folder)
    known = [name for reference in references
             for name in (reference.name, *(f"{reference.name}/{section}" for section in reference.sections()))]
    for name in only:
        if name not in known:
            raise ValueError(f"only={name!r} selects nothing; known: {', '.join(known)}")
    for reference in references:
        entries = list(_selected(reference, only))
        if entries:
            index = reference.index
            stated = read_published_config(reference.checkpoint).get("block_size")
            lm = load_model(reference.checkpoint, mask_token_id=index["mask_token_id"],
                            pad_token_id=index["pad_token_id"], eos_token_id=index["eos_token_id"],
                            block_size=stated or PUBLISHED_BLOCK_SIZE)
            yield from (_check(entry, reference.name, lm) for entry in entries)
