"""``dllm-rl eval``: answer tasks, score the answers, say how good they are."""

from pathlib import Path

from dllm_rl.config.evaluation import EvalConfig
from dllm_rl.engine import Engine
from dllm_rl.evaluation.answers import Answerer
from dllm_rl.evaluation.display import Display
from dllm_rl.evaluation.fitting import fitting_tasks
from dllm_rl.evaluation.models import load_configured
from dllm_rl.evaluation.summary import Summary, summarize
from dllm_rl.evaluation.timing import TimedEngine
from dllm_rl.records.storage import write_records
from dllm_rl.rewards import build_reward
from dllm_rl.tasks import load_tasks


def run_eval(config: EvalConfig, folder: Path, display: Display) -> dict[str, Summary]:
    """Evaluate a checkpoint.

    Args:
        config: model, tasks, decoding or several settings of it, reward.
        folder: what relative paths of tasks and rewards start from.
        display: for progress, and for a line on tasks that are skipped because their prompts are too long.

    Returns:
        figures by the name of the setting; ``default`` if there is only the section ``decoding``.

    Raises:
        ValueError: anything the user can mend: paths, names, options, no prompt that fits.
    """
    tasks = load_tasks(config.tasks.name, config.tasks.options, folder)
    reward = build_reward(config.reward.name, config.reward.options, folder, config.reward_time_limit)
    lm = load_configured(config.model)
    engine = TimedEngine(Engine(lm, config.engine))
    answerers = {name: Answerer(lm, engine, config.prompt, decoding, reward, config.num_samples)
                 for name, decoding in config.decodings().items()}
    parts = {name: fitting_tasks(answerer, tasks) for name, answerer in answerers.items()}
    summaries = {}
    for name, answerer in answerers.items():
        kept, skipped = parts[name]
        display.line(f"{name}: first prompt: {answerer.render(kept[0])!r}")
        if skipped:
            display.line(f"{name}: {len(skipped)} of {len(tasks)} tasks skipped, which count as wrong: prompt and longest "
                         f"response exceed the model's positions (first: {skipped[0].id})")
        before = engine.seconds
        with display.bar(f"evaluate {name}", len(kept)) as bar:
            answers = answerer.answer_all(kept, config.seed, bar.advance)
        summaries[name] = summarize(answers, len(skipped), engine.seconds - before)
        if config.out is not None:
            write_records(_file(Path(config.out), name, len(answerers)), answers)
    return summaries


def _file(out: Path, name: str, num_settings: int) -> Path:
    """Where the answers of a setting go: its name stands before the ending, unless it is the only one."""
    return out if num_settings == 1 else out.with_suffix(f".{name}{out.suffix}")
