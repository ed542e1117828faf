"""Do the weights agree with what their family says of them? A plain English text decides.

A wrong logit shift or attention kind raises no error anywhere: the model just predicts badly. Here some tokens of a text
are masked, and the family's reading of the weights is compared with the other three (logit shift 0 or 1; block-causal or
full attention) by the log-probability of the masked tokens.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.families.language_model import LanguageModel

TEXT = ("The boy went down to the river with his dog. It was a warm day and the water was clear. "
        "He sat under a big tree, ate an apple, and looked at the boats on the water until the sun went down.")
MAX_TOKENS = 64
MASK_EVERY = 3
MIN_MASKED = 4
MARGIN = 1.0
"""Nats per token by which a reading must beat uniform guessing, and another one the family's, to count."""
STANDARD_ERRORS = 3.0
_BLOCK = 4

Reading = tuple[int, Literal["block", "full"]]


def check_predictions(lm: LanguageModel) -> str | None:
    """Compare the family's reading of the weights with the other logit shift and the other attention kind.

    Every third of the first 64 tokens of ``TEXT`` is masked. Another reading is clearly better if its mean log-probability
    of the masked tokens is ``MARGIN`` nats above uniform guessing, and above the family's by ``MARGIN`` and by three
    standard errors of the difference. If several are, the one with the fewest changes is named, then the best one. The
    block-causal reading of a full-attention family has blocks of 4.

    Cost: two forwards of at most 64 tokens.

    Returns:
        One line with the figures; ``None`` where nothing can be said: no tokenizer, a text of too few tokens, or weights
        that predict no better than uniform guessing, such as fresh ones or ones of another language.

    Raises:
        ValueError: another reading of the weights is clearly better; names both figures.
    """
    ids = text_ids(lm)
    if ids is None:
        return None
    size = lm.block_size or _BLOCK
    scores: dict[Reading, Tensor] = {**_scores(lm, ids, "block", size), **_scores(lm, ids, "full", "full")}
    own: Reading = (lm.family.logit_shift, lm.family.attention)
    uniform = -math.log(lm.vocab_size)
    better = [other for other in scores if float(scores[other].mean()) >= uniform + MARGIN
              and clearly_above(scores[other], scores[own])]
    if better:
        best = min(better, key=lambda other: (len(_changes(own, other)), -float(scores[other].mean())))
        raise ValueError(
            f"a wrong {' and '.join(_changes(own, best))}: as family {lm.family.name!r} the checkpoint is read with "
            f"{_words(own)}, which gives masked words of plain English a mean log-probability of "
            f"{float(scores[own].mean()):.2f} per token; {_words(best)} gives {float(scores[best].mean()):.2f} (uniform "
            f"guessing {uniform:.2f}). Does model_type in config.json name the right family?")
    if float(scores[own].mean()) < uniform + MARGIN:
        return None
    return f"{_words(own)}: {float(scores[own].mean()):.2f} nats per masked token (uniform guessing {uniform:.2f})"


def text_ids(lm: LanguageModel) -> Tensor | None:
    """(L,) ids of the text; ``None`` if there is no tokenizer, or they are too few or outside the vocabulary."""
    if lm.tokenizer is None:
        return None
    ids = torch.tensor(lm.tokenizer(TEXT, add_special_tokens=False)["input_ids"][:MAX_TOKENS])
    return None if len(ids) < MASK_EVERY * MIN_MASKED or int(ids.max()) >= lm.vocab_size else ids


@torch.no_grad()
def _scores(lm: LanguageModel, ids: Tensor, kind: Literal["block", "full"],
            blocks: int | Literal["full"]) -> dict[Reading, Tensor]:
    """(M,) log-probabilities of the M masked tokens, read with either shift, from one forward."""
    places = torch.arange(MASK_EVERY - 1, len(ids), MASK_EVERY)
    shown = ids.clone()
    shown[places] = lm.mask_token_id
    layout = lm.row_layout(torch.ones(1, len(ids), dtype=torch.bool, device=lm.device), blocks)
    hidden = lm.hidden(shown[None].to(lm.device), layout.position, attention_for(layout))[0]
    true = ids[places].to(lm.device)
    return {(shift, kind): lm.head(hidden[places - shift]).log_softmax(-1).gather(1, true[:, None])[:, 0].cpu()
            for shift in (0, 1)}


def clearly_above(other: Tensor, own: Tensor) -> bool:
    """Whether (M,) log-probabilities are on average ``MARGIN`` and three standard errors above those of the family."""
    gain = other - own
    return float(gain.mean()) >= max(MARGIN, STANDARD_ERRORS * float(gain.std()) / math.sqrt(len(gain)))


def _changes(own: Reading, other: Reading) -> list[str]:
    return [word for word, ours, theirs in zip(("shift", "attention kind"), own, other, strict=True) if ours != theirs]


def _words(reading: Reading) -> str:
    return f"logit shift {reading[0]} and {'block-causal' if reading[1] == 'block' else 'full'} attention"
