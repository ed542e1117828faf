"""The view record: one partly masked look at one sample."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass
class View:
    """Which positions of one sample are masked, which of them are scored, and with what weight.

    All tensors have length T = prompt + response + hidden tail.

    Attributes:
        masked: (T,) bool; the model sees the mask token here.
        target: (T,) bool; the log-probability of the true token is wanted here. Targets are response tokens,
            and in views of whole actions those of the hidden tail.
        weight: (T,) float32; factor of a target's log-probability in an objective, 0 off targets.
        block: (T,) int64 or ``None``; place on the block grid, where it is not ``position // block_size``.
        labels: (T,) int64 or ``None``; ids to score where they are not the final ones, -1 where they are.
        rival: (T,) bool or ``None``; targets that were not revealed, scored not by a token but by the log-mass of their
            candidates that lose (METHODS 2.6).
        cutoff: what a rival's candidate had to score below; ``None`` = what the rule of the rollout's decoding makes of
            the other targets of the view in the rival's block, which are all that the step revealed.
        draw: index of the Monte Carlo draw the view belongs to.
        node: quadrature node, block or trace step it belongs to.
        log_q: log-probability with which the view itself was drawn.

    Example (prompt of 2, response ``10 11 12``; 11 is visible, 10 and 12 are predicted at once):
        >>> view = View.of_targets(torch.tensor([0, 0, 1, 0, 1]).bool(), torch.tensor([0, 0, 1, 0, 1]).bool())
        >>> view.weight.tolist()
        [0.0, 0.0, 1.0, 0.0, 1.0]
    """

    masked: Tensor
    target: Tensor
    weight: Tensor
    block: Tensor | None = None
    labels: Tensor | None = None
    rival: Tensor | None = None
    cutoff: float | None = None
    draw: int = 0
    node: int | None = None
    log_q: float | None = None

    def __post_init__(self) -> None:
        for name in ("target", "weight", "block", "labels", "rival"):
            tensor = vars(self)[name]
            if tensor is not None and tensor.shape != self.masked.shape:
                raise ValueError(f"view field {name!r} has shape {tuple(tensor.shape)}, masked has "
                                 f"{tuple(self.masked.shape)}; they must be equal")

    @classmethod
    def of_targets(cls, masked: Tensor, target: Tensor, **fields: Tensor | float | int | None) -> "View":
        """A view whose targets all have weight 1; ``fields`` are the optional attributes."""
        return cls(masked, target, target.to(torch.float32), **fields)  # type: ignore[arg-type]


@dataclass(frozen=True)
class ViewContext:
    """What building views takes beside a sample and the options: facts of the model and the run.

    Attributes:
        block_size: size of the training blocks; ``None`` = that of each sample's own rollout; ``"full"`` = one block, for
            models in which every token sees every other.
        seed: of all draws; other epochs or steps take other seeds.
        pad_token_id: what counts as a pad for ``post_num``; ``None`` where there is none.
        pass_number: which pass over a step's rollouts, from 0; another pass draws anew.
        num_passes: how many there are.

    Example:
        >>> ViewContext(block_size=4, seed=7).pad_token_id is None
        True
    """

    block_size: int | Literal["full"] | None = None
    seed: int = 0
    pad_token_id: int | None = None
    pass_number: int = 0
    num_passes: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.block_size, str) and self.block_size != "full":
            raise ValueError(f"block_size is {self.block_size!r}; it must be a number or \"full\"")
        if isinstance(self.block_size, int) and self.block_size < 1:
            raise ValueError(f"block_size is {self.block_size}; it must be 1 or larger")
        if not 0 <= self.pass_number < self.num_passes:
            raise ValueError(f"pass_number is {self.pass_number}; it counts from 0 and must be below num_passes "
                             f"{self.num_passes}")
