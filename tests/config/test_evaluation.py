"""Named decoding settings: what they inherit, and what is said about wrong ones."""

from pathlib import Path

import pytest
import yaml

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.loading import ConfigError, dump_yaml, load_config, parse_config

BASE = ["model.path=x", "tasks.name=arithmetic"]


def test_without_settings_the_section_is_the_only_one() -> None:
    config, _ = load_config(EvalConfig, [*BASE, "decoding.top_k=3"])
    assert config.decodings() == {"default": config.decoding}


def test_settings_win_over_the_section_and_keep_the_rest(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(
        "model: {path: x}\ntasks: arithmetic\npreset: sdar_dynamic\ndecoding: {top_p: 0.8, max_gen_length: 32}\n"
        "settings:\n  - {name: static, remasking_strategy: low_confidence_static, top_k: 1}\n"
        "  - {name: fast-0.5, dynamic_threshold: 0.5, max_gen_length: '${decoding.max_gen_length}'}\n")
    config, _ = load_config(EvalConfig, [f"config={tmp_path / 'e.yaml'}", "decoding.top_p=0.7"])
    found = config.decodings()
    assert list(found) == ["static", "fast-0.5"]
    own = {"remasking_strategy": "low_confidence_static", "top_k": 1}
    assert found["static"] == config.decoding.model_copy(update=own)
    assert found["fast-0.5"] == config.decoding.model_copy(update={"dynamic_threshold": 0.5})
    assert (config.decoding.top_p, config.decoding.max_gen_length) == (0.7, 32)


def test_what_is_printed_reads_back_equal() -> None:
    config, _ = load_config(EvalConfig, [*BASE, "settings=[{name: a, top_k: 1}, {name: b, stop_token_list: [7]}]"])
    assert parse_config(EvalConfig, yaml.safe_load(dump_yaml(config)), "x") == config


@pytest.mark.parametrize(("settings", "message"), [
    ("[]", r"settings: there is no setting in the list; write one or more, or leave the key out"),
    ("[{top_k: 1}]", r"settings: the name of setting 1 is None; allowed: letters, digits and \. _ -"),
    ("[{name: a/b}]", r"the name of setting 1 is 'a/b'"),
    ("[{name: a}, {name: 1}]", r"the name of setting 2 is 1"),
    ("[{name: a}, {name: a, top_k: 1}]", r"settings: two settings are called 'a'; give each a name of its own"),
    ("[{name: a, dynamic_treshold: 1}]",
     r"settings.dynamic_treshold is no option of setting 'a'; did you mean 'dynamic_threshold'\?"),
    ("[{name: a, top_p: 2}]", r"settings.top_p is 2; allowed: number > 0 and <= 1"),
    ("[{name: a, remasking_strategy: nope}]", r"unknown unmasking strategy 'nope'"),
    ("static", r"settings is 'static'; allowed: list of"),
    ("[static]", r"settings is \['static'\]; allowed: list of"),
])
def test_wrong_settings_are_named(settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(EvalConfig, [*BASE, f"settings={settings}"])


def test_a_wrong_section_is_named_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(EvalConfig, [*BASE, "decoding.top_k=-1", "settings=[{name: a}]"])
    assert str(caught.value) == "command line: decoding.top_k is -1; allowed: whole number >= 0"
