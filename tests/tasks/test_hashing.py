"""The hash of the built-in task sets."""

from dllm_rl.tasks.hashing import hash_numbers


def test_the_hash_is_fixed_and_depends_on_order_and_every_number() -> None:
    assert hash_numbers(1, 2) == 294703263664489276158604800864215205163
    assert len({hash_numbers(1, 2), hash_numbers(2, 1), hash_numbers(12), hash_numbers(1, 2, 0), hash_numbers()}) == 5
    assert 0 <= hash_numbers(-1) < 2**128
