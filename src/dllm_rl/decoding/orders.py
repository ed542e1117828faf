"""Static strategies with other orders than the candidates' confidence."""

from typing import ClassVar

from dllm_rl.decoding.strategies import LowConfidenceStatic, SamplerClass


class Margin(LowConfidenceStatic):
    """The positions with the largest gap between the two most probable tokens, as many as are due (Dream, top-k margin)."""

    score: ClassVar[str] = "margin_confidence"
    sampler_class: ClassVar[SamplerClass] = "distribution"


class NegEntropy(LowConfidenceStatic):
    """The positions with the smallest entropy, as many as are due (Dream, entropy)."""

    score: ClassVar[str] = "neg_entropy"
    sampler_class: ClassVar[SamplerClass] = "distribution"


class RandomOrder(LowConfidenceStatic):
    """Any positions, as many as are due: the order masked diffusion models are trained for."""

    score: ClassVar[str] = "random"
    sampler_class: ClassVar[SamplerClass] = "random"
