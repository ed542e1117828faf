"""A rollout's lists fit together."""

import pytest

from dllm_rl.records import Rollout


def test_the_constructor_needs_three_fields() -> None:
    rollout = Rollout([1], [2, 3], [1, 1])
    assert (rollout.tail_ids, rollout.logprobs, rollout.finish_reason) == ([], None, None)


@pytest.mark.parametrize(("fields", "message"), [
    (([1], [2, 3], [1]), "step_map has 1 ids for 2 response tokens"),
    (([1], [-2], [1]), "token ids must be 0 or larger"),
    (([1], [2], [-1]), "step ids must be 0 or larger"),
    (([1], [2], [1], [0.0, 0.0]), "logprobs has 2 values for 1 response tokens"),
])
def test_lists_that_do_not_fit_are_named(fields: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rollout(*fields)


def test_a_tail_has_one_step_per_token() -> None:
    with pytest.raises(ValueError, match="step_map has 0 ids for 1 response tokens"):
        Rollout([1], [2], [1], tail_ids=[3])
