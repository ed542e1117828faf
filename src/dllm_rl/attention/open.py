"""The open form: rows in which every token attends to every other, so that no mask is needed. Full attention."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.records.layout import Layout


def is_open(layout: Layout) -> bool:
    """Whether each row of a (B, N) layout is one block of one view of one document."""
    return all(bool((column == column[:, :1]).all()) for column in (layout.doc, layout.view, layout.block))


class OpenAttention:
    """Attention of every token to every token of its row; memory grows with N where torch has a fused kernel."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        return scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=query.shape[1] != key.shape[1])
