"""Every registered unmasking strategy: its promises, and equality with a plain oracle."""

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.klass import kl_divergence
from dllm_rl.decoding.schedules import even_split
from dllm_rl.decoding.scores import SCORES
from dllm_rl.decoding.step import Step
from dllm_rl.decoding.strategies import Strategy, below_worst, losing_problem, sampler_class_of
from dllm_rl.registry import STRATEGIES

VOCABULARY = 3
NAMES = list(STRATEGIES)
few = settings(max_examples=40, deadline=None)
"""Examples per strategy and promise: there are many of both."""


@dataclass
class Case:
    """Scores are eighths, so that sums and ties are exact; logits are small integers."""

    scores: torch.Tensor
    masked: torch.Tensor
    quota: torch.Tensor
    last: torch.Tensor
    inclusive: bool
    logits: torch.Tensor
    config: DecodingConfig

    def step(self, memory: dict[str, torch.Tensor] | None = None) -> Step:
        return Step(self.quota, self.last, self.inclusive, self.logits, {} if memory is None else memory)

    def row(self, number: int) -> "Case":
        own = slice(number, number + 1)
        return Case(self.scores[own], self.masked[own], self.quota[own], self.last[own], self.inclusive, self.logits[own],
                    self.config)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size, rows = draw(st.integers(1, 9)), draw(st.integers(1, 4))
    eighth = st.integers(0, 9).map(lambda count: count / 8)
    config = DecodingConfig(
        dynamic_threshold=draw(eighth), eb_threshold=draw(st.integers(1, 20)) / 8,
        threshold_factor=draw(st.integers(1, 9)) / 4,
        hierarchical_high=draw(eighth), hierarchical_low=draw(eighth), leap_anchor=draw(eighth), leap_accept=draw(eighth),
        leap_radius=draw(st.integers(0, 4)), klass_threshold=draw(eighth),
        klass_kl_threshold=draw(st.sampled_from([1e-3, 0.3])), klass_steps=draw(st.integers(1, 2)))

    def table(element: st.SearchStrategy) -> torch.Tensor:
        return torch.tensor(draw(st.lists(st.lists(element, min_size=size, max_size=size), min_size=rows, max_size=rows)))

    logits = torch.tensor(draw(st.lists(st.integers(-2, 2), min_size=rows * size * VOCABULARY,
                                        max_size=rows * size * VOCABULARY)), dtype=torch.float32)
    numbers = st.lists(st.integers(1, size), min_size=rows, max_size=rows)
    return Case(table(st.integers(0, 8)) / 8, table(st.booleans()), torch.tensor(draw(numbers)),
                torch.tensor(draw(st.lists(st.booleans(), min_size=rows, max_size=rows))), draw(st.booleans()),
                logits.view(rows, size, VOCABULARY), config)


def strategy(name: str) -> Strategy:
    return STRATEGIES.load(name)()


