"""The rule against hand-made tables."""

import torch

from dllm_rl.attention.rule import may_attend
from dllm_rl.records import Layout
from dllm_rl.records.layout import NO_PARENT
from tests.helpers.layouts import tokens, with_views

SPEC_12_3 = """
100000000
111000000
111000000
111110000
111110000
111111000
111000110
111000110
111110001
"""


def table(layout: Layout) -> list[str]:
    return ["".join(str(int(x)) for x in row) for row in may_attend(layout, layout)]


def test_upstream_training_mask_of_the_specification() -> None:
    prompt, response = torch.arange(3), torch.arange(3)
    layout = Layout.join([tokens(prompt, -1 - (2 - prompt) // 2, 0), tokens(3 + response, response // 2, 0),
                          tokens(3 + response, response // 2, 0, view=1)])
    assert table(layout) == SPEC_12_3.split()


def test_one_block_is_full_and_blocks_of_one_are_causal() -> None:
    place = torch.arange(4)
    assert may_attend(tokens(place, place * 0, 0), tokens(place, place * 0, 0)).all()
    causal = may_attend(tokens(place, place, 0), tokens(place, place, 0))
    assert torch.equal(causal, torch.ones(4, 4).tril().bool())


def test_views_see_their_own_block_and_clean_history_only() -> None:
    layout = with_views(prompt=2, response=4, size=2, num_views=2, doc=0)
    seen = may_attend(layout, layout)
    first_of_second_block = 6 + 2                     # 6 clean tokens, then view 1: positions 2, 3, 4, 5
    assert seen[first_of_second_block].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 8, 9]


def test_a_child_continues_the_clean_tokens_of_its_parent() -> None:
    place = torch.arange(2)
    parent = Layout.join([tokens(place, place, 0), tokens(place, place, 0, view=1)])
    child = tokens(torch.tensor([2]), torch.tensor([2]), 1, parent=0)
    assert may_attend(child, Layout.join([parent, child])).tolist() == [[True, True, False, False, True]]


def test_a_parent_never_sees_its_child_nor_a_pad() -> None:
    place = torch.arange(2)
    layout = Layout.join([tokens(place, place, 0), tokens(place, place, 1, parent=0), tokens(place[:1], place[:1], 2)])
    seen = may_attend(layout, layout)
    assert not seen[:2, 2:].any()
    assert seen[4].tolist() == [False, False, False, False, True]


def test_no_parent_matches_no_document() -> None:
    place = torch.arange(2)
    assert NO_PARENT not in tokens(place, place, 0).doc.tolist()
