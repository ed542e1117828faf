"""The report of a run: one HTML page with its curves, its answers token by token, and its last figures."""

from dllm_rl.report.page import write_report

__all__ = ["write_report"]
