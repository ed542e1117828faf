"""Pictures of an answer: exact text and styles, bytes that are not all there, the part that fits a window."""

import pytest
from rich.console import Console
from rich.text import Text

from dllm_rl.evaluation.unmasking import BLOCK, MASKED, NEW, excerpt, frame, readable, until_stop
from dllm_rl.families.byte_tokenizer import byte_tokenizer

TOKENIZER = byte_tokenizer()
M = TOKENIZER.get_vocab()["<|MASK|>"]
A, B, C = TOKENIZER.encode("abc")
ACUTE = TOKENIZER.encode("é")


def runs(picture: Text) -> list[tuple[str, str]]:
    """(text, style) of every piece that has one."""
    return [(picture.plain[span.start:span.end], str(span.style)) for span in picture.spans]


@pytest.mark.parametrize(("ids", "before", "plain", "styled"), [
    ([], [], "", []),
    ([M, M], [], "██", [("██", MASKED)]),
    ([A, M, C], [M, M, M], "a█c", [("a", NEW), ("█", MASKED), ("c", NEW)]),
    ([A, B, C], [A, M, C], "abc", [("b", NEW)]),
    ([A, B, C, M], [A], "abc█", [("bc", NEW), ("█", MASKED)]),
    ([A, B], [A, C], "ab", [("b", NEW)]),
    ([A, B], [A, B, C], "ab", []),
])
def test_text_and_styles(ids: list[int], before: list[int], plain: str, styled: list[tuple[str, str]]) -> None:
    picture = frame(TOKENIZER, ids, before, M)
    assert (picture.plain, runs(picture)) == (plain, styled)


def test_halves_of_a_character_do_not_crash_and_join_when_both_are_old() -> None:
    first, second = ACUTE
    assert frame(TOKENIZER, [first, M], [], M).plain == "\ufffd" + BLOCK
    assert frame(TOKENIZER, [M, second], [], M).plain == BLOCK + "\ufffd"
    assert frame(TOKENIZER, [first, second], [first, M], M).plain == "\ufffd\ufffd"
    assert frame(TOKENIZER, ACUTE, ACUTE, M).plain == "é"


def test_no_byte_reaches_the_terminal_as_a_command() -> None:
    picture = frame(TOKENIZER, list(range(256)), [], M)
    assert not {char for char in picture.plain if ord(char) < 32 or ord(char) == 127} - {"\n", "\t"}
    assert readable("a\x1b[2Jb\r\n\tc\x9b") == "a\ufffd[2Jb\ufffd\n\tc\ufffd"


def test_what_is_behind_a_stop_is_not_shown() -> None:
    assert until_stop([A, 7, B, 7], {7, 8}) == [A]
    assert until_stop([A, B], {7}) == until_stop([A, B], set()) == [A, B]


@pytest.mark.parametrize(("lines", "height", "shown"), [
    (["a", "b"], 4, ["a", "b"]),
    (["a", "b", "c", "d"], 2, ["c", "d"]),
    (["a", "b", "c█", "d█", "█", "█"], 2, ["b", "c█"]),
    (["█", "█", "█"], 1, ["█"]),
    ([], 3, []),
])
def test_the_part_that_fits(lines: list[str], height: int, shown: list[str]) -> None:
    assert excerpt(Text("\n".join(lines)), Console(width=20), height).plain.splitlines() == shown


def test_long_lines_count_as_many() -> None:
    assert excerpt(Text("x" * 10), Console(width=4), 2).plain == "xxxx\nxx"
