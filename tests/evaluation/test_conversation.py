"""Conversations: what the model is given, and which turns go when they do not fit."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from dllm_rl.config.chat import ChatConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.evaluation.conversation import Turn, answer_text, fitted, renderer
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout

CHATML = ("{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
          "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")
REFUSES = "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}{{ messages[0].content }}"
TURNS = [Turn("q1", "a1"), Turn("q2", "a2")]


def configured(**options: object) -> ChatConfig:
    return ChatConfig(model={"path": "x"}, **options)


@pytest.fixture
def template(lm: LanguageModel) -> Iterator[LanguageModel]:
    """The model while its tokenizer has a chat template."""
    lm.tokenizer.chat_template = CHATML
    yield lm
    lm.tokenizer.chat_template = None


def test_the_chat_template_marks_the_turns(template: LanguageModel) -> None:
    text = renderer(template, configured(system="Be brief."))(TURNS[:1], "q2")
    assert text == ("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nq1<|im_end|>\n<|im_start|>assistant\na1"
                    "<|im_end|>\n<|im_start|>user\nq2<|im_end|>\n<|im_start|>assistant\n")
    assert renderer(template, configured())([], "{{q}}") == (
        "<|im_start|>user\n{{q}}<|im_end|>\n<|im_start|>assistant\n")


def test_a_template_renders_single_turns_and_joins_them(template: LanguageModel) -> None:
    render = renderer(template, configured(system="S", prompt={"template": "Q: {problem}\nA: "}))
    assert render(TURNS, "q3 {problem}") == "S\nQ: q1\nA: a1\nQ: q2\nA: a2\nQ: q3 {problem}\nA: "
    assert renderer(template, configured(prompt={"template": "{problem}="}))([], "1") == "1="


@pytest.mark.parametrize(("options", "message"), [
    ({}, r"the tokenizer has no chat template, .* set prompt\.template to the text of one turn"),
    ({"prompt": {"template": "Q:"}}, r"the prompt template 'Q:' has no \{problem\}; write \{problem\}"),
])
def test_a_format_is_needed(options: dict, message: str, lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match=message):
        renderer(lm, configured(**options))


def test_a_tokenizer_is_needed(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="the checkpoint has no tokenizer, without which it cannot chat"):
        renderer(replace(lm, tokenizer=None), configured())


def test_a_chat_template_may_refuse(template: LanguageModel) -> None:
    template.tokenizer.chat_template = REFUSES
    assert renderer(template, configured())([], "q") == "q"
    with pytest.raises(ValueError, match=r"refuses the conversation: no system here; set prompt\.template, or leave out"):
        renderer(template, configured(system="S"))([], "q")


@pytest.mark.parametrize(("length", "first"), [(11, 0), (12, 1), (17, 1), (18, 2), (23, 2)])
def test_the_oldest_turns_go(length: int, first: int, lm: LanguageModel) -> None:
    decoding = DecodingConfig(max_gen_length=1000)      # of 1024 positions, so that 24 are left; a turn takes 6
    render = renderer(lm, configured(prompt={"template": "{problem}>"}))
    kept, ids = fitted(lm, decoding, render, TURNS, "x" * length)
    assert kept == TURNS[first:]
    assert ids == lm.tokenizer.encode("q1>a1\nq2>a2\n"[6 * first:] + "x" * length + ">")


def test_a_question_that_never_fits_is_refused(lm: LanguageModel) -> None:
    render = renderer(lm, configured(prompt={"template": "{problem}>"}))
    with pytest.raises(ValueError, match="a prompt of 25 tokens and max_gen_length 1000 reach position 1028"):
        fitted(lm, DecodingConfig(max_gen_length=1000), render, TURNS, "x" * 24)


def test_an_answer_ends_before_its_stop(lm: LanguageModel) -> None:
    ids = [*lm.tokenizer.encode("ok"), lm.pad_token_id]
    assert answer_text(lm, Rollout([1], ids, [1, 1, 1], finish_reason="stop")) == "ok"
    assert answer_text(lm, Rollout([1], ids, [1, 1, 1], finish_reason="length")) == "ok"
    assert answer_text(lm, Rollout([1], ids[:2], [1, 1], finish_reason="stop")) == "o"
    assert answer_text(lm, Rollout([1], ids[:2], [1, 1], finish_reason="length")) == "ok"
