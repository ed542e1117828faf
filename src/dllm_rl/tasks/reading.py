"""Reading data files: JSON lists and JSON lines, compressed or not, with errors that say where and what to do."""

import gzip
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Row:
    """One record of a data file.

    Attributes:
        path: the file.
        number: 0-based place among the records of the file.
        where: the place in words, for messages.
        fields: the record.

    Example:
        >>> Row(Path("a.jsonl"), 0, "line 1", {"question": "1+1"}).text("question")
        '1+1'
    """

    path: Path
    number: int
    where: str
    fields: dict[str, Any]

    def error(self, problem: str) -> ValueError:
        """A ``ValueError`` that names file and place."""
        return ValueError(f"{self.path}, {self.where}: {problem}")

    def text(self, name: str) -> str:
        """The text in field ``name``, as it stands.

        Raises:
            ValueError: there is no such field, or it is no text, blank, or cannot be encoded.
        """
        value = self._value(name)
        if not isinstance(value, str):
            raise self.error(f"field {name!r} must be text, not {type(value).__name__}; put it in quotation marks")
        if not value.strip():
            raise self.error(f"field {name!r} is empty; fill it in or remove the record")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise self.error(f"field {name!r} holds half a surrogate pair (\\ud800-\\udfff); repair the text")
        return value

    def answer(self, name: str) -> str:
        """The gold answer in field ``name``: text as it stands, a number as text.

        Raises:
            ValueError: there is no such field, or it is neither text nor a finite number.
        """
        value = self._value(name)
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return str(value) if is_number else self.text(name)

    def others(self, *names: str) -> dict[str, Any]:
        """The fields beside ``names``."""
        return {name: value for name, value in self.fields.items() if name not in names}

    def _value(self, name: str) -> Any:  # noqa: ANN401 - JSON
        if name not in self.fields:
            raise self.error(f"field {name!r} is missing (there: {', '.join(self.fields) or 'none'}); "
                             "add it, or choose the task set of this file's format")
        return self.fields[name]


def read_rows(path: Path, limit: int | None = None) -> list[Row]:
    """The records of a data file, in order.

    Args:
        path: a JSON list or JSON lines in UTF-8, told apart by content; gzip is recognised by its first bytes.
        limit: read only so many records; what follows is not looked at in JSON lines.

    Raises:
        ValueError: the file is missing, unreadable, empty or damaged, or a record is no JSON object.
    """
    text = _read_text(path)
    records = _list_items(path, text) if text.lstrip()[:1] == "[" else _json_lines(path, text)
    rows: list[Row] = []
    for number, (where, value) in enumerate(records):
        if limit is not None and number >= limit:
            break
        if not isinstance(value, dict):
            raise ValueError(f"{path}, {where}: a record must be a JSON object with named fields, "
                             f"not {type(value).__name__}")
        rows.append(Row(path, number, where, value))
    if not rows:
        raise ValueError(f"{path} holds no records; give a JSON list or JSON lines with at least one")
    return rows


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
    except FileNotFoundError as error:
        raise ValueError(f"no file {path}; relative paths start at the configuration file's folder") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is a damaged gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 ({error.reason}); convert the file to UTF-8") from error


def _list_items(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    for place, value in enumerate(_parse(text, path, None), start=1):
        yield f"item {place}", value


def _json_lines(path: Path, text: str) -> Iterator[tuple[str, Any]]:
    # Not splitlines(): it also splits at U+2028 and others, which may stand inside a JSON string.
    for place, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield f"line {place}", _parse(line, path, place)


def _parse(text: str, path: Path, line: int | None) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {line or error.lineno}, column {error.colno}: not JSON ({error.msg}); "
                         "repair or remove the record") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}, line {line or 1}: cannot be read as JSON ({error})") from error
