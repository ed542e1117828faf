"""Data files: every damage has a place and a remedy."""

import gzip
from pathlib import Path

import pytest

from dllm_rl.tasks.reading import Row, read_rows

LINES = '{"question": "a", "n": 1}\n{"question": "b\u2028c", "n": 2}\n'
LIST = '[{"question": "a", "n": 1},\n {"question": "b\u2028c", "n": 2}]'


def write(folder: Path, data: str | bytes, name: str = "data.jsonl") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize("data", [
    LINES, LIST, LINES.rstrip(), "\n" + LINES.replace("\n", "\r\n") + "\n\n", "\ufeff" + LINES, "\ufeff" + LIST,
    gzip.compress(LINES.encode(), mtime=0), gzip.compress(LIST.encode(), mtime=0),
])
@pytest.mark.parametrize("name", ["data.json", "data.jsonl", "data.jsonl.gz"])
def test_every_form_gives_the_same_rows(tmp_path: Path, data: str | bytes, name: str) -> None:
    rows = read_rows(write(tmp_path, data, name))
    assert [row.fields for row in rows] == [{"question": "a", "n": 1}, {"question": "b\u2028c", "n": 2}]
    assert [row.number for row in rows] == [0, 1]


def test_limit_takes_the_first(tmp_path: Path) -> None:
    assert [row.text("question") for row in read_rows(write(tmp_path, LINES + "{broken"), limit=1)] == ["a"]
    assert len(read_rows(write(tmp_path, LINES), limit=9)) == 2


@pytest.mark.parametrize(("data", "message"), [
    (LINES + '{"question": ', "line 3, column 14: not JSON .* repair or remove the record"),
    (LIST[:-1], "line 2, column 29: not JSON"),
    (LINES + "[1]", r"line 3: a record must be a JSON object with named fields, not list"),
    ('[{"a": 1}, 5]', "item 2: a record must be a JSON object with named fields, not int"),
    ("", "holds no records"),
    (" \n\n", "holds no records"),
    ("[]", "holds no records"),
    (b'{"a": 1}\n{"a": "\xff"}\n', "line 2: not UTF-8 .* convert the file"),
    (b"\x1f\x8bnonsense", "damaged gzip file"),
    (gzip.compress(LINES.encode(), mtime=0)[:-9], "damaged gzip file"),
    ("[" * 100_000, "cannot be read as JSON"),
    ('{"a": ' + "9" * 5000 + "}", "line 1: cannot be read as JSON"),
])
def test_damage_is_named(tmp_path: Path, data: str | bytes, message: str) -> None:
    path = write(tmp_path, data)
    with pytest.raises(ValueError, match=message) as caught:
        read_rows(path)
    assert str(path) in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no file .*none.json; relative paths start at the configuration file"):
        read_rows(tmp_path / "none.json")
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_rows(tmp_path)


def row(**fields: object) -> Row:
    """A row of a file that need not exist."""
    return Row(Path("d.jsonl"), 6, "line 7", fields)


@pytest.mark.parametrize(("value", "answer"), [("5", "5"), (" 1,000 ", " 1,000 "), (5, "5"), (-0.5, "-0.5")])
def test_answers_are_texts_or_numbers(value: object, answer: str) -> None:
    assert row(answer=value).answer("answer") == answer


@pytest.mark.parametrize(("value", "message"), [
    (None, "must be text, not NoneType"), (["5"], "must be text, not list"), (True, "must be text, not bool"),
    (float("nan"), "must be text, not float"), (" ", "is empty; fill it in"), ("\ud800", "surrogate"),
])
def test_wrong_values_are_named(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"d.jsonl, line 7: field 'answer' .*{message}"):
        row(answer=value).answer("answer")


def test_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match=r"line 7: field 'answer' is missing \(there: a, b\); add it, or choose"):
        row(a=1, b=2).text("answer")
