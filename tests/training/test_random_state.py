"""The process-wide generators."""

import json
import random

import numpy as np
import torch

from dllm_rl.training.random_state import random_tensors, random_values, restore_random, seed_random


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_generators_go_on_where_they_were() -> None:
    seed_random(3)
    first = draws()
    values, tensors = json.loads(json.dumps(random_values())), random_tensors()
    second = draws()
    seed_random(3)
    assert draws() == first
    restore_random(values, tensors)
    assert draws() == second != first
