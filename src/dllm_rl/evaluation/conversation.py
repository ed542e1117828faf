"""Conversations: turns become a prompt, and the oldest go when they no longer fit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError

from dllm_rl.config.chat import ChatConfig
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.request import encode_prompt, length_problem, position_grain
from dllm_rl.families import LanguageModel
from dllm_rl.records import Rollout
from dllm_rl.tasks.prompts import MARKER


@dataclass(frozen=True)
class Turn:
    """A question, and the answer without stop and special tokens."""

    question: str
    answer: str


Render = Callable[[Sequence[Turn], str], str]
"""The prompt for a question after some turns."""


Message = tuple[str, str]
"""A role (system, user or assistant) and what it says."""


def renderer(lm: LanguageModel, config: ChatConfig) -> Render:
    r"""How a conversation becomes text; see ``render_messages``.

    Args:
        lm: the model.
        config: ``prompt.template`` and ``system``.

    Raises:
        ValueError: as ``check_format``; at a call, a chat template that refuses the conversation.

    Example (``template="Q: {problem}\nA: "``, one turn before, and the question ``2+2``):
        ``"Q: 1+1\nA: 2\nQ: 2+2\nA: "``
    """
    template, system = config.prompt.template, config.system
    check_format(lm, template)
    opening: list[Message] = [] if system is None else [("system", system)]
    return lambda turns, question: render_messages(lm, template, [
        *opening, *(said for turn in turns for said in (("user", turn.question), ("assistant", turn.answer))),
        ("user", question)])


def check_format(lm: LanguageModel, template: str | None) -> None:
    """Raise ``ValueError`` if conversations cannot be rendered.

    The checkpoint has no tokenizer, the tokenizer no chat template and the user gave none, or the template has no place
    for the question.
    """
    if lm.tokenizer is None:
        raise ValueError("the checkpoint has no tokenizer, without which it cannot chat; add its tokenizer files")
    if template is not None and MARKER not in template:
        raise ValueError(f"the prompt template {template!r} has no {MARKER}; write {MARKER} where the question goes")
    if template is None and not lm.tokenizer.chat_template:
        raise ValueError("the tokenizer has no chat template, and how turns are marked cannot be guessed; set "
                         f"prompt.template to the text of one turn, for example 'prompt.template=\"Q: {MARKER} A: \"'")


def render_messages(lm: LanguageModel, template: str | None, messages: Sequence[Message]) -> str:
    """The prompt for what the assistant says next.

    Args:
        lm: the model, whose tokenizer's chat template is used where no ``template`` is given.
        template: text of one turn, which the answer follows; system texts and turns are joined by newlines.
        messages: the conversation.

    Raises:
        ValueError: the chat template refuses the conversation, or an answer follows no question.
    """
    if template is None:
        return _by_chat_template(lm, messages)
    parts: list[str] = []
    before = ""
    for role, content in messages:
        if role == "assistant" and before != "user":
            raise ValueError("an assistant's message follows no user's; with prompt.template every answer needs a question")
        if role == "assistant":
            parts[-1] += content
        else:
            parts.append(template.replace(MARKER, content) if role == "user" else content)
        before = role
    return "\n".join(parts)


def _by_chat_template(lm: LanguageModel, messages: Sequence[Message]) -> str:
    assert lm.tokenizer is not None     # check_format has asked
    said = [{"role": role, "content": content} for role, content in messages]
    try:
        return str(lm.tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False))
    except TemplateError as error:
        raise ValueError(f"the tokenizer's chat template refuses the conversation: {error}; set prompt.template, or leave "
                         "out system if that is what it refuses") from error


def fitted(lm: LanguageModel, decoding: DecodingConfig, render: Render, turns: Sequence[Turn],
           question: str) -> tuple[list[Turn], list[int]]:
    """The latest turns that the model's positions have room for beside a question and its longest answer.

    Args:
        lm: the model.
        decoding: ``max_gen_length``, and the block size.
        render: the format.
        turns: all so far.
        question: to be asked.

    Returns:
        the turns that stay, and the ids of the prompt.

    Raises:
        ValueError: the question does not fit even without any turn.
    """
    grain, problem = position_grain(lm, decoding), None
    for first in range(len(turns) + 1):
        kept = list(turns[first:])
        ids = encode_prompt(lm, render(kept, question))
        problem = length_problem(lm, ids, decoding.max_gen_length, grain)
        if problem is None:
            return kept, ids
    raise ValueError(problem)


def answer_text(lm: LanguageModel, rollout: Rollout) -> str:
    """A response as text without its stop token and special tokens."""
    assert lm.tokenizer is not None     # the renderer has asked
    ids = rollout.response_ids[:-1] if rollout.finish_reason == "stop" else rollout.response_ids
    return str(lm.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
