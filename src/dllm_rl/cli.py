"""Commands: parse, call, print. Everything about a run is ``config=FILE key=value``; flags are for the terminal."""

import errno
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from dllm_rl.environment import debugging, prepare_process

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]},
                  help="Run, fine-tune and reinforce diffusion language models.")

Arguments = Annotated[list[str] | None, typer.Argument(metavar="[config=FILE] [key=value]...", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bars and lines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and what it costs, and stop.")]

CONFIGS = {
    "generate": "dllm_rl.config.generation:GenerateConfig",
    "chat": "dllm_rl.config.chat:ChatConfig",
    "serve": "dllm_rl.config.serving:ServeConfig",
    "eval": "dllm_rl.config.evaluation:EvalConfig",
    "sft": "dllm_rl.config.sft:SftConfig",
    "rl": "dllm_rl.config.rl:RlConfig",
    "demo": "dllm_rl.config.demo:DemoConfig",
    "export": "dllm_rl.config.export:ExportConfig",
    "verify": "dllm_rl.config.verification:VerifyConfig",
}


EXPLAINED = ("generate", "eval", "sft", "rl")
"""Commands whose configuration says what a run costs."""


class _Command(TyperCommand):
    """A command whose help ends with the options of its configuration."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - types of whichever click typer has
        super().format_help(ctx, formatter)
        if ctx.info_name in CONFIGS:
            typer.echo("Options of the configuration:\n\n" + "\n".join(_option_lines(ctx.info_name)))

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(130) from error


def _model(command: str) -> Any:  # noqa: ANN401 - an options model, imported late
    from dllm_rl.registry import load_object

    return load_object(CONFIGS[command])


def _option_lines(command: str) -> Iterator[str]:
    from dllm_rl.config.describe import describe

    for row in describe(_model(command)):
        yield f"{row.key}: {row.default}    [{row.type}]\n    {row.help}"


def _load(command: str, arguments: Sequence[str] | None) -> tuple[Any, Path]:
    from dllm_rl.config.loading import load_config

    return load_config(_model(command), arguments or [])


def _display(quiet: bool) -> Any:  # noqa: ANN401 - imported late
    from dllm_rl.evaluation.display import Display
    from dllm_rl.families.backbone import silence_loading_bars

    silence_loading_bars()
    return Display(quiet)


@contextmanager
def _pure(as_json: bool) -> Iterator[None]:
    """Keep what users' own functions print off standard output where a result in JSON is to stand there."""
    if as_json:
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def _start(command: str, arguments: Sequence[str] | None, quiet: bool, dry_run: bool,
           as_json: bool = False) -> tuple[Any, Path, Any]:
    """Configuration, its folder, and a display that has shown the resolved configuration."""
    config, folder = _load(command, arguments)
    from dllm_rl.config.advice import advice
    from dllm_rl.config.loading import dump_yaml

    if dry_run:
        _explain(config, folder, as_json)
        raise typer.Exit
    display = _display(quiet)
    display.line(dump_yaml(config))
    for warning in advice(config):
        display.line(f"warning: {warning}")
    return config, folder, display


def _explain(config: Any, folder: Path, as_json: bool) -> None:  # noqa: ANN401 - an options model, imported late
    """Print a resolved configuration and what running it means."""
    from dllm_rl.config.loading import dump_yaml
    from dllm_rl.training.explanation import explain, lines

    explanation = explain(config, folder)
    if as_json:
        typer.echo(json.dumps({"config": config.model_dump(mode="json"), **explanation.as_dict()}))
    else:
        typer.echo(dump_yaml(config) + "\n" + "\n".join(lines(explanation)))


def _print_figures(title: str, figures: Mapping[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(dict(figures)))
        return
    _print_table(title, [[name, _text(value)] for name, value in figures.items()])


def _text(value: object) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _print_table(title: str, rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@app.command("generate", cls=_Command)
def generate_command(arguments: Arguments = None, quiet: Quiet = False, dry_run: DryRun = False) -> None:
    """Decode responses to prompts; JSON lines out."""
    config, folder, display = _start("generate", arguments, quiet, dry_run)
    from dllm_rl.evaluation.generation import run_generate

    run_generate(config, folder, display, typer.echo)


@app.command("chat", cls=_Command)
def chat_command(arguments: Arguments = None, quiet: Quiet = False) -> None:
    """Talk with a model and watch its answers being unmasked."""
    config, _, _ = _start("chat", arguments, quiet, dry_run=False)
    from dllm_rl.evaluation.chat import run_chat

    run_chat(config)


@app.command("serve", cls=_Command)
def serve_command(arguments: Arguments = None, quiet: Quiet = False) -> None:
    """Serve a model to clients of OpenAI's API, and a page to chat with it."""
    config, _, display = _start("serve", arguments, quiet, dry_run=False)
    try:
        from dllm_rl.serving.run import run_serve
    except ModuleNotFoundError as error:
        raise ValueError(f"serving needs the package {error.name!r}; install the extra: pip install 'dllm-rl[serve]'"
                         ) from error
    run_serve(config, display.line)


@app.command("eval", cls=_Command)
def eval_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False,
                 dry_run: DryRun = False) -> None:
    """Answer tasks, score the answers, print accuracy with its interval and tokens per forward."""
    config, folder, display = _start("eval", arguments, quiet, dry_run, as_json)
    from dllm_rl.evaluation.run import run_eval

    with _pure(as_json):
        title, summaries = f"{config.model.path} on {config.tasks.name}", run_eval(config, folder, display)
    if config.settings is None:
        _print_figures(title, summaries["default"].as_dict(), as_json)
    elif as_json:
        typer.echo(json.dumps({name: summary.as_dict() for name, summary in summaries.items()}))
    else:
        from dllm_rl.evaluation.report_table import comparison_rows

        _print_table(title, comparison_rows(summaries))


def _train(command: str, what: str, arguments: Sequence[str] | None, as_json: bool, quiet: bool, dry_run: bool) -> None:
    """Run a training command and print the figures it ends with."""
    config, folder, display = _start(command, arguments, quiet, dry_run, as_json)
    from dllm_rl.registry import load_object

    run = load_object(f"dllm_rl.training.{command}:run_{command}")
    with _pure(as_json):
        figures = run(config, folder, display)
    _print_figures(f"{what} of {config.run_dir}", figures, as_json)


@app.command("sft", cls=_Command)
def sft_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False,
                dry_run: DryRun = False) -> None:
    """Fine-tune on prompts and responses."""
    _train("sft", "last update", arguments, as_json, quiet, dry_run)


@app.command("rl", cls=_Command)
def rl_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False,
               dry_run: DryRun = False) -> None:
    """Reinforce on tasks (TraceRL unless the configuration chooses otherwise)."""
    _train("rl", "last step", arguments, as_json, quiet, dry_run)


@app.command("demo", cls=_Command)
def demo_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Train a tiny model from scratch on a CPU: fine-tuning, TraceRL, evaluation before and after."""
    config, _ = _load("demo", arguments)
    display = _display(quiet)
    from dllm_rl.report import write_report
    from dllm_rl.training.demo import run_demo

    _print_figures("demonstration", run_demo(Path(config.run_dir), config.seed, display), as_json)
    display.line(f"report: {write_report(Path(config.run_dir))}")
    display.line(f"next: dllm-rl generate model.path={config.run_dir}/rl/checkpoint 'prompts=[\"07+35\"]' "
                 "'prompt.template=\"{problem} = \"'")


@app.command("verify", cls=_Command)
def verify_command(
    folder: Annotated[Path, typer.Argument(help="Folder of reference vectors, of one family or of several.")],
    arguments: Arguments = None, as_json: Json = False,
) -> None:
    """Recompute reference vectors on this machine and compare; fails if anything differs or is unknown."""
    config, _ = _load("verify", arguments)
    _display(quiet=True)
    from dllm_rl.verification import verify_folder

    failed = 0
    for outcome in verify_folder(folder, config.only):
        failed += not outcome.passed
        worst = outcome.worst
        line = {"name": outcome.name, "passed": outcome.passed, "quantity": worst and worst.quantity,
                "difference": worst and worst.difference, "problem": outcome.problem}
        said = outcome.problem or (f"{worst.difference:.2g} in {worst.quantity}" if worst else "nothing compared")
        typer.echo(json.dumps(line) if as_json else f"{'equal ' if outcome.passed else 'DIFFERS'}  {line['name']}: {said}")
    if failed:
        typer.echo(f"{failed} entries differ or are unknown", err=True)
        raise typer.Exit(1)


@app.command("export", cls=_Command)
def export_command(arguments: Arguments = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Write a checkpoint in the published format, with a model card."""
    config, _, _ = _start("export", arguments, quiet, dry_run=False)
    from dllm_rl.evaluation.exporting import run_export

    _print_figures(f"{config.model.path} to {config.out}", run_export(config), as_json)


@app.command("explain")
def explain_command(
    command: Annotated[str, typer.Argument(help="One of generate, eval, sft, rl.")],
    arguments: Arguments = None, as_json: Json = False,
) -> None:
    """Say what a command would do with a configuration and what it costs: data, tokens, memory, warnings."""
    if command not in EXPLAINED:
        raise ValueError(f"nothing to explain for {command!r}; one of {', '.join(EXPLAINED)}")
    _explain(*_load(command, arguments), as_json=as_json)


@app.command("report")
def report_command(folder: Annotated[Path, typer.Argument(help="Folder of a run, or of the demonstration.")]) -> None:
    """Write report.html into the folder of a run: curves, figures, played answers."""
    from dllm_rl.report import write_report

    typer.echo(write_report(folder))


@app.command("config", cls=_Command)
def config_command(
    command: Annotated[str, typer.Argument(help=f"One of {', '.join(CONFIGS)}.")],
    arguments: Arguments = None,
) -> None:
    """Print a command's resolved configuration, or without arguments every option it has."""
    from dllm_rl.config.loading import dump_yaml
    from dllm_rl.registry import nearest

    if command not in CONFIGS:
        raise ValueError(f"no configuration for {command!r}{nearest(command, list(CONFIGS))}; "
                         f"one of {', '.join(CONFIGS)}")
    text = dump_yaml(_load(command, arguments)[0]).rstrip() if arguments else "\n".join(_option_lines(command))
    typer.echo(text)


def _sentence(error: Exception) -> str:
    """What a user is told about an error of their making."""
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space and run again" if error.errno == errno.ENOSPC else ""
        return f"{place}{error.strerror}{remedy}"
    return str(error)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command ``dllm-rl``: 0, or 2 for a user's error, 130 for an interrupt, 1 for a failed verification."""
    prepare_process()
    try:
        app(args=None if arguments is None else list(arguments), prog_name="dllm-rl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except (ValueError, OSError, FloatingPointError) as error:
        if debugging():
            raise
        typer.echo(f"error: {_sentence(error)}", err=True)
        return 2
    return 0
