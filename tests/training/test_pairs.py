"""Pairs of choices: action views are refused where a sampler's losing candidates have no likelihood."""

import pytest

from dllm_rl.config.rl import RlConfig
from dllm_rl.registry import STRATEGIES
from dllm_rl.training.pairs import refuse_action_views


def config(views: str, strategy: str) -> RlConfig:
    return RlConfig(model={"path": "x"}, tasks="arithmetic", evaluation={"tasks": "arithmetic"}, views=views,
                    rollout={"decoding": {"remasking_strategy": strategy, "record_discards": True}})


@pytest.mark.parametrize("strategy", [*STRATEGIES])
def test_every_strategy_is_taken_or_refused_with_what_works(strategy: str) -> None:
    refuse_action_views(config("trace", strategy))
    refuse_action_views(config("trace_all", strategy))
    if strategy in ("carried_threshold", "hierarchical", "klass", "local_leap", "adablock"):
        with pytest.raises(ValueError, match=rf"remasking_strategy '{strategy}' has no losing event .* views=trace_all"):
            refuse_action_views(config("trace_action", strategy))
    else:
        refuse_action_views(config("trace_action", strategy))
