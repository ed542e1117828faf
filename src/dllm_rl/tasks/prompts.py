"""From a task to the text the model is given. The formats themselves are data of the families."""

from collections.abc import Mapping

from dllm_rl.records import Task

MARKER = "{problem}"
"""Where the question goes in a format."""


def render_prompt(task: Task, formats: Mapping[str, str], template: str | None = None, think: bool = False) -> str:
    r"""The prompt of a task (SPEC 1.1).

    The question is inserted as plain text: braces, ``{{`` or ``{%`` in it mean nothing. A code task of the ``function``
    method is followed by its data set's ``prefix``, of which one newline at the very end is dropped: upstream put the
    prefix into a Jinja template, and models were trained and scored with that.

    Args:
        task: its ``kind`` picks the format, for code together with ``meta["test_method"]``.
        formats: the family's formats: ``math``, ``math_think``, ``choice``, ``code_function``, ``code_stdio``,
            ``code_stdio_think``.
        template: used for every task instead of the family's format.
        think: use the format that opens a thought; ``function`` code tasks have none and ignore it, as upstream.

    Raises:
        ValueError: the family has no format for this kind of task, a code task has no method, or the format has no
            place for the question.

    Example:
        >>> render_prompt(Task(id="a", question="{1}"), {"math": "Q: {problem}\nA:"})
        'Q: {1}\nA:'
    """
    key = _format_key(task)
    text = template if template is not None else _family_format(task, key, formats, think)
    if MARKER not in text:
        raise ValueError(f"the prompt template {text!r} has no {MARKER}; write {MARKER} where the question goes")
    prompt = text.replace(MARKER, task.question)
    return (prompt + str(task.meta.get("prefix", ""))).removesuffix("\n") if key == "code_function" else prompt


def _format_key(task: Task) -> str:
    if task.kind != "code":
        return task.kind
    if "test_method" not in task.meta:
        raise ValueError(f"code task {task.id!r} has no test_method; set it to 'function' or 'stdio'")
    return f"code_{task.meta['test_method']}"


def _family_format(task: Task, key: str, formats: Mapping[str, str], think: bool) -> str:
    wanted = f"{key}_think" if think and key != "code_function" else key
    if wanted not in formats:
        raise ValueError(f"task {task.id!r} needs the prompt format {wanted!r}, which this family lacks (it has: "
                         f"{', '.join(formats) or 'none'}); give a template of your own with {MARKER} in it")
    return formats[wanted]
