"""The page on own decoders: its code is taken out of it and run."""

import json
import re
from pathlib import Path

import pytest

from dllm_rl.cli import main
from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.decoding.request import prepare_requests
from dllm_rl.families import LanguageModel, load_model
from dllm_rl.records import Rollout
from dllm_rl.records.storage import read_records
from dllm_rl.training.demo import create_tiny_model

PAGE = Path(__file__).parents[2] / "docs/own_decoder.md"
PROMPTS = ["07+35 = ", "1", "12345678", "a longer prompt of several blocks"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "start"
    create_tiny_model(path, seed=1)
    return path


@pytest.fixture(scope="module")
def lm(checkpoint: Path) -> LanguageModel:
    return load_model(str(checkpoint))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page."""
    place = tmp_path_factory.mktemp("mine")
    for name, code in re.findall(r'```python title="(\S+)"\n(.*?)```', PAGE.read_text(), re.DOTALL):
        (place / name).write_text(code)
    assert sorted(path.name for path in place.iterdir()) == ["fused.py", "near_best.py"]
    return place


def decoded(lm: LanguageModel, **options: object) -> list[Rollout]:
    config = DecodingConfig(max_gen_length=23, **options)
    return [rollout for group in LocalDecoder(lm).generate(PROMPTS, config) for rollout in group]


def test_the_code_of_the_page_is_as_short_as_it_says(folder: Path) -> None:
    lines = {path.stem: path.read_text().partition("\nclass ")[2].count("\n") for path in folder.iterdir()}
    assert lines["near_best"] <= 12 and lines["fused"] <= 55


@pytest.mark.parametrize("options", ["decoding.remasking_strategy={}/near_best.py:NearBest",
                                     "decoding.decoder={}/fused.py:Fused"])
def test_generate_runs_both_from_a_file(options: str, folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    option = options.format(folder)
    assert main(["generate", f"model.path={checkpoint}", 'prompts=["07+35"]', 'prompt.template="{problem} = "', option,
                 "decoding.max_gen_length=9", f"out={tmp_path / 'o.jsonl'}", f"records={tmp_path / 'o.parquet'}",
                 "--quiet"]) == 0
    [line] = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    [rollout] = read_records(tmp_path / "o.parquet")
    assert line["responses"][0]["text"] == rollout.text and 1 <= len(rollout.response_ids) <= 9
    name, _, value = option.removeprefix("decoding.").partition("=")
    assert vars(rollout.decoding)[name] == value


def test_a_module_works_as_a_file_does(folder: Path, checkpoint: Path, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(folder)
    assert main(["generate", f"model.path={checkpoint}", 'prompts=["07+35"]', "prompt.template=\"{problem} = \"",
                 "decoding.remasking_strategy=near_best:NearBest", "decoding.decoder=fused:Fused",
                 "decoding.max_gen_length=9", f"out={tmp_path / 'o.jsonl'}", "--quiet"]) == 0
    assert (tmp_path / "o.jsonl").read_text().count("\n") == 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("strategy", ["low_confidence_static", "low_confidence_dynamic", "entropy_bounded", "near_best"])
def test_the_fused_loop_gives_the_tokens_of_the_built_in_one(strategy: str, temperature: float, folder: Path,
                                                             lm: LanguageModel) -> None:
    name = f"{folder}/near_best.py:NearBest" if strategy == "near_best" else strategy
    options = {"remasking_strategy": name, "temperature": temperature, "dynamic_threshold": 0.05, "eb_threshold": 20.0}
    built_in, fused = decoded(lm, **options), decoded(lm, **options, decoder=f"{folder}/fused.py:Fused")
    for ours, theirs in zip(fused, built_in, strict=True):
        assert (ours.response_ids, ours.step_map, ours.tail_ids) == (
            theirs.response_ids, theirs.step_map, theirs.tail_ids)
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)    # float32, summed in another order
        assert (ours.num_forwards, ours.num_cache_forwards) == (theirs.num_forwards, 0)
    assert sum(rollout.num_cache_forwards for rollout in built_in) > 0


def test_near_best_takes_one_forward_per_block_where_everything_is_near(folder: Path, lm: LanguageModel) -> None:
    name = f"{folder}/near_best.py:NearBest"
    bold = decoded(lm, remasking_strategy=name, dynamic_threshold=0.0)
    shy = decoded(lm, remasking_strategy=name, dynamic_threshold=1.0)
    assert all(rollout.num_forwards == len(rollout.block_ends) for rollout in bold)
    assert sum(rollout.num_forwards for rollout in shy) > sum(rollout.num_forwards for rollout in bold)


def test_the_loop_shows_what_it_does(folder: Path, checkpoint: Path, lm: LanguageModel) -> None:
    config = DecodingConfig(max_gen_length=8, decoder=f"{folder}/fused.py:Fused")
    [[request]] = prepare_requests(lm, ["07+35 = "], config)
    pictures: list[list[int]] = []
    [rollout] = load_decoder(lm, config).decode([request], watch=lambda number, ids: pictures.append(ids))
    assert len(pictures) == rollout.num_forwards
    assert pictures[-1] == [*rollout.response_ids, *rollout.tail_ids]


def test_relative_files_start_at_the_folder_of_the_yaml(folder: Path, checkpoint: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "run.yaml").write_text(
        "decoding: {remasking_strategy: ./near_best.py:NearBest, decoder: ./fused.py:Fused, max_gen_length: 5}\n")
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["generate", f"config={folder / 'run.yaml'}", f"model.path={checkpoint}", "prompts=[a]",
                     'prompt.template="{problem}"', "records=r.parquet", "out=o.jsonl", "--quiet"]) == 0
    finally:
        (folder / "run.yaml").unlink()
    [rollout] = read_records("r.parquet")
    assert rollout.decoding.decoder == f"{folder}/fused.py:Fused"
