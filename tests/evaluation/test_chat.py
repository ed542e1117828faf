"""Chats without a terminal: turns, commands, what is said aloud, and an answer that is stopped."""

from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

import pytest

from dllm_rl.config.chat import ChatConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.decoding.watching import Watcher
from dllm_rl.evaluation.chat import Chat
from dllm_rl.evaluation.conversation import Turn, answer_text
from dllm_rl.families import LanguageModel


class Script:
    """A screen that types given lines and keeps what it is shown."""

    def __init__(self, *lines: str, watch: Watcher | None = None) -> None:
        self.lines, self.watch = list(lines), watch
        self.answers: list[str] = []
        self.notes: list[str] = []

    def ask(self) -> str | None:
        return self.lines.pop(0) if self.lines else None

    def watching(self, lm: LanguageModel, stop_ids: Collection[int]) -> AbstractContextManager[Watcher | None]:
        return nullcontext(self.watch)

    def answer(self, text: str) -> None:
        self.answers.append(text)

    def say(self, note: str) -> None:
        self.notes.append(note)


def configured(**options: object) -> ChatConfig:
    return ChatConfig(**{"model": {"path": "x"}, "prompt": {"template": "{problem}>"}, "decoding": {"max_gen_length": 7},
                         **options})


def chatted(lm: LanguageModel, screen: Script, **options: object) -> Chat:
    chat = Chat(lm, configured(**options), screen)
    chat.run()
    return chat


def answer_to(lm: LanguageModel, prompt: str, config: ChatConfig) -> str:
    [[rollout]] = LocalDecoder(lm).generate([prompt], config.decoding)
    return answer_text(lm, rollout)


def test_later_turns_see_earlier_ones(lm: LanguageModel) -> None:
    config, screen = configured(system="S"), Script("one", "", "  ", " two ")
    chat = chatted(lm, screen, system="S")
    first = answer_to(lm, "S\none>", config)
    second = answer_to(lm, f"S\none>{first}\ntwo>", config)
    assert screen.answers == [first, second] and first != second
    assert chat.turns == [Turn("one", first), Turn("two", second)]


def test_commands(lm: LanguageModel) -> None:
    screen = Script("/undo", "one", "/undo", "one", "two", "/reset", "one", "/rest", "/quit", "never asked")
    chat = chatted(lm, screen)
    first = answer_to(lm, "one>", configured())
    assert [answer for place, answer in enumerate(screen.answers) if place != 2] == [first, first, first]
    assert chat.turns == [Turn("one", first)] and screen.lines == ["never asked"]
    notes = [note for note in screen.notes if not note.startswith("(cut")]
    assert notes == ["there is no turn to forget", "forgotten: one", "all turns forgotten", notes[-1]]
    assert notes[-1].startswith("no command '/rest'; did you mean '/reset'?; known: /quit (end), /reset")


def test_a_space_makes_a_question_of_a_command(lm: LanguageModel) -> None:
    assert [turn.question for turn in chatted(lm, Script(" /undo")).turns] == ["/undo"]


def test_another_seed_is_another_answer(lm: LanguageModel) -> None:
    answers = [Script("one") for _ in range(2)]
    for seed, screen in enumerate(answers):
        chatted(lm, screen, decoding={"max_gen_length": 7, "seed": seed})
    assert answers[0].answers != answers[1].answers


def test_the_watcher_sees_the_answer_unmasked(lm: LanguageModel) -> None:
    pictures: list[list[int]] = []
    screen = Script("one", watch=lambda number, ids: pictures.append(ids))
    chatted(lm, screen, decoding={"max_gen_length": 6, "ignore_eos": True})
    masks = [ids.count(lm.mask_token_id) for ids in pictures]
    assert masks[-1] == 0 and max(masks) > 0
    text = lm.tokenizer.decode(pictures[-1][:6], skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert screen.answers == [text]


def test_an_answer_that_is_stopped_leaves_no_turn(lm: LanguageModel) -> None:
    def interrupt(number: int, ids: list[int]) -> None:
        if len(screen.answers) == 1 and not screen.notes.count("stopped; this question is forgotten"):
            raise KeyboardInterrupt

    screen = Script("one", "two", "three", watch=interrupt)
    training = lm.backbone.training
    chat = chatted(lm, screen)
    assert [turn.question for turn in chat.turns] == ["one", "three"]
    assert screen.notes.count("stopped; this question is forgotten") == 1
    first = answer_to(lm, "one>", configured())
    assert screen.answers == [first, answer_to(lm, f"one>{first}\nthree>", configured())]
    assert lm.backbone.training == training


def test_turns_are_dropped_aloud(lm: LanguageModel) -> None:
    decoding = {"max_gen_length": 500, "stop_token_list": list(range(256))}      # a stop at once, so answers are empty
    screen = Script("a" * 200, "b" * 200, "c" * 200, "d" * 600, "e")
    chat = chatted(lm, screen, decoding=decoding)
    assert [turn.question[0] for turn in chat.turns] == ["b", "c", "e"]
    assert screen.notes[0].startswith("the oldest 1 turns are forgotten: with them the prompt would exceed the model's")
    assert screen.notes[1].startswith("not asked: a prompt of 601 tokens and max_gen_length 500 reach position 1104")


def test_a_cut_answer_is_said_to_be(lm: LanguageModel) -> None:
    screen = Script("one")
    chatted(lm, screen, decoding={"max_gen_length": 3, "ignore_eos": True})
    assert screen.notes == ["(cut at max_gen_length=3)"]


@pytest.mark.parametrize(("options", "message"), [
    ({"prompt": {}}, "the tokenizer has no chat template"),
    ({"decoding": {"decoder": "canvas"}}, "use decoder=block"),
])
def test_what_cannot_work_is_refused_before_the_first_question(options: dict, message: str, lm: LanguageModel) -> None:
    screen = Script("one")
    with pytest.raises(ValueError, match=message):
        chatted(lm, screen, **options)
    assert screen.lines == ["one"]
