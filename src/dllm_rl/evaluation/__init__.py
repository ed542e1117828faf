"""Answers of a model: rendered, decoded, scored, summarised."""

from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.summary import Summary, summarize

__all__ = ["Answerer", "Summary", "summarize"]
