"""Weights that contradict their family are caught; right ones pass; fresh ones say nothing."""

from dataclasses import replace
from typing import Literal

import pytest
import torch

from dllm_rl.families import LanguageModel, create_model
from dllm_rl.families.byte_tokenizer import byte_tokenizer
from dllm_rl.families.sanity import TEXT, check_predictions, clearly_above, text_ids
from dllm_rl.registry import FAMILIES
from tests.families.checkpoints import SIZES, learn, tiny

FIGURE = r"-\d+\.\d\d"


@pytest.fixture(scope="module")
def trained() -> dict[str, LanguageModel]:
    """Models that know the text: about a second each."""
    models = {name: tiny(name, tokenizer=True) for name in sorted(FAMILIES)}
    for lm in models.values():
        learn(lm, TEXT, steps=120)
    return models


def read_as(lm: LanguageModel, *, shift: int | None = None,
            attention: Literal["block", "full"] | None = None) -> LanguageModel:
    family = replace(lm.family, logit_shift=lm.family.logit_shift if shift is None else shift,
                     attention=attention or lm.family.attention)
    return replace(lm, family=family)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_fresh_weights_say_nothing(name: str) -> None:
    for seed in range(3):
        lm = tiny(name, tokenizer=True, seed=seed)
        for shift in (0, 1):
            assert check_predictions(read_as(lm, shift=shift)) is None


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_the_right_family_passes_and_says_its_figure(name: str, trained: dict[str, LanguageModel]) -> None:
    lm = trained[name]
    said = check_predictions(lm)
    kind = "block-causal" if lm.block_size else "full"
    assert said is not None
    assert said.startswith(f"logit shift {lm.family.logit_shift} and {kind} attention: -0.")
    assert said.endswith("(uniform guessing -5.58)")      # log 264


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_wrong_shift_is_caught(name: str, trained: dict[str, LanguageModel]) -> None:
    lm = trained[name]
    right = lm.family.logit_shift
    with pytest.raises(ValueError, match=rf"a wrong shift: as family '{name}' .* logit shift {1 - right} and .* "
                                         rf"{FIGURE} per token; logit shift {right} and .* gives {FIGURE}"):
        check_predictions(read_as(lm, shift=1 - right))


@pytest.mark.parametrize(("name", "wrong"), [("sdar", "full"), ("sdar_moe", "full"), ("llada", "block")])
def test_a_wrong_attention_kind_is_caught(name: str, wrong: Literal["block", "full"],
                                          trained: dict[str, LanguageModel]) -> None:
    with pytest.raises(ValueError, match=r"a wrong attention kind: as family .* model_type in config.json"):
        check_predictions(read_as(trained[name], attention=wrong))


def test_both_wrong_are_named_together(trained: dict[str, LanguageModel]) -> None:
    with pytest.raises(ValueError, match="a wrong shift and attention kind: "):
        check_predictions(read_as(trained["sdar"], shift=1, attention="full"))


@pytest.mark.parametrize(("gains", "is_clear"), [
    ([1.0] * 16, True),
    ([0.99] * 16, False),                      # less than a nat
    ([2.0 + 2.0, 2.0 - 2.0] * 8, True),        # standard error 0.52: 2.0 is above three of them
    ([1.4 + 2.0, 1.4 - 2.0] * 8, False),       # and 1.4 is not
    ([-2.0] * 16, False),
])
def test_what_is_clearly_better(gains: list[float], is_clear: bool) -> None:
    own = torch.linspace(-5, -1, len(gains))
    assert clearly_above(own + torch.tensor(gains) + 1e-5, own) is is_clear


def test_another_reading_must_beat_uniform_guessing_too() -> None:
    """A model of another language may find one reading less bad than the other; that says nothing."""
    lm = tiny("llada", tokenizer=True)
    learn(lm, "0123456789" * 7, steps=60)
    for shift in (0, 1):
        assert check_predictions(read_as(lm, shift=shift)) is None


def test_without_a_usable_text_nothing_is_said(trained: dict[str, LanguageModel]) -> None:
    wrong = read_as(trained["dream"], shift=0)
    assert check_predictions(replace(wrong, tokenizer=None)) is None
    small = create_model("dream", SIZES["dream"] | {"vocab_size": 60}, byte_tokenizer(), {"mask": 1, "pad": 0, "eos": 0},
                         None)
    assert text_ids(small) is None     # the letters have ids of 60 and more
    assert text_ids(wrong).tolist() == wrong.tokenizer(TEXT)["input_ids"][:64]
