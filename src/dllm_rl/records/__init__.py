"""What flows between the rooms: tasks, samples, rollouts, scores, views, layouts."""

from dllm_rl.records.discards import Discards
from dllm_rl.records.engine import Engine
from dllm_rl.records.layout import Layout
from dllm_rl.records.rollout import Rollout, Scored
from dllm_rl.records.sample import Sample
from dllm_rl.records.target_batch import TargetBatch
from dllm_rl.records.task import Task
from dllm_rl.records.view import View, ViewContext

__all__ = ["Discards", "Engine", "Layout", "Rollout", "Sample", "Scored", "TargetBatch", "Task", "View",
           "ViewContext"]
