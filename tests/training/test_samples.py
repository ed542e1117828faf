"""Fine-tuning samples from tasks and files."""

import json
from pathlib import Path

import pytest

from dllm_rl.config.loading import load_config
from dllm_rl.config.sft import SftConfig
from dllm_rl.families import LanguageModel, create_model
from dllm_rl.families.byte_tokenizer import byte_tokenizer
from dllm_rl.training.samples import load_samples
from tests.families.test_loading import SIZES


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return create_model("sdar", SIZES | {"vocab_size": 264}, byte_tokenizer(), {"mask": 259, "pad": 256, "eos": 256}, 4)


def samples(lm: LanguageModel, folder: Path, *arguments: str) -> list:
    config, _ = load_config(SftConfig, ["model.path=x", *arguments])
    return load_samples(config, lm, folder)


def test_a_task_becomes_prompt_answer_and_turn_end(lm: LanguageModel, tmp_path: Path) -> None:
    [sample] = samples(lm, tmp_path, "tasks={name: arithmetic, num_tasks: 1}", 'prompt.template="Q{problem}="')
    text = lm.tokenizer.decode(sample.prompt_ids + sample.response_ids)
    assert text.startswith("Q")
    assert text.endswith("<|im_end|>")
    assert eval(text[1:].split("=")[0]) == int(text.split("=")[1].removesuffix("<|im_end|>"))


def test_a_file_keeps_its_step_maps_and_its_own_end(lm: LanguageModel, tmp_path: Path) -> None:
    rows = [{"prompt": "a", "response": "bc", "step_map": [2, 1]}, {"prompt": "a", "response": "b<|im_end|>"}]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = samples(lm, tmp_path, "data=d.jsonl")
    assert first.step_map == [2, 1, 3]
    assert second.response_ids.count(258) == 1


@pytest.mark.parametrize(("row", "message"), [
    ({"prompt": "a"}, "d.jsonl, .*response"),
    ({"prompt": "a", "response": "b", "step": [1]}, "no option 'step'; did you mean 'step_map'"),
    ({"prompt": "a", "response": "bc", "step_map": [1]}, "step_map has 2 ids for 3 response tokens"),
])
def test_a_wrong_line_is_named(lm: LanguageModel, tmp_path: Path, row: dict, message: str) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=message):
        samples(lm, tmp_path, "data=d.jsonl")
