"""Configurations from files and arguments, and what is said about wrong ones."""

import re
from pathlib import Path

import pytest
import yaml

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.config.loading import ConfigError, dump_yaml, load_config, parse_config
from dllm_rl.config.rl import RlConfig
from dllm_rl.config.sft import SftConfig

BASE = ["model.path=x", "tasks.name=arithmetic", "evaluation.tasks.name=arithmetic"]


def test_arguments_win_over_the_file_and_references_resolve(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model: {path: x}\ntasks: arithmetic\nevaluation: {tasks: arithmetic}\nseed: 3\n"
                    "rollout: {num_task_per_step: 8, decoding: {max_gen_length: '${rollout.num_task_per_step}'}}\n")
    config, folder = load_config(RlConfig, [f"config={file}", "seed=5", "views={name: trace, shrink: 2}"])
    assert folder == tmp_path
    assert (config.seed, config.rollout.decoding.max_gen_length, config.views.options.shrink) == (5, 8, 2)


def test_what_is_printed_reads_back_equal() -> None:
    config, _ = load_config(RlConfig, [*BASE, "filter.min_pass_rate=0.2"])
    assert parse_config(RlConfig, yaml.safe_load(dump_yaml(config)), "x") == config


def test_compat_expands_to_options_and_what_is_written_wins() -> None:
    config, _ = load_config(RlConfig, [*BASE, "compat=upstream", "views.name=random"])
    assert (config.views.options.grid, config.views.options.level) == ("response", "token")
    config, _ = load_config(RlConfig, [*BASE, "compat=upstream", "views={name: trace, grid: absolute}"])
    assert config.views.options.grid == "absolute"
    config, _ = load_config(RlConfig, [*BASE, "compat=upstream"])
    assert (config.views.name, config.views.options.grid) == ("trace", "response")


@pytest.mark.parametrize(("argument", "message"), [
    ("optimizer.learning_rat=3", "optimizer.learning_rat is no known key; did you mean 'optimizer.learning_rate'?"),
    ("sed=1", "sed is no known key; did you mean 'seed'?"),
    ("learning_rate=1", "learning_rate is no known key; did you mean 'optimizer.learning_rate'?"),
    ("model.xyz=1", "model.xyz is no known key; known here: path, device, dtype, mask_token_id,"),
    ("views={name: trace, shrnk: 2}", "views.shrnk is no option of view 'trace'; did you mean 'shrink'?; known:"),
    ("views={name: trace, shrink: 0}", "views.shrink is 0; allowed: whole number >= 1"),
    ("views=tarce", "views: unknown view 'tarce'; did you mean 'trace'?"),
    ("views=3", "views: write the name of a view, or a mapping with 'name' and its options; known: trace,"),
    ("rollout.decoding.temperature=-1", "rollout.decoding.temperature is -1; allowed: number >= 0"),
    ("rollout.decoding.block_size=0", "rollout.decoding.block_size is 0; allowed: whole number >= 1, or null"),
    ("rollout.decoding.stop_token_list=[a, 1.5]",
     "rollout.decoding.stop_token_list is ['a', 1.5]; allowed: list of text | whole number"),
    ("optimizer.learning_rate=.inf", "optimizer.learning_rate is inf; allowed: number > 0"),
    ("optimizer=null", "optimizer is null; allowed: keys learning_rate, beta1"),
    ("model=5", "model is 5; allowed: keys path, device"),
    ("schema_version=2", "schema_version is 2; allowed: 1"),
    ("seed=${nothing}", "seed: Interpolation key 'nothing' not found"),
    ("seed=???", "seed: Missing mandatory value: seed"),
    ("rollout.decoding.remasking_strategy=random_ordre",
     "rollout.decoding.remasking_strategy: unknown unmasking strategy 'random_ordre'; did you mean 'random_order'?"),
    ("seed=many", "seed is 'many'; allowed: whole number >= 0"),
    ("seed=true", "seed is True; allowed: whole number >= 0"),
    ("filter={min_pass_rate: 0.8, max_pass_rate: 0.2}", "filter: min_pass_rate 0.8 is larger than max_pass_rate 0.2"),
    ("max_steps", "'max_steps' is not key=value"),
    ("prompt.template={problem} = ", "is not YAML; put text with braces or colons in double quotes"),
    ("config=nowhere.yaml", "no configuration file nowhere.yaml"),
])
def test_a_wrong_argument_is_named(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_config(RlConfig, [*BASE, argument])


def test_every_problem_is_named_at_once_with_where_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("model: {path: x}\nseeed: 1\nmax_steps: 0\n")
    with pytest.raises(ConfigError) as caught:
        load_config(RlConfig, [f"config={file}", "beta=-1", "evaluation.every=2"])
    known = "math_json | gsm8k | math | arithmetic | sudoku | reasoning_gym, or your own module:object"
    assert str(caught.value).splitlines() == [
        f"{file}: max_steps is 0; allowed: whole number >= 1",
        f"{file}: tasks is missing; allowed: {known}",
        f"{file}: evaluation.tasks is missing; allowed: {known}",
        "command line: beta is -1; allowed: number >= 0",
        f"{file}: seeed is no known key; did you mean 'seed'?",
    ]


@pytest.mark.parametrize(("text", "message"), [
    ("a: [1\n", r"a\.yaml is not valid YAML: did not find expected ',' or '\]' \(line 2\)"),
    ("seed: 1\nseed: 2\n", r"a\.yaml is not valid YAML: found duplicate key seed \(line 2\)"),
    ("- 1\n", r"a\.yaml: the configuration must be a mapping of keys to values"),
    ("1: 2\n", r"a\.yaml: the configuration must be a mapping of keys to values"),
    ("3\n", r"a\.yaml cannot be read as YAML: Invalid loaded object type: int"),
    ("seed: '\\xe9'\n", r"a\.yaml cannot be read as YAML: 'utf-8' codec can't decode byte"),
])
def test_a_damaged_file_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(text.encode().replace(rb"\xe9", b"\xe9"))
    with pytest.raises(ConfigError, match=message):
        load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}"])