def reveal(name: str, case: Case, memory: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
    own = strategy(name)
    scores = -case.scores if own.score == "neg_entropy" else case.scores
    return own.reveal(scores, case.masked, case.step(memory), case.config)


@dataclass
class Row:
    """One row in plain Python."""

    scores: list[float]
    left: list[int]
    quota: int
    config: DecodingConfig
    inclusive: bool

    def passes(self, column: int, threshold: float) -> bool:
        return self.scores[column] >= threshold if self.inclusive else self.scores[column] > threshold

    @property
    def best(self) -> list[int]:
        return sorted(self.left, key=lambda column: (-self.scores[column], column))

    @property
    def top(self) -> set[int]:
        return set(self.best[:self.quota])

    def static(self) -> set[int]:
        return self.top

    def dynamic(self) -> set[int]:
        return {column for column in self.left if self.passes(column, self.config.dynamic_threshold)} | self.top

    def sequential(self) -> set[int]:
        return set(self.left[:self.quota])

    def certain(self) -> set[int]:
        """Scores are entropies here."""
        return set(sorted(self.left, key=lambda column: (self.scores[column], column))[:self.quota])

    def entropy_bounded(self) -> set[int]:
        order = sorted(self.left, key=lambda column: (self.scores[column], column))
        sums = np.cumsum([self.scores[column] for column in order])
        return set(order[:max(1, int((sums < self.config.eb_threshold).sum()))])

    def threshold_factor(self) -> set[int]:
        count = 0
        for place, column in enumerate(self.best, 1):
            if place > 1 and self.scores[column] < np.float32(1 - self.config.threshold_factor / (place + 1)):
                break
            count = place
        return set(self.best[:len(self.left) if count == len(self.left) - 1 else count])

    def carried(self) -> set[int]:
        return {column for place, column in enumerate(self.best[:self.quota])
                if place == 0 or self.passes(column, self.config.dynamic_threshold)}

    def hierarchical(self) -> set[int]:
        runs: list[list[int]] = []
        for column in self.left:
            if runs and runs[-1][-1] == column - 1:
                runs[-1].append(column)
            else:
                runs.append([column])
        heads = [max(run, key=lambda column: (self.scores[column], -column)) for run in runs]
        return ({column for column in self.left if self.passes(column, self.config.hierarchical_high)} | self.top
                | {column for column in heads if self.passes(column, self.config.hierarchical_low)})

    def local_leap(self) -> set[int]:
        config = self.config
        anchors = {column for column in self.left if self.scores[column] >= config.leap_anchor}
        near = {column for column in self.left if self.scores[column] >= config.leap_accept
                and any(abs(column - anchor) <= config.leap_radius for anchor in anchors)}
        return anchors | near | self.top


ORACLES: dict[str, Callable[[Row], set[int]]] = {
    "low_confidence_static": Row.static, "low_confidence_dynamic": Row.dynamic, "sequential": Row.sequential,
    "entropy_bounded": Row.entropy_bounded, "threshold_factor": Row.threshold_factor, "carried_threshold": Row.carried,
    "margin": Row.static, "neg_entropy": Row.certain, "random_order": Row.static, "hierarchical": Row.hierarchical,
    "klass": Row.static,      # without a predecessor nothing is at rest
    "local_leap": Row.local_leap, "adablock": Row.dynamic}


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases())
def test_reveals_what_the_oracle_reveals(name: str, case: Case) -> None:
    found = reveal(name, case)
    for number in range(len(found)):
        left = case.masked[number].nonzero()[:, 0].tolist()
        row = Row(case.scores[number].tolist(), left, int(case.quota[number]), case.config, case.inclusive)
        expected = set(left) if bool(case.last[number]) else ORACLES[name](row)
        assert set(found[number].nonzero()[:, 0].tolist()) == expected


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases(), garbage=st.sampled_from([float("nan"), float("inf"), -float("inf"), 1e38]))
def test_reveals_masks_only_and_at_least_one(name: str, case: Case, garbage: float) -> None:
    found = reveal(name, case)
    assert found.dtype == torch.bool
    assert not bool((found & ~case.masked).any())
    assert torch.equal(found.any(1), case.masked.any(1))
    # Scores and logits of unmasked positions are never read, whatever stands there.
    case.scores = case.scores.masked_fill(~case.masked, garbage)
    case.logits = case.logits.masked_fill(~case.masked[..., None], garbage)
    assert torch.equal(reveal(name, case), found)


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases(), garbage=st.sampled_from([float("nan"), float("inf"), -float("inf")]))
def test_useless_scores_cannot_stall_a_block(name: str, case: Case, garbage: float) -> None:
    case.scores = torch.full_like(case.scores, garbage)
    found = reveal(name, case)
    assert torch.equal(found.any(1), case.masked.any(1))
    assert not bool((found & ~case.masked).any())


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases())
def test_a_block_ends(name: str, case: Case) -> None:
    """Within as many steps as it has masks, one due at each, with what the strategy remembers kept."""
    memory: dict[str, torch.Tensor] = {}
    case.quota, case.last = torch.ones_like(case.quota), torch.zeros_like(case.last)
    for _ in range(case.masked.shape[1]):
        case.masked = case.masked & ~reveal(name, case, memory)
    assert not bool(case.masked.any())


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases())
def test_a_block_is_done_after_its_last_step(name: str, case: Case) -> None:
    case.last = torch.ones_like(case.last)
    assert torch.equal(reveal(name, case), case.masked)


