"""Toy models: a network of a few hundred weights behind the interface of a language model.

A token's features are the one-hot positions and ids of all it attends to, summed: that is attention with equal weights,
computed by whichever form of the library's attention rule it is handed. Twelve tanh units of them give the logits of
every response position.

Letters: P response positions, V ids (symbols, then the mask), F features, H units, N tokens, M rows, D weights.
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from dllm_rl.attention import AttentionContext
from dllm_rl.families import LanguageModel
from dllm_rl.registry import FAMILIES

NUM_UNITS = 12
NUM_PROMPT = 2
"""Prompt tokens: one block of the block toys, so that responses begin on the grid."""

NEVER = -30.0
"""Logit of the mask: no toy ever predicts it, so that the plain softmax is the decoding distribution at temperature 1."""


@dataclass(frozen=True)
class ToyShape:
    """The size of a toy.

    Attributes:
        num_positions: P.
        num_symbols: V - 1.
        block_size: of a block family; ``None`` for full attention.
        num_tail: how many of the positions are decoded behind the end of the response, as its hidden tail.

    Example: ``ToyShape(4, 3)`` has four positions of three symbols, every one of which sees every other.
    """

    num_positions: int
    num_symbols: int
    block_size: int | None = None
    num_tail: int = 0

    @property
    def num_visible(self) -> int:
        """Response tokens that a reward sees."""
        return self.num_positions - self.num_tail

    @property
    def mask_token_id(self) -> int:
        """Behind the symbols."""
        return self.num_symbols

    @property
    def prompt_ids(self) -> list[int]:
        """The one prompt."""
        return [0] * NUM_PROMPT


class ToyNetwork(nn.Module):
    """The network, with as much of a transformers model's interface as is called."""

    def __init__(self, shape: ToyShape, seed: int) -> None:
        """Draw weights: standard normal from inputs, and over the root of the units from them."""
        super().__init__()
        self._shape, self._num_ids = shape, shape.num_symbols + 1
        generator = torch.Generator().manual_seed(seed)

        def normal(*size: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*size, generator=generator, dtype=torch.float64))

        self.inner = normal(shape.num_positions * self._num_ids, NUM_UNITS, scale=INNER_SCALE)
        self.inner_bias = normal(NUM_UNITS, scale=INNER_SCALE)
        self.outer = normal(shape.num_positions, NUM_UNITS, shape.num_symbols, scale=OUTER_SCALE)
        self.outer_bias = normal(shape.num_positions, shape.num_symbols, scale=OUTER_SCALE)
        self._unembedding = nn.Embedding.from_pretrained(torch.eye(self._num_ids), freeze=True)
        self.config = SimpleNamespace(vocab_size=self._num_ids, num_hidden_layers=1, max_position_embeddings=1024)
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.tape: list[tuple[Tensor, Tensor, Tensor]] = []
        """Per forward with gradients of B rows: (B * N, F) features, (B * N,) response positions and (B, N, V) logits."""

    def get_decoder(self) -> "ToyNetwork":
        """The layers: all of it."""
        return self

    def get_output_embeddings(self) -> nn.Module:
        """The identity: final states are logits already."""
        return self._unembedding

    def forward(self, input_ids: Tensor, position_ids: Tensor, attention_context: AttentionContext,
                use_cache: bool) -> SimpleNamespace:
        """(B, N) ids and positions to (B, N, V) logits as ``last_hidden_state``."""
        length = NUM_PROMPT + 2 * self._shape.num_positions      # positions of a last block's tail included
        seen = torch.nn.functional.one_hot(position_ids * self._num_ids + input_ids, length * self._num_ids)
        values = seen.to(torch.float64)[:, None]
        mean = attention_context.attend(0, torch.zeros_like(values), torch.zeros_like(values), values, 1.0)[:, 0]
        total = mean / mean[..., :self._num_ids].sum(-1, keepdim=True)      # the first token, which everybody sees once
        begin = NUM_PROMPT * self._num_ids
        features = total[..., begin:begin + self.inner.shape[0]].detach()
        place = (position_ids - NUM_PROMPT).clamp(0, self._shape.num_positions - 1)
        logits = self.logits(features, place)
        if logits.requires_grad:
            logits.retain_grad()
            self.tape.append((features.flatten(0, 1), place.flatten(), logits))
        return SimpleNamespace(last_hidden_state=logits)

    def logits(self, features: Tensor, place: Tensor) -> Tensor:
        """(..., F) features and (...) response positions to (..., V) logits."""
        units = torch.tanh(features @ self.inner + self.inner_bias)
        found = torch.einsum("...h,...hv->...v", units, self.outer[place]) + self.outer_bias[place]
        return torch.nn.functional.pad(found, (0, 1), value=NEVER)

    @torch.no_grad()
    def row_gradients(self, features: Tensor, place: Tensor, upstream: Tensor) -> Tensor:
        """(M, D) gradient of each row's logits times ``upstream`` (M, V), in the order of ``parameters()``."""
        units, given = torch.tanh(features @ self.inner + self.inner_bias), upstream[:, :-1]
        back = torch.einsum("mhv,mv->mh", self.outer[place], given) * (1 - units.square())
        where = torch.nn.functional.one_hot(place, self._shape.num_positions).to(given)
        parts = [torch.einsum("mf,mh->mfh", features, back), back,
                 torch.einsum("mp,mh,mv->mphv", where, units, given), torch.einsum("mp,mv->mpv", where, given)]
        return torch.cat([part.flatten(1) for part in parts], dim=1)


INNER_SCALE = 1.0
OUTER_SCALE = 1.0


def toy_model(shape: ToyShape, seed: int) -> LanguageModel:
    """A toy as a model of the family ``sdar`` (blocks) or ``llada`` (full attention), without tokenizer and stop tokens."""
    family = FAMILIES.load("llada" if shape.block_size is None else "sdar")
    network = ToyNetwork(shape, seed)
    return LanguageModel(family, network, None, mask_token_id=shape.num_symbols,  # type: ignore[arg-type]
                         pad_token_id=None, eos_token_id=None, block_size=shape.block_size, published={})
