"""Records in and out of Parquet files, one record a row, with a schema version in the file's metadata."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.records.atomic import atomic_file
from dllm_rl.records.discards import Discards
from dllm_rl.records.layout import Layout
from dllm_rl.records.rollout import Rollout, Scored
from dllm_rl.records.sample import Sample
from dllm_rl.records.task import Task
from dllm_rl.records.view import View

SCHEMA_VERSION = 1
_KEY = b"dllm_rl"

Record = TypeVar("Record", Task, Sample, Rollout, Discards, Scored, View, Layout)
_RECORDS = {kind.__name__: kind for kind in (Task, Sample, Rollout, Discards, Scored, View, Layout)}


@dataclass(frozen=True)
class _Codec:
    """How one kind of field is stored: Arrow type, value to plain data, plain data to value."""

    arrow: pa.DataType
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def _same(value: Any) -> Any:  # noqa: ANN401 - any stored value
    return value


def _encode_tensor(value: Tensor) -> dict[str, Any]:
    return {"dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape),
            "values": value.flatten().double().tolist()}


def _decode_tensor(value: dict[str, Any]) -> Tensor:
    kinds = {"bool": torch.bool, "int64": torch.int64, "float32": torch.float32}
    return torch.tensor(value["values"], dtype=torch.float64).to(kinds[value["dtype"]]).reshape(value["shape"])


_INTS, _FLOATS = pa.list_(pa.int64()), pa.list_(pa.float64())
_TENSOR = _Codec(pa.struct({"dtype": pa.string(), "shape": _INTS, "values": _FLOATS}), _encode_tensor, _decode_tensor)
_JSON = _Codec(pa.string(), json.dumps, json.loads)
_CODECS: dict[Any, _Codec] = {
    str: _Codec(pa.string(), _same, _same),
    bool: _Codec(pa.bool_(), _same, _same),
    int: _Codec(pa.int64(), _same, _same),
    float: _Codec(pa.float64(), _same, _same),
    list[int]: _Codec(_INTS, _same, _same),
    list[float]: _Codec(_FLOATS, _same, _same),
    float | list[float]: _JSON,
    dict[str, Any]: _JSON,
    dict[str, float]: _JSON,
    Tensor: _TENSOR,
    RecordedDecoding: _Codec(pa.string(), RecordedDecoding.model_dump_json, RecordedDecoding.model_validate_json),
}


def _codec(hint: Any) -> _Codec:  # noqa: ANN401 - a type hint
    kind = next(known for known in (*_CODECS, *_RECORDS.values()) if hint in (known, known | None))
    if kind in _CODECS:
        return _CODECS[kind]
    record = kind
    return _Codec(pa.struct(_fields(record)), lambda value: _encode(value), lambda value: _decode(record, value))


def _fields(kind: type) -> list[pa.Field]:
    hints = get_type_hints(kind)
    return [pa.field(item.name, _codec(hints[item.name]).arrow) for item in fields(kind)]


def _encode(record: Any) -> dict[str, Any]:  # noqa: ANN401 - any record
    hints = get_type_hints(type(record))
    row = {}
    for item in fields(record):
        value = vars(record)[item.name]
        row[item.name] = None if value is None else _codec(hints[item.name]).encode(value)
    return row


def _decode(kind: type, row: dict[str, Any]) -> Any:  # noqa: ANN401 - any record
    hints = get_type_hints(kind)
    return kind(**{name: None if value is None else _codec(hints[name]).decode(value) for name, value in row.items()})


def write_records(path: str | Path, records: Sequence[Record]) -> None:
    """Write records of one type; the file appears complete or not at all.

    Raises:
        ValueError: no record, or records of several types.
    """
    kinds = {type(record) for record in records}
    if len(kinds) != 1:
        raise ValueError(f"records of exactly one type are needed, got {sorted(kind.__name__ for kind in kinds)}")
    kind = kinds.pop()
    meta = {_KEY: json.dumps({"schema_version": SCHEMA_VERSION, "record": kind.__name__}).encode()}
    table = pa.Table.from_pylist([_encode(record) for record in records], schema=pa.schema(_fields(kind), meta))
    with atomic_file(Path(path)) as staging:
        pq.write_table(table, staging)


def read_records(path: str | Path) -> list[Any]:
    """Read what ``write_records`` wrote.

    Raises:
        ValueError: the file is no record file of this project, or of another schema version.
    """
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, FileNotFoundError) as error:
        raise ValueError(f"{path} is no readable Parquet file: {error}") from error
    meta = json.loads((table.schema.metadata or {}).get(_KEY, b"{}"))
    if meta.get("schema_version") != SCHEMA_VERSION or meta.get("record") not in _RECORDS:
        raise ValueError(f"{path} holds {meta or 'no record of dllm-rl'}; this version reads schema_version "
                         f"{SCHEMA_VERSION} of {', '.join(_RECORDS)}")
    return [_decode(_RECORDS[meta["record"]], row) for row in table.to_pylist()]
