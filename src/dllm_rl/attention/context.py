"""What a backbone calls in place of its own attention.

Letters: B rows, N query tokens, H query heads, G key/value heads, D head size.
"""

from typing import Protocol

from torch import Tensor


class AttentionContext(Protocol):
    """One form of the attention rule, made for one batch and passed to the backbone with it."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Softmax attention of one layer.

        Args:
            layer: 0-based layer index; forms that keep keys and values file them under it.
            query: (B, H, N, D), rotary embedding applied.
            key: (B, G, N, D), rotary embedding applied; H is a multiple of G.
            value: (B, G, N, D).
            scale: factor of the dot products.

        Returns:
            (B, H, N, D); rows that may attend to nothing are 0.
        """
        ...
