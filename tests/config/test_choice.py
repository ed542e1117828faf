"""Choices by name, with options of their own."""

import pytest

from dllm_rl import registry
from dllm_rl.config.base import Options
from dllm_rl.config.choice import Choice, parse_choice
from dllm_rl.config.options import TraceViewOptions


@pytest.mark.parametrize("value", ["trace", {"name": "trace"}, {"name": "trace", "shrink": 1},
                                   Choice("trace", TraceViewOptions())])
def test_a_name_and_a_mapping_say_the_same(value: object) -> None:
    assert parse_choice(registry.VIEWS, value) == Choice("trace", TraceViewOptions(shrink=1))


def test_the_users_own_object_takes_any_options() -> None:
    mine = parse_choice(registry.REWARDS, {"name": "./mine.py:reward", "weight": 2, "words": ["a"]})
    assert mine == Choice("./mine.py:reward", {"weight": 2, "words": ["a"]})
    assert mine.option_values() == {"weight": 2, "words": ["a"]}


@pytest.mark.parametrize(("value", "message"), [
    (None, "write the name of a view, or a mapping with 'name' and its options; known: trace, random"),
    ({"shrink": 2}, "write the name of a view, or a mapping"),
    ("tracee", r"unknown view 'tracee'; did you mean 'trace'\? \(known: trace, .*; your own: package.module:object"),
    ({"name": "trace", "shrnk": 1}, r"view 'trace' has no option 'shrnk'; did you mean 'shrink'\?"),
    ({"name": "random", "lower_p": 0.9, "upper_p": 0.1},
     "view 'random': options: .*lower_p 0.9 is larger than upper_p 0.1"),
])
def test_a_wrong_choice_is_named(value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_choice(registry.VIEWS, value)


@pytest.mark.parametrize("known", [registry.VIEWS, registry.ADVANTAGES, registry.POLICY_LOSSES, registry.KL_TERMS,
                                   registry.REWARDS], ids=lambda known: known.kind)
def test_every_entry_has_options_with_defaults(known: registry.Registry) -> None:
    for name in known:
        options = parse_choice(known, name).options
        assert isinstance(options, Options)
        assert parse_choice(known, {"name": name, **options.model_dump()}).options == options
