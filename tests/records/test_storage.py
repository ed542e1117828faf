"""Parquet both ways for every record type."""

import errno
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from dllm_rl.config.decoding import RecordedDecoding
from dllm_rl.records import Layout, Rollout, Sample, Scored, Task, View, storage
from dllm_rl.records.storage import read_records, write_records

ROLLOUT = Rollout([1, 2, 3], [20, 21, 9], [1, 2, 3], logprobs=[-0.1, -0.25, -1e-9], raw_logprobs=[-0.5, -1.0, -2.0],
                  tail_ids=[30, 31], tail_steps=[2, 3], tail_logprobs=[-1.0, -2.0], finish_reason="stop",
                  num_forwards=3, block_size=4, block_ends=[1, 5], seed=2**62, weight_versions=[7, 8], text="é",
                  decoding=RecordedDecoding(sampler_class="drawn", replay_class="selection", stop_token_list=["x", 3]))
TASK = Task("a/1", "2+3?", "5", meta={"level": 3, "tags": ["x"]})
RECORDS = {
    "task": [TASK, Task("a/2", "?")],
    "sample": [Sample([1], [2, 3], [1, 2]), Sample([], [2])],
    "rollout": [ROLLOUT, Rollout([1], [2], [1])],
    "scored": [Scored(TASK, ROLLOUT, 1.0, True, "5", {"string_equal": 1.0}), Scored(TASK, ROLLOUT, [0.5, 0.0, -1.0])],
}


@pytest.mark.parametrize("name", RECORDS)
def test_round_trip(name: str, tmp_path: Path) -> None:
    write_records(tmp_path / "x.parquet", RECORDS[name])
    assert read_records(tmp_path / "x.parquet") == RECORDS[name]


def test_round_trip_of_tensors(tmp_path: Path) -> None:
    view = View.of_targets(torch.tensor([False, True, True]), torch.tensor([False, False, True]),
                           block=torch.tensor([-1, 0, 2]), draw=3, log_q=-0.5)
    layout = Layout(*(torch.arange(4).reshape(2, 2) + number for number in range(5)))
    for record in (view, layout):
        write_records(tmp_path / "x.parquet", [record])
        [read] = read_records(tmp_path / "x.parquet")
        assert type(read) is type(record)
        for name, value in vars(record).items():
            other = vars(read)[name]
            assert torch.equal(other, value) and other.dtype == value.dtype if isinstance(value, torch.Tensor) \
                else other == value


def test_one_type_per_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"exactly one type are needed, got \['Sample', 'Task'\]"):
        write_records(tmp_path / "x.parquet", [TASK, Sample([], [2])])
    with pytest.raises(ValueError, match="exactly one type"):
        write_records(tmp_path / "x.parquet", [])


def test_other_files_and_versions_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.parquet"
    with pytest.raises(ValueError, match="no readable Parquet file"):
        read_records(file)
    write_records(file, RECORDS["sample"])
    table = pq.read_table(file)
    pq.write_table(table.replace_schema_metadata({}), file)
    with pytest.raises(ValueError, match="no record of dllm-rl; this version reads schema_version 1"):
        read_records(file)
    pq.write_table(table.replace_schema_metadata({"dllm_rl": '{"schema_version": 99, "record": "Sample"}'}), file)
    with pytest.raises(ValueError, match="'schema_version': 99"):
        read_records(file)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.parquet"
    write_records(file, RECORDS["sample"])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage.pq, "write_table", full)
    with pytest.raises(OSError, match="No space left"):
        write_records(file, RECORDS["task"])
    monkeypatch.undo()
    assert read_records(file) == RECORDS["sample"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]
