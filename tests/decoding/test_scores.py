"""What positions are ordered by."""

import math

import pytest
import torch

from dllm_rl.decoding.scores import SCORES, Scored

INF = float("inf")
EXPECTED = {
    "confidence": [1.0, 0.5, 0.25], "margin_confidence": [1.0, 0.0, 0.25], "neg_entropy": [0.0, -math.log(2), -1.039721],
    "entropy": [0.0, math.log(2), 1.039721], "random": [0.1, 0.2, 0.3], "position": [0.0, 0.0, 0.0]}


@pytest.mark.parametrize("name", SCORES)
def test_scores_by_hand(name: str) -> None:
    """A certain distribution, an even one of two, and (1/2, 1/4, 1/4) with the second id drawn."""
    logits = torch.tensor([[0.0, -INF, -INF], [0.0, 0.0, -INF], [math.log(2), 0.0, 0.0]])
    uniforms = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    found = SCORES[name](Scored(logits, torch.tensor([0, 1, 1]), uniforms))
    assert found.tolist() == pytest.approx(EXPECTED[name], abs=1e-6)
