"""The outcome of comparing one quantity with its stored value."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor

from dllm_rl.families import LanguageModel

LOGIT_TOLERANCE = 1e-4
LOSS_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class Check:
    """One compared quantity: the difference found and the largest allowed one (0 = exact)."""

    quantity: str
    difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within the tolerance (false for NaN)."""
        return self.difference <= self.tolerance


def exact(quantity: str, ours: Tensor, theirs: Tensor) -> Check:
    """Integers or booleans must be equal; the difference is the number of unequal elements (inf: other shape)."""
    if ours.shape != theirs.shape:
        return Check(f"{quantity} shape {tuple(ours.shape)} against {tuple(theirs.shape)}", float("inf"), 0.0)
    return Check(quantity, float((ours.long() != theirs.long()).sum()), 0.0)


def close(quantity: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Check:
    """Floats: largest absolute difference (inf: other shape)."""
    if ours.shape != theirs.shape:
        return Check(f"{quantity} shape {tuple(ours.shape)} against {tuple(theirs.shape)}", float("inf"), tolerance)
    worst = (ours.detach().float() - theirs.float()).abs().max() if theirs.numel() else torch.zeros(())
    return Check(quantity, float(worst), tolerance)


def gradient_norms(quantity: str, lm: LanguageModel, stored: dict[str, float]) -> Check:
    """Norms of the parameters' gradients, stored under published names: largest relative difference; the same ones."""
    theirs = {_backbone_name(name, lm): norm for name, norm in stored.items()}
    ours = {name: float(p.grad.norm()) for name, p in lm.backbone.named_parameters() if p.grad is not None}
    if ours.keys() != theirs.keys():
        return Check(f"{quantity} of other parameters: {sorted(ours.keys() ^ theirs.keys())}", float("inf"), 0.0)
    worst = max(abs(ours[name] - norm) / max(abs(norm), 1e-12) for name, norm in theirs.items())
    return Check(quantity, worst, GRADIENT_TOLERANCE)


def _backbone_name(published: str, lm: LanguageModel) -> str:
    for pattern, ours in lm.family.weight_names.items():
        name, found = re.subn(f"^{pattern}", ours, published)
        if found:
            return name
    return published
