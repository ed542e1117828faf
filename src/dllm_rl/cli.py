"""Commands: parse, call, print. Everything about a run is ``config=FILE key=value``; flags are for the terminal."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import click
import typer

from dllm_rl.environment import debugging, prepare_process

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]},
                  help="Run, fine-tune and reinforce diffusion language models.")

Arguments = Annotated[list[str] | None, typer.Argument(metavar="[config=FILE] [key=value]...", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars and lines.")]

CONFIGS = {
    "generate": "dllm_rl.config.generation:GenerateConfig",
    "eval": "dllm_rl.config.evaluation:EvalConfig",
    "sft": "dllm_rl.config.sft:SftConfig",
    "rl": "dllm_rl.config.rl:RlConfig",
}


def _load(command: str, arguments: Sequence[str] | None) -> tuple[Any, Path]:
    from dllm_rl.config.loading import load_config
    from dllm_rl.registry import load_object

    return load_config(load_object(CONFIGS[command]), arguments or [])


def _display(quiet: bool) -> Any:  # noqa: ANN401 - imported late
    from dllm_rl.evaluation.display import Display
    from dllm_rl.families.backbone import silence_loading_bars

    silence_loading_bars()
    return Display(quiet)


def _start(command: str, arguments: Sequence[str] | None, quiet: bool) -> tuple[Any, Path, Any]:
    """Configuration, its folder, and a display that has shown the resolved configuration."""
    config, folder = _load(command, arguments)
    from dllm_rl.config.loading import dump_yaml

    display = _display(quiet)
    display.line(dump_yaml(config))
    return config, folder, display


def _print_figures(title: str, figures: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(dict(figures)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)


@app.command("generate")
def generate_command(arguments: Arguments = None, quiet: Quiet = False) -> None:
    """Decode responses to prompts; JSON lines out."""
    config, folder, display = _start("generate", arguments, quiet)
    from dllm_rl.evaluation.generation import run_generate

    lines = run_generate(config, folder, display)
    if config.out is None:
        for line in lines:
            typer.echo(json.dumps(line, ensure_ascii=False))


@app.command("eval")
def eval_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Answer tasks, score the answers, print accuracy with its interval and tokens per forward."""
    config, folder, display = _start("eval", arguments, quiet)
    from dllm_rl.evaluation.run import run_eval

    _print_figures(f"{config.model.path} on {config.tasks.name}", run_eval(config, folder, display).as_dict(), as_json)


@app.command("sft")
def sft_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Fine-tune on prompts and responses."""
    config, folder, display = _start("sft", arguments, quiet)
    from dllm_rl.training.sft import run_sft

    _print_figures(f"last update of {config.run_dir}", run_sft(config, folder, display), as_json)


@app.command("rl")
def rl_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Reinforce on tasks (TraceRL unless the configuration chooses otherwise)."""
    config, folder, display = _start("rl", arguments, quiet)
    from dllm_rl.training.rl import run_rl

    _print_figures(f"last step of {config.run_dir}", run_rl(config, folder, display), as_json)


@app.command("demo")
def demo_command(
    run_dir: Annotated[Path, typer.Argument(help="Folder of the demonstration.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, tasks and draws.")] = 0,
    as_json: Json = False, quiet: Quiet = False,
) -> None:
    """Train a tiny model from scratch on a CPU: fine-tuning, TraceRL, evaluation before and after."""
    from dllm_rl.training.demo import run_demo

    display = _display(quiet)
    _print_figures("demonstration", run_demo(run_dir, seed, display), as_json)
    display.line(f"next: dllm-rl generate model.path={run_dir}/rl/checkpoint 'prompts=[\"07+35\"]' "
                 "'prompt.template=\"{problem} = \"'")


@app.command("verify")
def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder of reference vectors, of one family or of several.")],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[only=family/section,...]")] = None,
    as_json: Json = False,
) -> None:
    """Recompute reference vectors on this machine and compare; fails if anything differs or is unknown."""
    only = _only(arguments or [])
    _display(quiet=True)
    from dllm_rl.verification import verify_folder

    failed = 0
    for outcome in verify_folder(folder, only):
        failed += not outcome.passed
        worst = outcome.worst
        line = {"name": outcome.name, "passed": outcome.passed, "quantity": worst and worst.quantity,
                "difference": worst and worst.difference, "problem": outcome.problem}
        said = outcome.problem or (f"{worst.difference:.2g} in {worst.quantity}" if worst else "nothing compared")
        typer.echo(json.dumps(line) if as_json else f"{'equal ' if outcome.passed else 'DIFFERS'}  {line['name']}: {said}")
    if failed:
        typer.echo(f"{failed} entries differ or are unknown", err=True)
        raise typer.Exit(1)


def _only(arguments: Sequence[str]) -> list[str]:
    wrong = [argument for argument in arguments if not argument.startswith("only=")]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is not known here; verify takes a folder and only=family/section,...")
    return [name for argument in arguments for name in argument.removeprefix("only=").split(",")]


@app.command("config")
def config_command(
    command: Annotated[str, typer.Argument(help=f"One of {', '.join(CONFIGS)}.")],
    arguments: Arguments = None,
) -> None:
    """Print a command's resolved configuration, or without arguments every option it has."""
    from dllm_rl.registry import load_object, nearest

    if command not in CONFIGS:
        raise ValueError(f"no configuration for {command!r}{nearest(command, list(CONFIGS))}; "
                         f"one of {', '.join(CONFIGS)}")
    if arguments:
        from dllm_rl.config.loading import dump_yaml

        typer.echo(dump_yaml(_load(command, arguments)[0]), nl=False)
        return
    from dllm_rl.config.describe import describe

    for row in describe(load_object(CONFIGS[command])):
        typer.echo(f"{row.key}  ({row.type}; default: {row.default})\n    {row.help}")


def _run(call: Callable[[], object]) -> int:
    """Exit code of a call; errors of the user's making become one sentence."""
    try:
        result = call()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        typer.echo("interrupted", err=True)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        if debugging():
            raise
        typer.echo(f"error: {error}", err=True)
        return 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``dllm-rl``: 0, or 2 for a user's error, 130 for an interrupt, 1 for a failed verification."""
    prepare_process()
    return _run(lambda: app(args=None if arguments is None else list(arguments), standalone_mode=False))
