"""MMaDA, text: LLaDA's trunk with a larger vocabulary, whose further ids are image tokens (SPEC 0.2)."""

from dataclasses import replace

from dllm_rl.families.llada import LLADA

MMADA = replace(
    LLADA,
    name="mmada",
    model_types=("mmada",),
    published_config={**LLADA.published_config, "architectures": ["MMadaModelLM"], "model_type": "mmada"},
    example="Gen-Verse/MMaDA-8B-MixCoT",
)
