"""Samples and rollouts of every shape, and views drawn as the documents draw them."""

from hypothesis import strategies as st

from dllm_rl.records import Discards, Rollout, Sample, View


@st.composite
def rollouts(draw: st.DrawFn, min_response: int = 1) -> Rollout:
    """A rollout on blocks of 1 to 6 with any prompt length, any order of reveals, and a tail to the last block's end."""
    size = draw(st.integers(1, 6))
    prompt = draw(st.lists(st.integers(0, 9), max_size=9))
    response = draw(st.lists(st.integers(0, 9), min_size=min_response, max_size=14))
    tail = draw(st.integers(0, 1)) * (-(len(prompt) + len(response)) % size)
    steps = st.integers(1, 5)
    return Rollout(prompt, response, [draw(steps) for _ in response], tail_ids=[8] * tail,
                   tail_steps=[draw(steps) for _ in range(tail)], block_size=size, seed=draw(st.integers(0, 2**63 - 1)),
                   discards=Discards())


def letters(view: View, sample: Sample | Rollout) -> tuple[str, str]:
    """Masks (``M``) and targets (``T``) behind the prompt as two strings, ``.`` for neither."""
    start = len(sample.prompt_ids)
    masks = "".join("M" if masked else "." for masked in view.masked[start:].tolist())
    targets = "".join("T" if target else "." for target in view.target[start:].tolist())
    return masks, targets
