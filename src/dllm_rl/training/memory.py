"""How many bytes a run needs, from the sizes of a model: exact where tensors are known, bounds where a kernel decides.

Not counted: what a kernel works in, the prompt pass of a rollout, the allocator's waste, and libraries.

Letters: H hidden size, I size of the gated MLP, A and K width of all query and of all key/value heads, V vocabulary,
N tokens of a pass, e bytes per number of the weights' dtype.
"""

from dataclasses import dataclass

import torch

from dllm_rl.attention.choice import SHORT
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood.head import CHUNK_LOGITS

FLOAT32 = 4
"""Bytes of a float32."""

CHUNK_COPIES = 4
"""Copies of a chunk of logits at the peak of its backward pass: the logits, the gradient of the labels' logits, and two for
the gradient of the log-sum-exp (4.2 measured on a CPU)."""

DRAW_BYTES, NUCLEUS_BYTES = 24, 44
"""Bytes per logit while a candidate is drawn (logits and processed logits in float32, probabilities and their sums in
float64), and while top-p sorts."""


@dataclass(frozen=True)
class ModelSizes:
    """What memory depends on.

    Attributes:
        parameters: weights, those shared between matrices counted once.
        bytes_per_weight: e.
        layers, hidden, intermediate: decoder layers, H, I; of a mixture of experts I of those a token passes through.
        queries, keys: A and K.
        vocabulary: V.
        positions: largest sequence.
    """

    parameters: int
    bytes_per_weight: int
    layers: int
    hidden: int
    intermediate: int
    queries: int
    keys: int
    vocabulary: int
    positions: int

    @property
    def weights(self) -> int:
        """Bytes of the weights."""
        return self.parameters * self.bytes_per_weight

    @property
    def checkpoint(self) -> int:
        """Bytes of a checkpoint to go on from: float32 weights and two moments."""
        return 3 * FLOAT32 * self.parameters

    @property
    def is_rounded(self) -> bool:
        """Whether the weights are the rounded form of float32 masters."""
        return self.bytes_per_weight < FLOAT32


def model_sizes(lm: LanguageModel) -> ModelSizes:
    """The sizes of a model, which may lie on the meta device."""
    config = lm.backbone.config
    settings = config.to_dict()
    head = settings.get("head_dim") or config.hidden_size // config.num_attention_heads
    active = settings.get("num_experts_per_tok", 0) * settings.get("moe_intermediate_size", 0)
    return ModelSizes(
        parameters=sum(weight.numel() for weight in lm.backbone.parameters()),
        bytes_per_weight=torch.finfo(lm.dtype).bits // 8,
        layers=lm.num_layers, hidden=config.hidden_size, intermediate=active or config.intermediate_size,
        queries=config.num_attention_heads * head, keys=config.num_key_value_heads * head,
        vocabulary=lm.vocab_size, positions=config.max_position_embeddings)


def activation_bytes(sizes: ModelSizes, num_tokens: int) -> int:
    """What autograd keeps of one pass through a Qwen3 backbone; nothing is recomputed but chunks of attention.

    The other families' layers keep no more.

    Per token and layer: of each of the two norms H float32 inputs, H normalised and H scaled values, ``2 H (4 + 2e)``;
    of queries and keys the same for their norms, the scaled values being rotated, ``(A + K) (4 + 2e)``; values ``K e``;
    the output of attention ``A e``; of the MLP gate, its activation, up and their product, ``4 I e``. Per token the final
    norm, ``H (4 + 2e)``. A row that is short enough for dense attention also keeps its mask in every layer, ``N N e``.
    """
    size, normed = sizes.bytes_per_weight, FLOAT32 + 2 * sizes.bytes_per_weight
    layer = (normed * (2 * sizes.hidden + sizes.queries + sizes.keys)
             + size * (sizes.keys + sizes.queries + 4 * sizes.intermediate))
    masks = sizes.layers * num_tokens * num_tokens * size if num_tokens <= SHORT else 0
    return num_tokens * (sizes.layers * layer + sizes.hidden * normed) + masks


def head_bytes(sizes: ModelSizes, num_targets: int) -> int:
    """The output matrix during training: the copies of one chunk of logits, and the matrix's gradient of that chunk.

    Weights stored in less than float32 are also held as a float32 copy.
    """
    rows = min(num_targets, max(1, CHUNK_LOGITS // sizes.vocabulary))
    matrices = 2 if sizes.is_rounded else 1
    return FLOAT32 * sizes.vocabulary * (CHUNK_COPIES * rows + matrices * sizes.hidden)


def training_bytes(sizes: ModelSizes, device: str, num_tokens: int, num_targets: int) -> tuple[dict[str, int], int]:
    """What training holds beside the weights, and its peak.

    AdamW keeps two float32 moments, and the float32 masters of weights that are stored in less. Gradients are
    accumulated in float32 whatever the weights are. An update on CUDA takes all weights at once and holds the roots of
    all variances meanwhile, when activations are gone.

    Args:
        sizes: of the model.
        device: where it is trained.
        num_tokens: N of the largest micro-batch.
        num_targets: targets in it.

    Returns:
        bytes by part, and the largest sum of weights and parts that exist at one time.
    """
    parts = {"optimiser": sizes.parameters * FLOAT32 * (3 if sizes.is_rounded else 2),
             "gradients": sizes.parameters * FLOAT32,
             "activations": activation_bytes(sizes, num_tokens),
             "output matrix, one chunk": head_bytes(sizes, num_targets)}
    if torch.device(device).type == "cuda":
        parts["step of the optimiser"] = sizes.parameters * FLOAT32
    passing = max(parts["activations"] + parts["output matrix, one chunk"], parts.get("step of the optimiser", 0))
    return parts, sizes.weights + parts["optimiser"] + parts["gradients"] + passing


def decoding_bytes(sizes: ModelSizes, decoding: DecodingConfig, num_rows: int, num_slots: int,
                   block_size: int) -> dict[str, int]:
    """What decoding holds beside the weights.

    Args:
        sizes: of the model.
        decoding: for its filters.
        num_rows: sequences decoded together.
        num_slots: positions per sequence.
        block_size: positions denoised together.

    Returns:
        the key/value cache, allocated at once: ``2 K e`` per layer, sequence and slot; and at one step the logits
        of all masked positions with what a draw makes of them, besides a float32 copy of an output matrix that is
        stored in less.
    """
    matrix = FLOAT32 * sizes.vocabulary * sizes.hidden if sizes.is_rounded else 0
    per_logit = NUCLEUS_BYTES if decoding.top_p < 1 else DRAW_BYTES
    return {"key/value cache": sizes.layers * 2 * sizes.keys * sizes.bytes_per_weight * num_rows * num_slots,
            "logits of one decoding step": num_rows * block_size * sizes.vocabulary * per_logit + matrix}
