"""Configurations from files and arguments, and what is said about wrong ones."""

from pathlib import Path

import pytest
import yaml

from dllm_rl.config.loading import ConfigError, dump_yaml, load_config, parse_config
from dllm_rl.config.rl import RlConfig

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
    ("optimizer.learning_rat=3", "unknown key 'optimizer.learning_rat'; did you mean 'learning_rate'?"),
    ("sed=1", "unknown key 'sed'; did you mean 'seed'?"),
    ("views={name: trace, shrnk: 2}", "view 'trace' has no option 'shrnk'; did you mean 'shrink'?"),
    ("views=tarce", "unknown view 'tarce'; did you mean 'trace'?"),
    ("rollout.decoding.temperature=-1", r"rollout.decoding.temperature: .*greater than or equal to 0.*\(given: -1\)"),
    ("rollout.decoding.block_size=0", "rollout.decoding.block_size: .*greater than or equal to 1"),
    ("rollout.decoding.remasking_strategy=random_order", "unknown unmasking strategy 'random_order'"),
    ("seed=many", r"seed: .*valid integer.*\(given: 'many'\)"),
    ("filter={min_pass_rate: 0.8, max_pass_rate: 0.2}", "min_pass_rate 0.8 is larger than max_pass_rate 0.2"),
    ("max_steps", "'max_steps' is not key=value"),
    ("prompt.template={problem} = ", "is not YAML; put text with braces or colons in double quotes"),
    ("config=nowhere.yaml", "no configuration file nowhere.yaml"),
])
def test_a_wrong_argument_is_named(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(RlConfig, [*BASE, argument])


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(RlConfig, ["model.path=x", "seeed=1"])
    assert [line for line in str(caught.value).splitlines() if "missing" in line or "unknown" in line] == [
        "command line: key 'tasks' is missing; write tasks=...",
        "command line: key 'evaluation' is missing; write evaluation=...",
        *[line for line in str(caught.value).splitlines() if "seeed" in line]]


def test_invalid_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError, match=r"a\.yaml"):
        load_config(RlConfig, [f"config={tmp_path / 'a.yaml'}"])