@pytest.mark.parametrize("name", NAMES)
@few
@given(case=cases(), data=st.data())
def test_rows_do_not_influence_each_other(name: str, case: Case, data: st.DataObject) -> None:
    """Alone, together and in another order, over two steps."""
    together, alone, moved = {}, [{} for _ in case.masked], {}
    order = torch.tensor(data.draw(st.permutations(range(len(case.masked)))))
    for _ in range(2):
        found = reveal(name, case, together)
        apart = [reveal(name, case.row(number), alone[number]) for number in range(len(found))]
        assert torch.equal(torch.cat(apart), found)
        other = Case(case.scores[order], case.masked[order], case.quota[order], case.last[order], case.inclusive,
                     case.logits[order], case.config)
        assert torch.equal(reveal(name, other, moved), found[order])
        case.masked = case.masked & ~found


@pytest.mark.parametrize("name", ["low_confidence_dynamic", "hierarchical", "klass", "local_leap", "adablock"])
def test_a_threshold_above_one_reveals_one_per_step(name: str) -> None:
    above = dict.fromkeys(["dynamic_threshold", "hierarchical_high", "hierarchical_low", "klass_threshold", "leap_anchor",
                           "leap_accept"], 1.5)
    masked = torch.ones(1, 6, dtype=torch.bool)
    case = Case(torch.tensor([[1.0, 0.5, 1.0, 0.25, 0.9, 0.1]]), masked, torch.tensor([1]), torch.tensor([False]), True,
                torch.zeros(1, 6, VOCABULARY), DecodingConfig(**above))
    memory: dict[str, torch.Tensor] = {}
    for _ in range(6):
        found = reveal(name, case, memory)
        assert int(found.sum()) == 1
        case.masked = case.masked & ~found


@pytest.mark.parametrize("name", NAMES)
def test_ties_go_to_the_left(name: str) -> None:
    config = DecodingConfig(dynamic_threshold=0.9, eb_threshold=0.1, threshold_factor=0.1, hierarchical_low=0.9)
    case = Case(torch.full((1, 5), 0.5), torch.tensor([[False, True, True, True, True]]), torch.tensor([1]),
                torch.tensor([False]), False, torch.zeros(1, 5, VOCABULARY), config)
    assert reveal(name, case).tolist() == [[False, True, False, False, False]]


@pytest.mark.parametrize("name", NAMES)
def test_declarations(name: str) -> None:
    own = strategy(name)
    assert own.score in SCORES
    assert own.replay_class == "selection"
    assert own.sampler_class == {"confidence": "drawn", "neg_entropy": "distribution", "margin_confidence": "distribution",
                                 "random": "random", "position": "sequential"}[own.score]
    assert own.remembers or not own.needs_logits


def test_thresholds_by_hand() -> None:
    masked, step = torch.ones(1, 4, dtype=torch.bool), Step.of_quota(torch.tensor([1]))
    config = DecodingConfig(dynamic_threshold=0.5, eb_threshold=0.5)
    scores = torch.tensor([[0.5, 0.75, 0.5, 0.625]])
    dynamic = strategy("low_confidence_dynamic")
    assert dynamic.reveal(scores, masked, step, config).tolist() == [[False, True, False, True]]
    step.inclusive = True
    assert dynamic.reveal(scores, masked, step, config).all()
    entropies = torch.tensor([[0.25, 1.0, 0.125, 0.125]])  # sums 0.125, 0.25, 0.5: the third is not below the bound
    assert strategy("entropy_bounded").reveal(-entropies, masked, step, config).tolist() == [[False, False, True, True]]


def test_two_remaining_masks_go_together_under_the_factor() -> None:
    scores, masked = torch.tensor([[0.9, 0.0, 0.1]]), torch.tensor([[True, False, True]])
    config = DecodingConfig(threshold_factor=0.01)
    assert strategy("threshold_factor").reveal(scores, masked, Step.of_quota(torch.tensor([1])), config).equal(masked)


