"""``dllm-rl chat``: talk with a model and watch its answers being unmasked."""

from dllm_rl.config.chat import ChatConfig
from dllm_rl.decoding.local_decoder import load_decoder
from dllm_rl.decoding.request import prepare_requests
from dllm_rl.evaluation.conversation import Turn, answer_text, fitted, renderer
from dllm_rl.evaluation.models import load_configured
from dllm_rl.evaluation.screens import Screen, screen_here
from dllm_rl.families import LanguageModel
from dllm_rl.registry import nearest

COMMANDS = {"/quit": "end", "/reset": "forget all turns", "/undo": "forget the last turn"}
"""What can be typed instead of a question; with a space before it, it is one."""


class Chat:
    """One conversation with a model."""

    def __init__(self, lm: LanguageModel, config: ChatConfig, screen: Screen) -> None:
        """Open a conversation.

        Args:
            lm: the model.
            config: format and decoding.
            screen: the other side.

        Raises:
            ValueError: settings that do not fit the model, or a conversation that cannot be rendered; before the first
                question is asked.
        """
        self.turns: list[Turn] = []
        self._lm, self._config, self._screen = lm, config, screen
        self._render = renderer(lm, config)
        self._render([], "")
        self._decoder = load_decoder(lm, config.decoding)
        self._commands = {"/reset": self.reset, "/undo": self.undo}

    def run(self) -> None:
        """Ask and answer until the other side ends."""
        while (line := self._screen.ask()) is not None and line.strip() != "/quit":
            if line.startswith("/"):
                self._obey(line.strip())
            elif line.strip():
                self.answer(line.strip())

    def _obey(self, command: str) -> None:
        if command in self._commands:
            self._commands[command]()
        else:
            known = ", ".join(f"{name} ({meaning})" for name, meaning in COMMANDS.items())
            self._screen.say(f"no command {command!r}{nearest(command, list(COMMANDS))}; known: {known}; a question that "
                             "begins with / needs a space before it")

    def reset(self) -> None:
        """Forget all turns."""
        self.turns = []
        self._screen.say("all turns forgotten")

    def undo(self) -> None:
        """Forget the last turn."""
        self._screen.say(f"forgotten: {self.turns.pop().question}" if self.turns else "there is no turn to forget")

    def answer(self, question: str) -> None:
        """Decode an answer; a question that does not fit, or whose answer Ctrl-C stops, leaves no turn."""
        decoding = self._config.decoding
        try:
            kept, ids = fitted(self._lm, decoding, self._render, self.turns, question)
        except ValueError as problem:
            self._screen.say(f"not asked: {problem}")
            return
        if len(kept) < len(self.turns):
            self._screen.say(f"the oldest {len(self.turns) - len(kept)} turns are forgotten: with them the prompt would "
                             "exceed the model's positions")
            self.turns = kept
        [[request]] = prepare_requests(self._lm, [ids], decoding)
        try:
            with self._screen.watching(self._lm, request.stop_ids) as watch:
                [rollout] = self._decoder.decode([request], watch=watch)
        except KeyboardInterrupt:
            self._screen.say("stopped; this question is forgotten")
            return
        text = answer_text(self._lm, rollout)
        self.turns.append(Turn(question, text))
        self._screen.answer(text)
        if rollout.finish_reason == "length":
            self._screen.say(f"(cut at max_gen_length={decoding.max_gen_length})")


def run_chat(config: ChatConfig, screen: Screen | None = None) -> None:
    """Load a model and chat.

    Args:
        config: model, format, decoding.
        screen: the other side; the terminal or the pipe this process has, if not given.

    Raises:
        ValueError: anything the user can mend: paths, settings, no chat template.
        FloatingPointError: the model's logits are NaN or infinite.
    """
    screen = screen or screen_here()
    chat = Chat(load_configured(config.model), config, screen)
    screen.say("commands: " + ", ".join(f"{name} ({meaning})" for name, meaning in COMMANDS.items()))
    chat.run()
