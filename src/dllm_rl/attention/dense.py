"""The dense form: the rule as a boolean mask, and plain scaled dot-product attention. For short rows."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.attention.rule import may_attend
from dllm_rl.records.layout import Layout


class DenseAttention:
    """Attention among the tokens of one batch with a (B, N, N) mask; cost and memory grow with N squared."""

    def __init__(self, layout: Layout) -> None:
        """Build the mask of a (B, N) layout."""
        self._mask = may_attend(layout, layout)[:, None]

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        return scaled_dot_product_attention(query, key, value, attn_mask=self._mask, scale=scale,
                                            enable_gqa=query.shape[1] != key.shape[1])
