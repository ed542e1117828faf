"""The public call and the engine of the readable path."""

import copy
from dataclasses import replace

import pytest
import torch

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import BlockDecoder, LocalDecoder, generate
from dllm_rl.decoding.canvas_decoder import CanvasDecoder
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.families import LanguageModel
from dllm_rl.records import Engine, Rollout

CONFIG = DecodingConfig(max_gen_length=8, dynamic_threshold=0.3, seed=11)


def copied(lm: LanguageModel) -> LanguageModel:
    """The same model with weights of its own."""
    return replace(lm, backbone=copy.deepcopy(lm.backbone))


def ids(groups: list[list[Rollout]]) -> list[list[list[int]]]:
    return [[rollout.response_ids for rollout in group] for group in groups]


def test_groups_come_in_the_order_of_the_prompts(lm: LanguageModel) -> None:
    prompts = [[1, 2, 3, 4, 5], [6], [7, 8]]
    groups = generate(lm, prompts, CONFIG, num_samples=3)
    assert [[rollout.prompt_ids for rollout in group] for group in groups] == [[prompt] * 3 for prompt in prompts]
    assert len({tuple(rollout.response_ids) for group in groups for rollout in group}) == 9


def test_a_prompt_gets_the_same_responses_in_any_company(lm: LanguageModel) -> None:
    first, second, third = [1, 2, 3, 4, 5], [6], [7, 8]
    groups = ids(generate(lm, [first, second, third], CONFIG, num_samples=2))
    assert ids(generate(lm, [third, first, second], CONFIG, num_samples=2)) == [groups[2], groups[0], groups[1]]
    assert ids(generate(lm, [second], CONFIG, num_samples=2)) == [groups[1]]
    assert ids(generate(lm, [second], CONFIG)) == [groups[1][:1]]
    assert ids(generate(lm, [second], CONFIG.model_copy(update={"seed": 12}))) != [groups[1][:1]]


def test_recorded_seeds_give_the_same_responses(lm: LanguageModel) -> None:
    groups = generate(lm, [[1, 2], [6]], CONFIG, num_samples=2)
    seeds = [[rollout.seed for rollout in group] for group in groups]
    assert ids(generate(lm, [[1, 2], [6]], DecodingConfig(max_gen_length=8, dynamic_threshold=0.3), 2, seeds)) == ids(
        groups)


def test_text_and_ids_of_a_prompt_decode_alike(speaking_lm: LanguageModel) -> None:
    assert ids(generate(speaking_lm, ["w3 w4"], CONFIG)) == ids(generate(speaking_lm, [[3, 4]], CONFIG))


def test_top_k_beyond_the_vocabulary_is_refused(lm: LanguageModel, full_lms: dict) -> None:
    for own in (lm, full_lms["llada"]):
        with pytest.raises(ValueError, match="top_k 513 is larger than the vocabulary of 512 ids"):
            generate(own, [[1]], DecodingConfig(top_k=513))


class Echo:
    """A user's decoder."""

    def __init__(self, lm: LanguageModel, config: DecodingConfig, version: int) -> None:
        self._version = version

    def decode(self, requests: list, watch: object = None) -> list[Rollout]:
        return [Rollout(request.prompt_ids, request.prompt_ids, [1] * len(request.prompt_ids)) for request in requests]


class Mute:
    """What could be made like a decoder and is none."""

    def __init__(self, lm: LanguageModel, config: DecodingConfig, version: int) -> None:
        pass


NOT_EVEN_CALLABLE = 3


def test_every_family_has_its_decoder_and_a_user_may_bring_one(lm: LanguageModel, full_lms: dict) -> None:
    assert isinstance(load_decoder(lm, DecodingConfig()), BlockDecoder)
    for full in full_lms.values():
        assert isinstance(load_decoder(full, DecodingConfig()), CanvasDecoder)
    assert ids(generate(lm, [[1, 2]], DecodingConfig(decoder=f"{__name__}:Echo"))) == [[[1, 2]]]


@pytest.mark.parametrize(("name", "message"), [
    ("NOT_EVEN_CALLABLE", r"NOT_EVEN_CALLABLE' is no decoder: it cannot be called as \(lm, config, version\)"),
    ("ids", r"ids' is no decoder: it cannot be called as \(lm, config, version\), too many positional arguments"),
    ("Mute", r"Mute' is no decoder: what it makes has no decode\(requests, watch\)"),
    ("Ekho", "has no object 'Ekho'; did you mean 'Echo'"),
])
def test_what_is_no_decoder_is_refused(lm: LanguageModel, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_decoder(lm, DecodingConfig(decoder=f"{__name__}:{name}"))


@pytest.mark.parametrize("name", ["Echo", "ids", "LocalDecoder"])
def test_what_is_no_strategy_is_refused(lm: LanguageModel, full_lms: dict, name: str) -> None:
    for own in (lm, full_lms["dream"]):
        with pytest.raises(ValueError, match=f"{name}' is no unmasking strategy; name a class that derives from"):
            load_decoder(own, DecodingConfig(remasking_strategy=f"{__name__}:{name}"))


def test_new_weights_arrive_in_place_and_are_noted(lm: LanguageModel) -> None:
    own, other = copied(lm), copied(lm)
    with torch.no_grad():
        for parameter in other.backbone.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)) * 0.1)
    engine: Engine = LocalDecoder(own)
    places = [parameter.data_ptr() for parameter in own.backbone.parameters()]
    before = engine.generate([[1, 2]], CONFIG)
    assert before[0][0].weight_versions[0] == 0
    engine.load_weights(other.backbone.named_parameters(), version=5)
    after = engine.generate([[1, 2]], CONFIG)
    assert set(after[0][0].weight_versions) == {5}
    assert ids(after) == ids(generate(other, [[1, 2]], CONFIG)) != ids(before)
    assert [parameter.data_ptr() for parameter in own.backbone.parameters()] == places
    assert all(parameter.requires_grad for parameter in own.backbone.parameters())


@pytest.mark.parametrize(("name", "shape", "message"), [
    ("lm_head.weigth", (512, 64), "the model has no weight 'lm_head.weigth'; did you mean 'lm_head.weight'?"),
    ("lm_head.weight", (511, 64), r"weight 'lm_head.weight' has shape \(511, 64\), the model's is \(512, 64\)"),
])
def test_weights_that_do_not_fit_are_named(lm: LanguageModel, name: str, shape: tuple, message: str) -> None:
    engine = LocalDecoder(copied(lm))
    with pytest.raises(ValueError, match=message):
        engine.load_weights([(name, torch.zeros(shape))], version=1)
    assert engine.version == 0
