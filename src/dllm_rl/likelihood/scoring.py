"""Run a model on views: the one place that turns rollouts and views into log-probabilities at targets."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from dllm_rl.attention import attention_for
from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.decoding.replay import recorded_sampler
from dllm_rl.decoding.sampling import log_probs, processed_logits
from dllm_rl.families import LanguageModel
from dllm_rl.likelihood.head import LogProbs, chunked_log_probs, raw_log_probs
from dllm_rl.likelihood.losing import losing_log_probs, step_cutoffs
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


def pack_log_probs(lm: LanguageModel, pack: Pack, targets: Targets, log_probs: LogProbs = raw_log_probs) -> Tensor:
    """(M,) fp32 log-probabilities at a pack's targets, differentiable; (M, k) where ``log_probs`` gives more figures.

    Args:
        lm: the model.
        pack: the pack.
        targets: what ``pack.targets`` are numbers of.
        log_probs: of the labels. Rivals are scored by the log-mass of losing, which is that of the settings their rollout
            was decoded with, whatever this is.
    """
    return _log_probs(lm, pack, targets, lambda settings: log_probs, [list(range(len(targets.settings)))])


def target_logprobs(lm: LanguageModel, samples: Sequence[Sample | Rollout], views: Sequence[Sequence[View]],
                    distribution: Distribution = "raw", max_tokens: int | None = None) -> list[list[Tensor]]:
    """Log-probabilities (nats) at every view's targets: of the true tokens, of labels, of having lost.

    Args:
        lm: the model.
        samples: S samples or rollouts.
        views: their views.
        distribution: ``"raw"`` = log-softmax at temperature 1; ``"decoding"`` = what each rollout was sampled from
            (its ``decoding`` settings), which replays ``Rollout.logprobs``. Rivals are scored by the latter in any case.
        max_tokens: largest pack; everything in one pack if not given.

    Returns:
        per sample, per view (M,) float32 in the order of its targets; differentiable.

    Raises:
        ValueError: ``"decoding"`` or rivals without a cutoff for a sample without recorded settings, a rival under a rule
            without a losing event, or lists that do not fit together.
    """
    packs, targets = build_packs(samples, views, lm.mask_token_id, lm.block_size, max_tokens,
                                 lm.family.logit_shift)
    values = torch.zeros(len(targets.labels), device=lm.device)
    for pack in packs:
        found = pack_log_probs(lm, pack, targets) if distribution == "raw" else decoding_log_probs(lm, pack, targets)
        values = values.index_copy(0, pack.targets.to(lm.device), found)
    return targets.split(values)


def decoding_log_probs(lm: LanguageModel, pack: Pack, targets: Targets) -> Tensor:
    """As ``pack_log_probs``, each target under the settings its rollout was decoded with."""
    return _log_probs(lm, pack, targets, partial(_settings_log_probs, lm), _by_settings(targets))


def _log_probs(lm: LanguageModel, pack: Pack, targets: Targets, log_probs_of: Callable[[RecordedDecoding | None], LogProbs],
               groups: Sequence[list[int]]) -> Tensor:
    """As ``pack_log_probs``, each group of samples (numbers) under its own distribution."""
    states, own = pack_states(lm, pack), pack.targets
    parts, places = [], []
    for members in groups:
        mine, rival = torch.isin(targets.response[own], torch.tensor(members)), targets.rival[own]
        log_probs = log_probs_of(targets.settings[members[0]])
        where = (mine & ~rival).nonzero()[:, 0]
        if len(where):
            labels = targets.labels[own[where]].to(lm.device)
            parts.append(chunked_log_probs(states[where.to(lm.device)], labels, lm.head, lm.vocab_size, log_probs))
            places.append(where)
        for rivals, cutoffs, settings in _cutoffs(lm, states, pack, targets, mine):
            parts.append(chunked_log_probs(states[rivals.to(lm.device)], cutoffs, lm.head, lm.vocab_size,
                                           losing_log_probs(recorded_sampler(lm, settings), log_probs)))
            places.append(rivals)
    found, order = torch.cat(parts), torch.cat(places)
    return found if len(places) == 1 else found[order.argsort().to(lm.device)]


def _cutoffs(lm: LanguageModel, states: Tensor, pack: Pack, targets: Targets,
             mine: Tensor) -> Iterator[tuple[Tensor, Tensor, RecordedDecoding | None]]:
    """Places in a pack of rivals among the targets ``mine`` (M,), their cutoffs, and the settings they have in common."""
    own = pack.targets
    if not (targets.rival[own] & mine).any():
        return
    for settings, members in _settings_groups(targets):
        belongs = mine & torch.isin(targets.response[own], torch.tensor(members))
        rivals = (belongs & targets.rival[own]).nonzero()[:, 0]
        if not len(rivals):
            continue
        cutoffs = targets.cutoff[own[rivals]].to(lm.device)
        if cutoffs.isnan().any():
            if settings is None:
                raise ValueError("a rival has no cutoff and its sample no recorded decoding settings, so that what it had "
                                 "to stay below is unknown; give the view a cutoff, or use rollouts with `decoding`")
            _refuse_history(members[0], settings)
            where = belongs.nonzero()[:, 0]
            labels, rival, step = (column[own[where]].to(lm.device) for column in (
                targets.labels, targets.rival, targets.step))
            by_rule = step_cutoffs(lm, states[where.to(lm.device)], labels, rival, step, settings)
            cutoffs = torch.where(cutoffs.isnan(), by_rule[rival], cutoffs)
        yield rivals, cutoffs, settings


def _settings_groups(targets: Targets) -> list[tuple[RecordedDecoding | None, list[int]]]:
    """Decoding settings, and the numbers of the samples that have them."""
    groups: dict[str, tuple[RecordedDecoding | None, list[int]]] = {}
    for number, settings in enumerate(targets.settings):
        key = "" if settings is None else settings.model_dump_json()
        groups.setdefault(key, (settings, []))[1].append(number)
    return list(groups.values())


def _by_settings(targets: Targets) -> list[list[int]]:
    """The numbers of the rollouts of every kind of settings.

    Raises:
        ValueError: a sample without recorded settings, or a rollout whose record cannot be replayed.
    """
    groups = _settings_groups(targets)
    for settings, (number, *_) in groups:
        if settings is None:
            raise ValueError(f"sample {number} has no recorded decoding settings; use distribution=\"raw\"")
        _refuse_history(number, settings)
    return [members for _, members in groups]


def _refuse_history(number: int, settings: RecordedDecoding) -> None:
    if settings.replay_class != "selection":
        raise ValueError(f"sample {number} was decoded with stale or fused states (replay class "
                         f"{settings.replay_class!r}: a cache that is not exact, or guidance); its recorded "
                         "log-probabilities cannot be recomputed, use rollout.logprobs or decode with cache=none")


def _settings_log_probs(lm: LanguageModel, settings: RecordedDecoding | None) -> LogProbs:
    assert settings is not None      # _by_settings

    def of_processed(logits: Tensor, labels: Tensor) -> Tensor:
        return log_probs(processed_logits(logits, lm.allowed_ids, settings, settings.top_p_first), labels)

    return of_processed
