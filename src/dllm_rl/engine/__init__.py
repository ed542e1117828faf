"""The fast engine: blocks of many sequences denoised in one forward, whatever their length or step."""

from dllm_rl.engine.engine import Engine
from dllm_rl.engine.events import BlockDone, Ended, Event, Failed, Unmasked
from dllm_rl.engine.stats import EngineStats

__all__ = ["BlockDone", "Ended", "Engine", "EngineStats", "Event", "Failed", "Unmasked"]
