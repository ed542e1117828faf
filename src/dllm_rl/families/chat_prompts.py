"""Prompt formats of the published checkpoints (SPEC 1.1)."""

SDAR_PROMPTS: dict[str, str] = {}
