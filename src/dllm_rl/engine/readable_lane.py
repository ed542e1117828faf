"""The readable lane: requests that only the readable loops can decode, at the same door."""

from collections.abc import Callable

from dllm_rl.config.decoding import DecodingConfig
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.decoding.request import Request
from dllm_rl.engine.events import BlockDone, Ended, Event, Failed, Unmasked, Watch
from dllm_rl.families import LanguageModel


class ReadableLane:
    """A step decodes all requests that wait and have equal settings, from beginning to end.

    Who watches is told everything at once.
    """

    def __init__(self, lm: LanguageModel, version: Callable[[], int]) -> None:
        """An empty lane; ``version`` tells that of the weights."""
        self._lm, self._version = lm, version
        self._waiting: dict[int, tuple[Request, DecodingConfig, Watch]] = {}
        self.generated_tokens = 0

    @property
    def num_waiting(self) -> int:
        """Requests that have not been decoded."""
        return len(self._waiting)

    def add(self, ticket: int, request: Request, config: DecodingConfig, watch: Watch) -> None:
        """Let a request wait; ``ValueError`` if the settings do not fit the model."""
        load_decoder(self._lm, config)
        self._waiting[ticket] = request, config, watch

    def cancel(self, ticket: int) -> None:
        """Drop a request."""
        self._waiting.pop(ticket, None)

    def step(self) -> list[Event]:
        """Decode the oldest request and its like."""
        if not self._waiting:
            return []
        config = next(iter(self._waiting.values()))[1]
        taken = {ticket: own for ticket, own in self._waiting.items() if own[1] == config}
        for ticket in taken:
            del self._waiting[ticket]
        tickets, events = list(taken), list[Event]()

        def watch(number: int, ids: list[int]) -> None:
            if taken[tickets[number]][2] == "steps":
                events.append(Unmasked(tickets[number], 0, ids[:taken[tickets[number]][0].max_new]))

        try:
            rollouts = load_decoder(self._lm, config, self._version()).decode([own[0] for own in taken.values()], watch)
        except (FloatingPointError, ValueError) as error:
            return [Failed(ticket, error) for ticket in tickets]
        for ticket, rollout in zip(tickets, rollouts, strict=True):
            if taken[ticket][2] != "nothing":
                events.append(BlockDone(ticket, rollout.response_ids, rollout.step_map, rollout.logprobs or []))
            events.append(Ended(ticket, rollout))
            self.generated_tokens += len(rollout.response_ids)
        return events
