"""Random layouts of the shapes training and decoding make, for tests of the attention rule."""

import random

import torch

from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT


def tokens(position: torch.Tensor, block: torch.Tensor, doc: int, parent: int = NO_PARENT, view: int = 0) -> Layout:
    """The layout of some tokens of one document and view."""
    fill = torch.zeros_like(position)
    return Layout(position, fill + doc, fill + parent, fill + view, block)


def with_views(prompt: int, response: int, size: int, num_views: int, doc: int, start: int = 0,
               parent: int = NO_PARENT) -> Layout:
    """A clean copy from ``start`` on, and noisy copies of the response's blocks."""
    clean = torch.arange(start, prompt + response)
    noisy = torch.arange(prompt // size * size, prompt + response)
    parts = [tokens(clean, clean // size, doc, parent)]
    parts += [tokens(noisy, noisy // size, doc, parent, view) for view in range(1, num_views + 1)]
    return Layout.join(parts)


def random_mix(seed: int) -> Layout:
    """Shared prompt with several samples, views, full, causal and right-aligned documents, and pads, in any order."""
    draw = random.Random(seed)
    size = draw.choice([1, 2, 4, 8])
    prompt = draw.randint(size, 40)
    shared = prompt // size * size
    parts = [tokens(torch.arange(shared), torch.arange(shared) // size, 0)]
    parts += [with_views(prompt, draw.randint(1, 20), size, draw.randint(1, 3), doc, shared, 0) for doc in (1, 2, 3)]
    length = torch.arange(draw.randint(1, 30))
    parts += [tokens(length, torch.zeros_like(length), 4), tokens(length, length, 5),
              tokens(length, -1 - (len(length) - 1 - length) // size, 6)]
    parts += [tokens(torch.ones(1, dtype=torch.long), torch.zeros(1, dtype=torch.long), 7 + pad) for pad in range(5)]
    mixed = Layout.join(parts)
    order = torch.randperm(len(mixed.doc), generator=torch.Generator().manual_seed(seed))
    return mixed.index(order)
