"""Prompt formats of the published checkpoints (SPEC 1.1): what they were trained and scored with.

The question stands where ``{problem}`` is. A format ends where the model begins to write; most end in ``assistant``
without a newline, because upstream's templates lost it.
"""

_USER, _ASSISTANT = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant"
_BOXED = "You need to put your final answer in \\boxed{}. This is the problem:\n{problem}"
_CHOICE = ("This is the problem:\n{problem}\nYou need to think step by step and put the final option "
           "(A, B, C, or D only—no other character) in \\boxed{}. ")
_FUNCTION = ("{problem}\nPlace your code within a single Python code block ```python ```. "
             "Do not include more than one code block. ")
_STDIO = ("This is the problem:\n{problem}\nYou should put your code in ```python ```. "
          "Use input() to read input and print() to produce output in your script. ")

SDAR_PROMPTS: dict[str, str] = {
    "math": _USER + "{problem}\nPlease reason step by step, and put your final answer within \\boxed{}." + _ASSISTANT,
    "math_think": _USER + _BOXED + _ASSISTANT + "<think>",
    "choice": _USER + _CHOICE + _ASSISTANT,
    "code_function": _USER + _FUNCTION + _ASSISTANT + "\n",
    "code_stdio": _USER + _STDIO + _ASSISTANT,
    "code_stdio_think": _USER + _STDIO + _ASSISTANT + "<think>",
}
"""SDAR and TraDo, by kind of task; the data set's prefix follows ``code_function``."""

_SYSTEM_USER = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n" + _USER

DREAM_PROMPTS: dict[str, str] = {
    "math": _SYSTEM_USER + _BOXED + _ASSISTANT,
    "choice": _SYSTEM_USER + _CHOICE + _ASSISTANT,
    "code_function": _SYSTEM_USER + _FUNCTION + _ASSISTANT + "\n",
    "code_stdio": _SYSTEM_USER + _STDIO + _ASSISTANT,
}
"""Dream and DiffuCoder."""

_HEADER_USER = "<|startoftext|><|start_header_id|>user<|end_header_id|>"
_HEADER_ASSISTANT = "<|eot_id|><|startoftext|><|start_header_id|>assistant<|end_header_id|>"

LLADA_PROMPTS: dict[str, str] = {
    "math": _HEADER_USER + _BOXED + _HEADER_ASSISTANT,
    "choice": _HEADER_USER + _CHOICE + _HEADER_ASSISTANT,
    "code_function": _HEADER_USER + _FUNCTION + _HEADER_ASSISTANT + "\n",
    "code_stdio": _HEADER_USER + _STDIO.replace("\nYou should", "\n You should") + _HEADER_ASSISTANT,
}
"""LLaDA and MMaDA; upstream's stdio text has a stray space."""
