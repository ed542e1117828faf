"""The layout record: five integers per token, from which attention follows."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

NO_PARENT = -1
"""Value of ``parent`` for a token whose document continues no other one."""


@dataclass(frozen=True)
class Layout:
    """Five int64 tensors of equal shape, (N,) or (B, N).

    Attributes:
        position: for the rotary embedding.
        doc: which document; each pad is a document of its own. Rows of a batch are separate whatever their ids.
        parent: the document whose clean tokens this one continues, or ``NO_PARENT``.
        view: 0 = clean copy, 1..K = noisy copies.
        block: place on the block grid; any integer, negative too.

    Example (a prompt of 2 and a response of 2 with one noisy copy of it, blocks of 2):
        >>> layout = Layout(position=torch.tensor([0, 1, 2, 3, 2, 3]), doc=torch.zeros(6, dtype=torch.long),
        ...                 parent=torch.full((6,), NO_PARENT), view=torch.tensor([0, 0, 0, 0, 1, 1]),
        ...                 block=torch.tensor([0, 0, 1, 1, 1, 1]))
        >>> layout.position.shape
        torch.Size([6])
    """

    position: Tensor
    doc: Tensor
    parent: Tensor
    view: Tensor
    block: Tensor

    def __post_init__(self) -> None:
        shapes = {tuple(tensor.shape) for tensor in self.tensors()}
        if len(shapes) > 1:
            raise ValueError(f"the five tensors of a layout must have one shape, got {sorted(shapes)}")

    def tensors(self) -> list[Tensor]:
        """The five tensors in the order of the attributes."""
        return [vars(self)[item.name] for item in fields(self)]

    def index(self, where: object) -> "Layout":
        """The layout of the tokens at ``where``, any tensor index applied to all five."""
        return Layout(*(tensor[where] for tensor in self.tensors()))  # type: ignore[index]

    def reshape(self, *shape: int) -> "Layout":
        """The same tokens in another shape."""
        return Layout(*(tensor.reshape(shape) for tensor in self.tensors()))

    def to(self, device: torch.device | str) -> "Layout":
        """The same layout on another device."""
        return Layout(*(tensor.to(device) for tensor in self.tensors()))

    @staticmethod
    def join(layouts: Sequence["Layout"], dim: int = -1) -> "Layout":
        """Concatenate layouts along ``dim``."""
        return Layout(*(torch.cat(parts, dim=dim) for parts in zip(*(x.tensors() for x in layouts), strict=True)))
