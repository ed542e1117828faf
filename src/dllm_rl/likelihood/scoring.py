"""Run a model on views: the one place that turns rollouts and views into log-probabilities at targets."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.decoding.sampling import log_probs, processed_logits
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood.head import LogProbs, chunked_log_probs, raw_log_probs
from dllm_rl.likelihood.packs import Pack, build_packs
from dllm_rl.likelihood.targets import Targets
from dllm_rl.records import Rollout, Sample, View

Distribution = Literal["raw", "decoding"]


def pack_states(lm: LanguageModel, pack: Pack) -> Tensor:
    """(M, H) final states at the rows that predict a pack's targets."""
    length = pack.view_length or len(pack.ids)
    layout = pack.layout.to(lm.device).reshape(-1, length)
    hidden = lm.hidden(pack.ids.to(lm.device).reshape(-1, length), layout.position, attention_for(layout))
    return hidden.flatten(0, 1)[pack.rows.to(lm.device)]


def pack_log_probs(lm: LanguageModel, pack: Pack, labels: Tensor, distribution: LogProbs = raw_log_probs) -> Tensor:
    """(M,) fp32 log-probabilities of ``labels`` (M,) at a pack's targets, differentiable; (M, k) where that is given."""
    return chunked_log_probs(pack_states(lm, pack), labels.to(lm.device), lm.head, lm.vocab_size, distribution)


def target_logprobs(lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]],
                    distribution: Distribution = "raw", max_tokens: int | None = None) -> list[list[Tensor]]:
    """Log-probabilities (nats) of the true tokens at every view's targets.

    Args:
        lm: the model.
        samples: S samples or rollouts.
        views: their views.
        distribution: ``"raw"`` = log-softmax at temperature 1; ``"decoding"`` = what each rollout was sampled from
            (its ``decoding`` settings), which replays ``Rollout.logprobs``.
        max_tokens: largest pack; everything in one pack if not given.

    Returns:
        per sample, per view (M,) float32 in the order of its targets; differentiable.

    Raises:
        ValueError: ``"decoding"`` for a sample without recorded settings, or lists that do not fit together.
    """
    packs, targets = build_packs(samples, views, lm.mask_token_id, lm.block_size, max_tokens,
                                 lm.family.logit_shift)
    values = torch.zeros(len(targets.labels), device=lm.device)
    for pack in packs:
        if distribution == "raw":
            found = pack_log_probs(lm, pack, targets.labels[pack.targets])
        else:
            found = _decoding_log_probs(lm, pack, targets, samples)
        values = values.index_copy(0, pack.targets.to(lm.device), found)
    return targets.split(values)


def _decoding_log_probs(lm: LanguageModel, pack: Pack, targets: Targets,
                        samples: Sequence[Sample | Rollout]) -> Tensor:
    """As ``pack_log_probs``, each target under the settings its rollout was decoded with."""
    states = pack_states(lm, pack)
    labels, response = targets.labels[pack.targets], targets.response[pack.targets]
    values = torch.zeros(len(labels), device=lm.device)
    for settings, members in _by_settings(samples).values():
        where = torch.isin(response, torch.tensor(members)).nonzero()[:, 0]
        if len(where):
            found = chunked_log_probs(states[where.to(lm.device)], labels[where].to(lm.device), lm.head,
                                      lm.vocab_size, _settings_log_probs(lm, settings))
            values = values.index_copy(0, where.to(lm.device), found)
    return values


def _by_settings(samples: Sequence[Sample | Rollout]) -> dict[str, tuple[RecordedDecoding, list[int]]]:
    """Decoding settings, and the numbers of the rollouts that have them, by the settings as JSON.

    Raises:
        ValueError: a sample without recorded settings, or a rollout whose record cannot be replayed.
    """
    groups: dict[str, tuple[RecordedDecoding, list[int]]] = {}
    for number, sample in enumerate(samples):
        if not isinstance(sample, Rollout) or sample.decoding is None:
            raise ValueError(f"sample {number} has no recorded decoding settings; use distribution=\"raw\"")
        if sample.decoding.replay_class != "selection":
            raise ValueError(f"sample {number} was decoded with stale or fused states (replay class "
                             f"{sample.decoding.replay_class!r}: a cache that is not exact, or guidance); its recorded "
                             "log-probabilities cannot be recomputed, use rollout.logprobs or decode with cache=none")
        groups.setdefault(sample.decoding.model_dump_json(), (sample.decoding, []))[1].append(number)
    return groups


def _settings_log_probs(lm: LanguageModel, settings: RecordedDecoding) -> LogProbs:
    def of_processed(logits: Tensor, labels: Tensor) -> Tensor:
        return log_probs(processed_logits(logits, lm.allowed_ids, settings, settings.top_p_first), labels)

    return of_processed