def test_a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "sums.yaml").touch()
    with pytest.raises(ConfigError, match=r"no configuration file .*sum\.yaml; did you mean 'sums'\?"):
        load_config(RlConfig, [f"config={tmp_path / 'sum.yaml'}"])
    with pytest.raises(ConfigError, match="config= is given 2 times \\(a, b\\); give it once"):
        load_config(RlConfig, ["config=a", "config=b"])


def test_an_empty_file_has_no_keys(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").touch()
    config, folder = load_config(EvalConfig, [f"config={tmp_path / 'a.yaml'}", "model.path=x", "tasks=arithmetic"])
    assert (config.model.path, folder) == ("x", tmp_path)


def test_an_option_joins_the_choice_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("views: random\nreward: {name: math, answer: text}\n")
    config, _ = load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}", *BASE, "views.upper_p=0.5", "reward.route=string"])
    assert (config.views.name, config.views.options.upper_p) == ("random", 0.5)
    assert (config.reward.options.answer, config.reward.options.route) == ("text", "string")
    config, _ = load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}", *BASE, "reward=length", "views.name=trace"])
    assert (config.reward.name, config.views.name) == ("length", "trace")     # options of another name are gone


def test_the_default_choice_and_section_keep_what_is_not_given() -> None:
    config, _ = load_config(RlConfig, [*BASE, "views.shrink=3"])
    assert (config.views.name, config.views.options.shrink) == ("trace", 3)
    config, _ = load_config(SftConfig, ["model.path=x", "tasks.name=arithmetic", "optimizer.warmup_steps=5"])
    assert (config.optimizer.learning_rate, config.optimizer.warmup_steps) == (1e-5, 5)


def test_a_preset_may_be_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("model: {path: there, device: cuda}\nseed: 7\nviews: random\n")
    (tmp_path / "a.yaml").write_text("preset: [model.yaml]\nmodel: {device: cpu}\ntasks: arithmetic\n"
                                     "evaluation: {tasks: arithmetic}\nviews: {upper_p: 0.5}\n")
    config, _ = load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}"])
    assert (config.model.path, config.model.device, config.seed) == ("there", "cpu", 7)
    assert (config.views.name, config.views.options.upper_p) == ("random", 0.5)
    with pytest.raises(ConfigError, match=r"no configuration file .*other\.yaml"):
        load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}", "preset=[other.yaml]"])
    with pytest.raises(ConfigError, match="unknown preset 'upsteam'; did you mean 'upstream'\\?; known: upstream, "):
        load_config(RlConfig, [*BASE, "preset=upsteam"])
