"""``dllm-rl eval``: answer tasks, score the answers, say how good they are."""

from pathlib import Path

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.decoding import LocalDecoder
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.models import load_configured
from dllm_rl.evaluation.summary import Summary, summarize
from dllm_rl.records.storage import write_records
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks


def run_eval(config: EvalConfig, folder: Path, display: Display) -> Summary:
    """Evaluate a checkpoint.

    Args:
        config: model, tasks, decoding, reward.
        folder: what relative paths of tasks and rewards start from.
        display: for progress.

    Raises:
        ValueError: anything the user can mend: paths, names, options, prompts that do not fit.
    """
    tasks = load_tasks(config.tasks.name, config.tasks.options, folder)
    reward = build_reward(config.reward.name, config.reward.options, folder)
    lm = load_configured(config.model)
    answerer = Answerer(lm, LocalDecoder(lm), config.prompt, config.decoding, reward, config.num_samples)
    display.line(f"first prompt: {answerer.render(tasks[0])!r}")
    with display.bar("evaluate", len(tasks)) as bar:
        answers = answerer.answer_all(tasks, config.seed, bar.advance)
    if config.out is not None:
        write_records(config.out, answers)
    return summarize(answers)
