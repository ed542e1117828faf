"""Prompts: the published texts to the letter, and questions that are nothing but text."""

import pytest

from dllm_rl.families.chat_prompts import SDAR_PROMPTS
from dllm_rl.records import Task
from dllm_rl.tasks.prompts import MARKER, render_prompt

EXPECTED = {
    "math": "<|im_start|>user\nQ\nPlease reason step by step, and put your final answer within \\boxed{}.<|im_end|>\n"
            "<|im_start|>assistant",
    "math_think": "<|im_start|>user\nYou need to put your final answer in \\boxed{}. This is the problem:\nQ<|im_end|>\n"
                  "<|im_start|>assistant<think>",
    "choice": "<|im_start|>user\nThis is the problem:\nQ\nYou need to think step by step and put the final option "
              "(A, B, C, or D only\u2014no other character) in \\boxed{}. <|im_end|>\n<|im_start|>assistant",
    "code_function": "<|im_start|>user\nQ\nPlace your code within a single Python code block ```python ```. "
                     "Do not include more than one code block. <|im_end|>\n<|im_start|>assistant\ndef f(x):",
    "code_stdio": "<|im_start|>user\nThis is the problem:\nQ\nYou should put your code in ```python ```. Use input() to "
                  "read input and print() to produce output in your script. <|im_end|>\n<|im_start|>assistant",
    "code_stdio_think": "<|im_start|>user\nThis is the problem:\nQ\nYou should put your code in ```python ```. Use "
                        "input() to read input and print() to produce output in your script. <|im_end|>\n"
                        "<|im_start|>assistant<think>",
}


def task(key: str, question: str = "Q", prefix: str = "def f(x):") -> Task:
    """A task that the format ``key`` is for."""
    kind, _, method = key.removesuffix("_think").partition("_")
    return Task(id="t", question=question, kind=kind, meta={"test_method": method, "prefix": prefix} if method else {})


@pytest.mark.parametrize("key", SDAR_PROMPTS)
def test_sdar_prompts(key: str) -> None:
    assert render_prompt(task(key), SDAR_PROMPTS, think=key.endswith("_think")) == EXPECTED[key]


def test_function_tasks_ignore_think() -> None:
    assert render_prompt(task("code_function"), SDAR_PROMPTS, think=True) == EXPECTED["code_function"]


@pytest.mark.parametrize(("prefix", "end"), [
    ("", "assistant"), ("def f(x):\n", "assistant\ndef f(x):"), ("def f(x):\n\n", "assistant\ndef f(x):\n"),
])
def test_a_prefix_loses_one_last_newline(prefix: str, end: str) -> None:
    assert render_prompt(task("code_function", prefix=prefix), SDAR_PROMPTS).endswith(end)


@pytest.mark.parametrize("question", ["{problem}", "{{ 7*7 }} {% raw %} {0} %s \\1 $x$", "\\frac{1}{2}", "a\n", "{"])
@pytest.mark.parametrize("key", SDAR_PROMPTS)
def test_questions_and_prefixes_are_plain_text(key: str, question: str) -> None:
    before, _, after = SDAR_PROMPTS[key].partition(MARKER)
    tail = after + question + "." if key == "code_function" else after
    prompt = render_prompt(task(key, question, prefix=question + "."), SDAR_PROMPTS, think=key.endswith("_think"))
    assert prompt == before + question + tail


def test_a_template_replaces_every_format() -> None:
    assert render_prompt(task("math"), {}, template="{problem}=") == "Q="


@pytest.mark.parametrize(("wanted", "kwargs", "message"), [
    (Task(id="t7", question="Q", kind="poem"), {}, r"'t7' needs the prompt format 'poem', .*it has: math, math_think"),
    (Task(id="t7", question="Q", kind="choice"), {"think": True}, "choice_think"),
    (Task(id="t7", question="Q", kind="code"), {}, "'t7' has no test_method; set it to 'function' or 'stdio'"),
    (Task(id="t7", question="Q"), {"template": "Q:"}, r"'Q:' has no \{problem\}; write"),
])
def test_what_cannot_be_rendered(wanted: Task, kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        render_prompt(wanted, SDAR_PROMPTS, **kwargs)
