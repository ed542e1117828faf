"""The played trace, above all that no text of a model leaves its place."""

import html
import json
from html.parser import HTMLParser

import pytest

from dllm_rl.report.run_data import Trace
from dllm_rl.report.trace import MAX_QUESTION_ON_BUTTON, script_json, trace_section, visible

HOSTILE = ["</script><img src=x onerror=alert(1)>", "</SCRIPT >", "<!--", "-->", "]]>", "</noscript><b>", "\"'`", "$data",
           "\\u003c/script>", "&lt;", "\u2028", "é"]


def trace(**changes: object) -> Trace:
    return Trace(**{"title": "before", "question": "1+1", "gold": "2", "answer": "3", "correct": False, "prompt": "1+1 = ",
                    "pieces": ["2", "<end>"], "steps": [3, 0]} | changes)


class Elements(HTMLParser):
    """What a browser makes of a page: its tags, and the text inside each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: dict[str, str] = {}
        self._name: str | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._name = dict(attrs).get("id", "code") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._name = None

    def handle_data(self, data: str) -> None:
        if self._name:
            self.scripts[self._name] = self.scripts.get(self._name, "") + data


@pytest.mark.parametrize(("piece", "shown"), [
    (" a b", "·a·b"), ("\n\n", "↵↵"), ("\t", "␉"), ("\x00", "␀"), ("", "∅"), ("<|im_end|>", "<|im_end|>"), ("é", "é")])
def test_blanks_and_control_characters_are_seen(piece: str, shown: str) -> None:
    assert visible(piece) == shown


@pytest.mark.parametrize("text", HOSTILE)
def test_json_of_any_text_comes_back_and_holds_no_markup(text: str) -> None:
    written = script_json([text])
    assert json.loads(written) == [text]
    assert not set("<>&\u2028") & set(written)


def test_no_traces_no_section() -> None:
    assert trace_section([]) == ""


def test_hostile_texts_change_no_element() -> None:
    plain, hostile = (Elements(trace_section([trace(
        title=text, question=text, gold=text, answer=text, prompt=text, pieces=pieces, steps=list(range(len(pieces))))]))
        for text, pieces in (("x", ["x"] * len(HOSTILE)), ("".join(HOSTILE), HOSTILE)))
    assert hostile.tags == plain.tags and hostile.scripts["code"] == plain.scripts["code"]
    [shown] = json.loads(hostile.scripts["traces"])
    assert shown["pieces"] == [visible(piece) for piece in HOSTILE]
    assert shown["prompt"] == shown["title"] == "".join(HOSTILE)


def test_the_script_gets_steps_passes_and_a_verdict() -> None:
    section = trace_section([trace(), trace(answer=None), trace(gold=None), trace(correct=True, steps=[4, 4])])
    shown = json.loads(Elements(section).scripts["traces"])
    assert (shown[0]["steps"], shown[0]["passes"], shown[3]["passes"]) == ([3, 0], [3], [4])
    assert [own["verdict"] for own in shown] == [
        "answer 3: wrong, right is 2; revealed tokens: 1, forward passes: 1",
        "no answer: wrong, right is 2; revealed tokens: 1, forward passes: 1",
        "answer 3: wrong; revealed tokens: 1, forward passes: 1",
        "answer 3: correct; revealed tokens: 2, forward passes: 1"]


def test_a_long_question_is_cut_on_its_button_only() -> None:
    question = "why \n" * 20
    section = trace_section([trace(question=question)])
    [shown] = json.loads(Elements(section).scripts["traces"])
    assert shown["question"] == ("why " * 20)[:MAX_QUESTION_ON_BUTTON] + "…"
    assert html.escape(question) in section


def test_readers_without_javascript_have_a_table() -> None:
    section = trace_section([trace()])
    table = section[section.index("<noscript>"):section.index("</noscript>")]
    assert "<tr><td><code>2</code></td><td>3</td></tr>" in table
    assert "<tr><td><code>&lt;end&gt;</code></td><td>never</td></tr>" in table
    assert "before: 1+1 (answer 3: wrong, right is 2; revealed tokens: 1, forward passes: 1)" in table
