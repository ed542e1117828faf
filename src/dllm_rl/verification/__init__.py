"""Reference vectors against our own results: ``dllm-rl verify``."""

from dllm_rl.verification.run import Outcome, verify_folder

__all__ = ["Outcome", "verify_folder"]