def test_what_is_not_sure_is_carried_over() -> None:
    """Two are due at each of two steps; 0.9 and then, of two and one carried, 0.7 and 0.6."""
    own, config = strategy("carried_threshold"), DecodingConfig(dynamic_threshold=0.65)
    memory: dict[str, torch.Tensor] = {}
    masked, scores = torch.ones(1, 5, dtype=torch.bool), torch.tensor([[0.9, 0.5, 0.3, 0.2, 0.1]])
    found = own.reveal(scores, masked, Step(torch.tensor([2]), torch.tensor([False]), memory=memory), config)
    assert (found.tolist(), memory["carried"].tolist()) == ([[True, False, False, False, False]], [1])
    scores = torch.tensor([[0.0, 0.5, 0.7, 0.8, 0.66]])
    found = own.reveal(scores, masked & ~found, Step(torch.tensor([2]), torch.tensor([False]), memory=memory), config)
    assert (found.tolist(), memory["carried"].tolist()) == ([[False, False, True, True, True]], [0])


def test_klass_waits_until_a_distribution_rests() -> None:
    """The left position is sure at once but moves; the right one rests from the first step on."""
    own, config = strategy("klass"), DecodingConfig(klass_threshold=0.5, klass_kl_threshold=0.1, klass_steps=2)
    memory: dict[str, torch.Tensor] = {}
    masked, scores = torch.ones(1, 3, dtype=torch.bool), torch.tensor([[0.9, 0.8, 0.6]])
    moving, resting = [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]
    revealed = []
    for number in range(4):
        logits = torch.tensor([[[number * 2.0, 0.0, 0.0], resting, moving]])
        step = Step(torch.tensor([0]), torch.tensor([False]), logits=logits, memory=memory)
        revealed.append(own.reveal(scores, masked, step, config)[0].tolist())
    assert revealed == [[False] * 3, [False] * 3, [False, True, True], [False, True, True]]


def klass_oracle(row: Row, history: list[list[list[float]]]) -> set[int]:
    """One row in words; ``history`` has the logits of every step of the block up to this one, by column."""
    def probabilities(logits: list[float]) -> list[float]:
        total = sum(map(math.exp, logits))
        return [math.exp(logit) / total for logit in logits]

    def at_rest(column: int, number: int) -> bool:
        now, before = probabilities(history[number][column]), probabilities(history[number - 1][column])
        return sum(p * math.log(p / q) for p, q in zip(now, before, strict=True)) < row.config.klass_kl_threshold

    numbers = range(len(history) - 1, len(history) - 1 - row.config.klass_steps, -1)
    stable = {column for column in row.left if row.passes(column, row.config.klass_threshold)
              and all(number > 0 and at_rest(column, number) for number in numbers)}
    return stable or row.top


@settings(max_examples=150, deadline=None)
@given(case=cases(), data=st.data())
def test_klass_reveals_what_the_oracle_reveals_over_a_block(case: Case, data: st.DataObject) -> None:
    """Logits move between steps by nothing, .2 or 2; no divergence lies near a threshold."""
    memory: dict[str, torch.Tensor] = {}
    case.last = torch.zeros_like(case.last)
    history: list[list[list[list[float]]]] = [[] for _ in case.masked]
    for _ in range(4):
        moves = data.draw(st.lists(st.sampled_from([0.0, 0.0, 0.2, 2.0]), min_size=case.scores.numel(),
                                   max_size=case.scores.numel()))
        case.logits[..., 0] += torch.tensor(moves).view_as(case.scores)
        found = reveal("klass", case, memory)
        for number, own in enumerate(history):
            own.append(case.logits[number].tolist())
            left = case.masked[number].nonzero()[:, 0].tolist()
            row = Row(case.scores[number].tolist(), left, int(case.quota[number]), case.config, case.inclusive)
            assert set(found[number].nonzero()[:, 0].tolist()) == klass_oracle(row, own)
        case.masked = case.masked & ~found


