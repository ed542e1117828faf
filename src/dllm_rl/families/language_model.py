"""A checkpoint ready to run: backbone, tokenizer, special ids, and the family that says how to read it.

Letters: B rows, L or N positions, H hidden size, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import linear
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dllm_rl.attention import AttentionContext, attention_for
from dllm_rl.families.backbone import backbone_settings, hidden_states
from dllm_rl.families.family import Family
from dllm_rl.families.saving import Weights, modelling_files, save_checkpoint
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT


@dataclass
class LanguageModel:
    """A diffusion language model.

    Attributes:
        family: attention kind, logit shift, prompt formats, published names.
        backbone: the stock transformers model.
        tokenizer: ``None`` if the checkpoint has none.
        mask_token_id, pad_token_id, eos_token_id: special ids; the last two may be ``None``.
        block_size: the checkpoint's block size; ``None`` for full attention.
        published: ``config.json`` as read, the base of what is saved.
        source: folder it was read from; ``None`` for a model made here.
    """

    family: Family
    backbone: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    mask_token_id: int
    pad_token_id: int | None
    eos_token_id: int | None
    block_size: int | None
    published: dict[str, Any]
    source: Path | None = None

    def __post_init__(self) -> None:
        for name in ("mask_token_id", "eos_token_id", "pad_token_id"):
            token = vars(self)[name]
            if token is not None and not 0 <= token < self.vocab_size:
                raise ValueError(f"{name} {token} is outside the vocabulary of {self.vocab_size} ids")
        allowed = torch.zeros(self.vocab_size, dtype=torch.bool)
        known = range(self.vocab_size) if self.tokenizer is None else self.tokenizer.get_vocab().values()
        allowed[[token for token in known if token < self.vocab_size]] = True
        allowed[self.mask_token_id] = False
        self.allowed_ids = allowed.to(self.device)
        """(V,) bool: the ids a decoder may draw, which are the tokenizer's own but the mask."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.backbone.dtype

    @property
    def vocab_size(self) -> int:
        """Rows of the output matrix, which may exceed the tokenizer's vocabulary."""
        return int(self.backbone.config.vocab_size)

    @property
    def num_layers(self) -> int:
        """Decoder layers."""
        return int(self.backbone.config.num_hidden_layers)

    @property
    def training_blocks(self) -> int | Literal["full"]:
        """The blocks views are built on: the checkpoint's own size, or ``"full"`` for full attention."""
        return "full" if self.block_size is None else self.block_size

    @property
    def stop_token_ids(self) -> list[int]:
        """Eos and the family's turn-end tokens that the tokenizer has."""
        vocabulary = {} if self.tokenizer is None else self.tokenizer.get_vocab()
        ends = [vocabulary[token] for token in self.family.stop_tokens if token in vocabulary]
        return list(dict.fromkeys([*([] if self.eos_token_id is None else [self.eos_token_id]), *ends]))

    def hidden(self, input_ids: Tensor, position_ids: Tensor, attention: AttentionContext) -> Tensor:
        """Run the layers.

        Args:
            input_ids: (B, N) int64.
            position_ids: (B, N) int64, for the rotary embedding.
            attention: who attends to whom.

        Returns:
            (B, N, H) states after the final norm, in the weights' dtype.
        """
        return hidden_states(self.backbone, input_ids, position_ids, attention)

    def head(self, hidden: Tensor) -> Tensor:
        """The output matrix in fp32: (..., H) states to (..., V) logits, not shifted."""
        weight = self.backbone.get_output_embeddings().weight
        return linear(hidden.float(), weight.float())

    def logits(self, input_ids: Tensor, attention_mask: Tensor | None = None,
               block_size: int | Literal["full"] | None = None) -> Tensor:
        """Predict every position of whole sequences.

        Args:
            input_ids: (B, L) int64.
            attention_mask: (B, L), 1 = real token; pads neither attend nor are attended to. All real if not given.
            block_size: ``None`` = the checkpoint's own, ``"full"`` = every token sees every token, or a number
                (1 = causal). Blocks count from the first real token.

        Returns:
            (B, L, V) fp32; ``logits[:, i]`` predicts token i, the family's shift applied; a first real token without a
            token before it takes its own logits. Undefined at pads.

        Raises:
            ValueError: shapes differ, ids are outside the vocabulary, or the block size is below 1.
        """
        self._check_input(input_ids, attention_mask)
        real = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        real = real.to(self.device).bool()
        layout = self.row_layout(real, block_size)
        hidden = self.hidden(input_ids.to(self.device), layout.position, attention_for(layout))
        place = torch.arange(real.shape[1], device=self.device)
        source = torch.maximum(place - self.family.logit_shift, real.long().argmax(1, keepdim=True))
        return self.head(hidden.gather(1, source[..., None].expand_as(hidden)))

    def _check_input(self, input_ids: Tensor, attention_mask: Tensor | None) -> None:
        if input_ids.dim() != 2 or input_ids.numel() == 0:
            raise ValueError(f"input_ids must have shape (B, L) with B, L >= 1, got {tuple(input_ids.shape)}")
        if attention_mask is not None and attention_mask.shape != input_ids.shape:
            raise ValueError(f"attention_mask has shape {tuple(attention_mask.shape)}, input_ids "
                             f"{tuple(input_ids.shape)}; they must be equal")
        low, high = int(input_ids.min()), int(input_ids.max())
        if low < 0 or high >= self.vocab_size:
            raise ValueError(f"input_ids span {low}..{high}, the vocabulary is 0..{self.vocab_size - 1}")

    def row_layout(self, real: Tensor, block_size: int | Literal["full"] | None = None) -> Layout:
        """(B, L) layout of whole sequences, from what is a real token, (B, L) bool, and the blocks as in ``logits``."""
        size = self.block_size if block_size is None else block_size
        if isinstance(size, int) and size < 1:
            raise ValueError(f"block_size {size} is not allowed; give 1 (causal) or more, or \"full\"")
        count = torch.arange(1, real.shape[1] + 1, device=real.device).expand(real.shape)
        position = torch.where(real, real.long().cumsum(1) - 1, 1)
        block = torch.zeros_like(position) if size is None or size == "full" else position // size
        return Layout(position=position, doc=torch.where(real, 0, count), parent=torch.full_like(position, NO_PARENT),
                      view=torch.zeros_like(position), block=torch.where(real, block, 0))

    def published_config(self, dtype: torch.dtype | None = None) -> dict[str, Any]:
        """``config.json`` as upstream's loaders read it: the source's own keys, and what this model changed of them.

        A model made here gets the backbone's settings under transformers-4 names (``rope_theta``, ``torch_dtype``).
        ``auto_map`` stays only if the source brought the modelling files it points to.
        """
        made_here: dict[str, Any] = {}
        if self.source is None:
            made_here = {"vocab_size": self.vocab_size} if self.family.config_names else backbone_settings(self.backbone)
        ids = {"mask_token_id": self.mask_token_id, "eos_token_id": self.eos_token_id, "block_size": self.block_size,
               "pad_token_id": None if self.source else self.pad_token_id}
        config = {**made_here, **self.published, "torch_dtype": str(dtype or self.dtype).removeprefix("torch."),
                  **{key: value for key, value in ids.items() if value is not None}}
        if not modelling_files(self.source):
            config.pop("auto_map", None)
        return config

    def save(self, path: str | Path, dtype: torch.dtype | None = None, *, max_shard_size: str = "5GB",
             card: str | None = None, masters: Mapping[str, Tensor] | None = None) -> None:
        """Write the checkpoint in the published format.

        Args:
            path: folder to write.
            dtype: what the weights are cast to; as they are if not given.
            max_shard_size: largest weight file, such as ``"5GB"`` or ``"200MB"``.
            card: text of ``README.md``; the source's own if not given.
            masters: more precise tensors to store in place of the backbone's, by its names.

        Errors as in ``families.saving.save_checkpoint``.
        """
        weights = Weights(self.backbone, dtype or self.dtype, max_shard_size, masters or {})
        save_checkpoint(path, weights, self.published_config(dtype), self.tokenizer, self.source, card)
