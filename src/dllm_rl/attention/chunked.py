"""The chunked form: queries in small groups, each against the keys it can see. For long rows on a CPU.

Letters: B rows, N tokens, H query heads, G key/value heads, D head size, C queries of a chunk, K keys of a chunk.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn.functional import scaled_dot_product_attention

from dllm_rl.attention.rule import may_attend
from dllm_rl.records.layout import Layout

CHUNK = 128
"""Queries per chunk; the fastest of 128, 256 and 512 on two cores at 2k to 4k tokens."""


@dataclass(frozen=True)
class Chunk:
    """Queries (C,), the keys (K,) at least one of them sees, and who sees whom (C, K); ``None`` = everybody."""

    queries: Tensor
    keys: Tensor
    mask: Tensor | None


def plan_chunks(layout: Layout, size: int = CHUNK) -> list[Chunk]:
    """Cut the tokens of an (N,) layout into chunks of neighbours: same document, then block, then view.

    Never builds an N x N mask: the rule is applied to the queries of a chunk and the tokens of their documents.
    """
    order = torch.arange(len(layout.doc), device=layout.doc.device)
    for key in (layout.view, layout.block, layout.doc):
        order = order[torch.argsort(key[order], stable=True)]
    chunks = []
    for queries in order.split(size):
        rows = layout.index(queries)
        near = torch.isin(layout.doc, torch.cat([rows.doc, rows.parent]).unique())
        candidates = near.nonzero()[:, 0]
        seen = may_attend(rows, layout.index(candidates))
        used = seen.any(0)
        mask = seen[:, used]
        chunks.append(Chunk(queries, candidates[used], None if bool(mask.all()) else mask))
    return chunks


def _attend_chunk(chunk: Chunk, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    return scaled_dot_product_attention(query, key, value, attn_mask=chunk.mask, scale=scale,
                                        enable_gqa=query.shape[1] != key.shape[1])


class _ChunkedAttention(torch.autograd.Function):
    """Gathers keys and values chunk by chunk and gathers them again in the backward pass.

    Left to autograd, every chunk's copy of its keys and values would live until the backward pass, which costs more
    memory than the dense mask did. Recomputing a chunk costs one more small attention.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, query: Tensor, key: Tensor, value: Tensor,
                chunks: list[Chunk], scale: float) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.chunks, ctx.scale = chunks, scale  # type: ignore[attr-defined]
        out = torch.empty_like(query)
        for chunk in chunks:
            out[:, :, chunk.queries] = _attend_chunk(chunk, query[:, :, chunk.queries], key[:, :, chunk.keys],
                                                     value[:, :, chunk.keys], scale)
        return out

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors  # type: ignore[attr-defined]
        grads = [torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)]
        for chunk in ctx.chunks:  # type: ignore[attr-defined]
            places = (chunk.queries, chunk.keys, chunk.keys)
            with torch.enable_grad():
                parts = [tensor[:, :, place].detach().requires_grad_()
                         for tensor, place in zip((query, key, value), places, strict=True)]
                out = _attend_chunk(chunk, parts[0], parts[1], parts[2], ctx.scale)  # type: ignore[attr-defined]
            for total, place, part in zip(grads, places, torch.autograd.grad(out, parts, grad[:, :, chunk.queries]),
                                          strict=True):
                total.index_add_(2, place, part)
        return (*grads, None, None)


class ChunkedAttention:
    """Attention among the tokens of one batch without an N x N mask; equal to the dense form up to rounding."""

    def __init__(self, layout: Layout, size: int = CHUNK) -> None:
        """Plan the chunks of a (B, N) layout; the rows of the batch are laid one behind the other."""
        rows = torch.arange(layout.doc.shape[0], device=layout.doc.device)[:, None]
        span = int(layout.doc.max()) + 1
        parent = torch.where(layout.parent < 0, layout.parent, layout.parent + rows * span)
        flat = Layout(layout.position, layout.doc + rows * span, parent, layout.view, layout.block)
        self._chunks = plan_chunks(flat.reshape(-1), size)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """See ``AttentionContext``."""
        flat = [tensor.transpose(0, 1).flatten(1, 2)[None] for tensor in (query, key, value)]
        out = _ChunkedAttention.apply(*flat, self._chunks, scale)
        return out[0].unflatten(1, (query.shape[0], query.shape[2])).transpose(0, 1)