def test_klass_counts_steps_in_a_row_and_from_the_new_distribution() -> None:
    """A move starts the count anew. From (.9, .1) to (.5, .5) it is .51 nats, .37 the other way: .45 tells them apart."""
    own, config = strategy("klass"), DecodingConfig(klass_threshold=0.5, klass_kl_threshold=0.45, klass_steps=2)
    one, none = torch.tensor([[True]]), torch.tensor([0])
    sure, even = torch.tensor([[[0.9, 0.1]]]).log(), torch.tensor([[[0.5, 0.5]]]).log()

    def revealed(*logits: torch.Tensor) -> list[bool]:
        memory: dict[str, torch.Tensor] = {}
        return [bool(own.reveal(torch.tensor([[0.9]]), one, Step(none, torch.tensor([False]), logits=step, memory=memory),
                                config)) for step in logits]

    assert revealed(sure, sure, even, even, even) == [False, False, False, False, True]
    assert revealed(even, sure, sure) == [False, False, True]


def test_klass_adds_nothing_to_what_is_at_rest() -> None:
    """The surest position moves, another rests: that one alone is revealed, though two are due."""
    own, config = strategy("klass"), DecodingConfig(klass_threshold=0.5, klass_kl_threshold=0.1, klass_steps=1)
    memory: dict[str, torch.Tensor] = {}
    scores, masked = torch.tensor([[0.9, 0.6, 0.3]]), torch.ones(1, 3, dtype=torch.bool)
    for due, first in ((0, 0.0), (2, 5.0)):
        step = Step(torch.tensor([due]), torch.tensor([False]), memory=memory,
                    logits=torch.tensor([[[first, 0.0], [1.0, 0.0], [1.0, 0.0]]]))
        found = own.reveal(scores, masked, step, config)
    assert found.tolist() == [[False, True, False]]


def test_kl_divergence_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]).log(), torch.tensor([[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]).log()
    assert kl_divergence(p, q).tolist() == pytest.approx([math.log(2), math.inf])
    assert kl_divergence(p, p).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("scores", "delimiter", "settings", "length"), [
    ([0.9, 0.6, 0.9, 0.8], [0, 1, 0, 1], {}, 4),                                     # the surer of two delimiters
    ([0.9, 0.8, 0.9, 0.8], [0, 1, 0, 1], {}, 2),                                     # the left one of equals
    ([0.9, 0.6, 0.9, 0.8], [0, 1, 0, 1], {"adablock_window": 2}, 2),
    ([0.9, 0.3, 0.9, 0.3], [0, 1, 0, 1], {}, 4),                                     # none above the threshold
    ([0.9, 0.3, 0.9, 0.3], [0, 1, 0, 1], {"block_size": 3}, 3),
    ([0.9, 0.9, 0.9, 0.9], [0, 0, 0, 0], {"block_size": 3}, 3),
])
def test_a_block_ends_at_its_surest_delimiter(scores: list, delimiter: list, settings: dict, length: int) -> None:
    found = strategy("adablock").block_length(torch.tensor([scores]), torch.ones(1, 4, dtype=torch.bool),
                                              torch.tensor([delimiter]).bool(), DecodingConfig(**settings))
    assert found.tolist() == [length]


def test_ties_go_to_the_left_in_wide_blocks() -> None:
    size = 64
    scores, masked = torch.zeros(1, size), torch.ones(1, size, dtype=torch.bool)
    scores[0, ::3] = 0.5
    quota = even_split(size, 4, torch.tensor([0]))
    found = strategy("low_confidence_static").reveal(scores, masked, Step.of_quota(quota), DecodingConfig())
    assert found[0].nonzero()[:, 0].tolist() == list(range(0, 48, 3))


@pytest.mark.parametrize("name", NAMES)
def test_the_page_tells_of_every_strategy(name: str) -> None:
    page = (Path(__file__).parents[2] / "docs/strategies.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` ")]
    _, _, paced, sampler, _ = (cell.strip() for cell in row.strip("|").split("|"))
    assert (paced, sampler) == ("yes" if strategy(name).paced else "no", strategy(name).sampler_class)


