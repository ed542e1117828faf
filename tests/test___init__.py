"""The front door: every public name is there, and nothing else."""

import pytest

import dllm_rl


@pytest.mark.parametrize("name", dllm_rl.__all__)
def test_a_public_name_is_found_where_it_is_said_to_be(name: str) -> None:
    module, _, attribute = dllm_rl._PUBLIC[name].partition(":")
    found = getattr(dllm_rl, name)
    assert found.__name__ == (attribute or module)
    assert name in dir(dllm_rl)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dllm_rl' has no attribute 'nothing'"):
        _ = dllm_rl.nothing
    assert dllm_rl.__version__
