"""Generation: where prompts come from, what is refused before decoding, where responses go."""

import io
import json
from pathlib import Path

import pytest

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.config.generation import GenerateConfig
from dllm_rl.config.loading import load_config
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.generation import encode_questions, read_questions, run_generate
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.families.byte_tokenizer import END_OF_TEXT, MASK, byte_tokenizer
from dllm_rl.records import Task
from dllm_rl.records.storage import read_records
from dllm_rl.training.demo import SIZES

FULL_ATTENTION = {
    "dream": SIZES,
    "llada": {"d_model": 64, "mlp_hidden_size": 96, "n_heads": 4, "n_kv_heads": 4, "n_layers": 2, "vocab_size": 264,
              "embedding_size": 264, "max_sequence_length": 64},
}
RAW = 'prompt.template="{problem}"'


def configured(*arguments: str, path: object = "x") -> GenerateConfig:
    return load_config(GenerateConfig, [f"model.path={path}", RAW, "decoding.max_gen_length=6", *arguments])[0]


def generate(*arguments: str, path: Path, folder: Path = Path()) -> list[dict]:
    """The lines of a run, as they come."""
    lines: list[dict] = []
    run_generate(configured(*arguments, path=path), folder, Display(quiet=True), lambda line: lines.append(
        json.loads(line)))
    return lines


def test_prompts_then_file_then_tasks(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("one \n\n  \ntwo", encoding="utf-8")
    said: list[str] = []
    tasks = read_questions(configured("prompts=[zero]", "prompts_file=p.txt", "tasks={name: arithmetic, num_tasks: 1}"),
                           tmp_path, said.append)
    assert [task.question for task in tasks] == ["zero", "one ", "two", tasks[-1].question]
    assert [task.id for task in tasks[:3]] == ["0", "1", "2"]
    assert [task.meta["place"] for task in tasks[:3]] == [
        "prompts[0]", f"{tmp_path / 'p.txt'}, line 1", f"{tmp_path / 'p.txt'}, line 4"]
    assert said == [f"{tmp_path / 'p.txt'}: 2 empty lines of 4 skipped"]


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a\u2028b\nc\n"))
    said: list[str] = []
    tasks = read_questions(configured("prompts_file=-"), Path(), said.append)
    assert [(task.question, task.meta["place"]) for task in tasks] == [
        ("a\u2028b", "standard input, line 1"), ("c", "standard input, line 2")]
    assert said == []


@pytest.mark.parametrize(("content", "message"), [
    (None, r"no prompts file .*p\.txt; give a file with one prompt per line, or - for standard input"),
    (b"\n \n", r"p\.txt has no prompt in it; write one per line"),
    (b"a\n\xff\n", r"p\.txt is not UTF-8 text \(invalid start byte at byte 2\); convert it"),
])
def test_a_bad_file_is_named(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "p.txt").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_questions(configured("prompts_file=p.txt"), tmp_path)


def test_places_are_named_before_anything_is_decoded(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("short\n\n" + "x" * 1019 + "\n")
    shown: list[str] = []
    with pytest.raises(ValueError, match=r"p\.txt, line 3: a prompt of 1019 tokens and .* reach position 1028"):
        run_generate(configured("prompts_file=p.txt", path=checkpoint), tmp_path, Display(quiet=True), shown.append)
    assert shown == []


def test_a_task_is_named_by_its_id_and_an_empty_prompt_is_refused(lm: LanguageModel) -> None:
    decoding = DecodingConfig(max_gen_length=1)
    with pytest.raises(ValueError, match=r"task 'nine': a prompt of 1024 tokens"):
        encode_questions(lm, [Task(id="nine", question="")], ["x" * 1024], decoding)
    with pytest.raises(ValueError, match=r"task 'nine': the prompt is empty; write something or remove it"):
        encode_questions(lm, [Task(id="nine", question="")], [""], decoding)
    assert encode_questions(lm, [Task(id="nine", question="")], ["x" * 1023], decoding) == [lm.tokenizer.encode("x") * 1023]


def test_lines_come_batch_by_batch_and_do_not_depend_on_it(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together = generate("prompts=[a,bb,ccc]", "num_samples=2", path=checkpoint)
    calls: list[int] = []
    decode = LocalDecoder.generate
    monkeypatch.setattr(LocalDecoder, "generate", lambda own, prompts, *rest: calls.append(len(prompts)) or decode(
        own, prompts, *rest))
    seen: list[tuple[dict, int]] = []
    run_generate(configured("prompts=[a,bb,ccc]", "num_samples=2", "decoding.batch_size=2", path=checkpoint), Path(),
                 Display(quiet=True), lambda line: seen.append((json.loads(line), len(calls))))
    assert calls == [1, 1, 1] and [number for _, number in seen] == [1, 2, 3]
    assert [line for line, _ in seen] == together
    assert [line["prompt"] for line in together] == ["a", "bb", "ccc"]
    assert all(len(line["responses"]) == 2 for line in together)


def test_out_and_records_hold_the_same_responses(checkpoint: Path, tmp_path: Path) -> None:
    out, records = tmp_path / "new" / "o.jsonl", tmp_path / "r.parquet"
    shown = generate("prompts=[a,é]", "num_samples=2", "trace=true", f"out={out}", f"records={records}", path=checkpoint)
    assert shown == []
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    rollouts = read_records(records)
    responses = [response for line in lines for response in line["responses"]]
    assert len(responses) == len(rollouts) == 4
    for response, rollout in zip(responses, rollouts, strict=True):
        assert {name: vars(rollout)[name] for name in ("text", "response_ids", "step_map", "logprobs", "tail_logprobs",
                                                       "block_ends", "seed", "num_forwards")}.items() <= response.items()
        assert response["tokens"] == len(rollout.response_ids)
    assert lines == generate("prompts=[a,é]", "num_samples=2", "trace=true", path=checkpoint)
    assert sorted(generate("prompts=[a]", path=checkpoint)[0]["responses"][0]) == [
        "finish_reason", "num_cache_forwards", "num_forwards", "text", "tokens"]


def test_a_failed_run_leaves_no_file(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("before")
    with pytest.raises(ValueError, match="top_k 9999 is larger than the vocabulary"):
        generate("prompts=[a]", "decoding.top_k=9999", f"out={tmp_path / 'o.jsonl'}", path=checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["o.jsonl"]
    assert (tmp_path / "o.jsonl").read_text() == "before"


@pytest.mark.parametrize("family", FULL_ATTENTION)
def test_full_attention_models_take_a_canvas(family: str, tmp_path: Path) -> None:
    tokenizer = byte_tokenizer()
    ids = tokenizer.get_vocab()
    special = {"mask": ids[MASK], "pad": ids[END_OF_TEXT], "eos": ids[END_OF_TEXT]}
    create_model(family, FULL_ATTENTION[family], tokenizer, special, block_size=None, seed=1).save(tmp_path)
    [line] = generate("prompts=[abc]", "trace=true", f"records={tmp_path / 'r.parquet'}", path=tmp_path)
    [rollout] = read_records(tmp_path / "r.parquet")
    assert rollout.block_size is None and line["responses"][0]["step_map"] == rollout.step_map
    assert len(rollout.response_ids) + len(rollout.tail_ids) == 6