@pytest.mark.parametrize("name", NAMES)
def test_the_recorded_class_follows_from_the_settings(name: str) -> None:
    own = strategy(name)
    assert sampler_class_of(own, DecodingConfig(), greedy=False) == own.sampler_class
    assert sampler_class_of(own, DecodingConfig(), greedy=True) == "greedy"
    for given_ in ({"alg_temp": 0.1}, {"pad_target_penalty": 2.0}):
        assert sampler_class_of(own, DecodingConfig(**given_), greedy=False) == "drawn"


@pytest.mark.parametrize(("option", "expected"), [
    ("neg_entropy", "distribution"), ("margin_confidence", "distribution"), ("random", "random"), ("confidence", "drawn")])
def test_the_option_score_decides_the_class_where_a_strategy_follows_it(option: str, expected: str) -> None:
    config = DecodingConfig(score=option)
    assert sampler_class_of(strategy("low_confidence_dynamic"), config, greedy=False) == expected
    assert sampler_class_of(strategy("sequential"), config, greedy=False) == "sequential"
    assert sampler_class_of(strategy("adablock"), config, greedy=False) == "drawn"      # its delimiters are candidates


WITH_CUTOFFS = [name for name in NAMES if losing_problem(name, strategy(name), DecodingConfig()) is None
                and strategy(name).sampler_class == "drawn"]


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("quota", [1, 2])
@pytest.mark.parametrize("name", WITH_CUTOFFS)
def test_a_step_is_what_was_revealed_and_that_every_other_scored_below_its_cutoff(name: str, quota: int,
                                                                                 inclusive: bool) -> None:
    """All scores of four positions, ties with each other and the threshold among them, against all their alternatives."""
    own, config = strategy(name), DecodingConfig(dynamic_threshold=0.5, threshold_factor=1.25)
    every = torch.tensor(list(itertools.product([0.25, 0.5, 0.625, 0.75], repeat=4)))
    masked, quotas = torch.ones_like(every, dtype=torch.bool), torch.full((len(every),), quota)
    chosen = own.reveal(every, masked, Step(quotas, quotas == 0, inclusive), config)
    for scores, taken in zip(every, chosen, strict=True):
        cutoffs = own.cutoffs(torch.where(taken, scores, 0.0)[None], taken[None], inclusive, config)[0]
        equal_where_taken = ((every == scores) | ~taken).all(-1)
        same_action = (chosen == taken).all(-1) & equal_where_taken
        loses = ((every < cutoffs) | taken).all(-1) & equal_where_taken
        assert torch.equal(same_action, loses), (scores, taken, cutoffs)


def test_a_step_that_reveals_nothing_has_infinite_cutoffs() -> None:
    assert below_worst(torch.zeros(1, 3), torch.zeros(1, 3, dtype=torch.bool)).tolist() == [[math.inf] * 3]


@pytest.mark.parametrize(("options", "sentence"), [
    ({"temperature": 0}, "temperature is 0: nothing is drawn"),
    ({"alg_temp": 0.5}, "alg_temp is 0.5, which draws the order itself"),
    ({"remasking_strategy": "random_order", "pad_target_penalty": 2}, r"no other part in \(random\); set pad_target"),
    ({"remasking_strategy": "adablock"}, "'adablock' has no losing event of a single candidate; use low_confidence_static"),
])
def test_what_has_no_losing_event_says_what_has(options: dict, sentence: str) -> None:
    config = DecodingConfig(**options)
    problem = losing_problem(config.remasking_strategy, strategy(config.remasking_strategy), config)
    assert problem is not None and re.search(sentence, problem)


@pytest.mark.parametrize("name", NAMES)
def test_orders_that_look_at_no_candidate_have_no_problem(name: str) -> None:
    own = strategy(name)
    if own.sampler_class != "drawn":
        assert losing_problem(name, own, DecodingConfig()) is None


def test_which_strategies_have_cutoffs() -> None:
    assert WITH_CUTOFFS == ["low_confidence_static", "low_confidence_dynamic", "threshold_factor"]
