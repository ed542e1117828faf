"""The RL configuration: what is needed, what is checked together."""

import pytest
from pydantic import ValidationError

from dllm_rl.config.rl import FilterConfig, RlConfig


def test_the_defaults_are_tracerl() -> None:
    config = RlConfig(model={"path": "x"}, tasks="arithmetic", evaluation={"tasks": "arithmetic"})
    assert [choice.name for choice in (config.views, config.advantage, config.policy_loss, config.kl, config.reward)] == [
        "trace", "group_z", "token_clip", "k3", "math"]
    assert (config.beta, config.policy_loss.options.eps, config.reduction.divisor) == (0.01, 0.2, "padded_length")
    assert (config.optimizer.learning_rate, config.filter, config.schema_version) == (1e-6, None, 1)


def test_model_and_tasks_are_needed() -> None:
    with pytest.raises(ValidationError) as caught:
        RlConfig()
    assert {item["loc"] for item in caught.value.errors()} == {("model",), ("tasks",), ("evaluation",)}


def test_the_band_is_ordered() -> None:
    assert FilterConfig(min_pass_rate=0.2, max_pass_rate=0.2).min_pass_rate == 0.2
    with pytest.raises(ValidationError, match="min_pass_rate 0.8 is larger than max_pass_rate 0.2"):
        FilterConfig(min_pass_rate=0.8, max_pass_rate=0.2)


def with_views(views: str, **decoding: object) -> RlConfig:
    return RlConfig(model={"path": "x"}, tasks="arithmetic", evaluation={"tasks": "arithmetic"}, views=views,
                    rollout={"decoding": decoding})


@pytest.mark.parametrize(("views", "decoding", "sentence"), [
    ("trace_action", {"temperature": 0}, "views 'trace_action' score what was drawn, and with .*temperature=0 nothing is"),
    ("trace_action", {"alg_temp": 0.5}, "alg_temp is 0.5, which draws the order itself, .* set alg_temp=0"),
    ("trace_all", {"alg_temp": 0.5, "record_discards": True}, "views 'trace_all' have no likelihood of that"),
    ("trace_all", {}, "set rollout.decoding.record_discards=true to keep them, or views=trace_action"),
])
def test_actions_without_a_likelihood_are_refused(views: str, decoding: dict, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        with_views(views, **decoding)


def test_actions_with_a_likelihood_are_taken() -> None:
    assert with_views("trace_action").views.name == "trace_action"
    assert with_views("trace_all", record_discards=True).rollout.decoding.record_discards
