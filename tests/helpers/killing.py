"""Run a command again and again, killing it each time, until it has been killed often enough; then let it finish.

    python -m tests.helpers.killing KILLS SEED SECONDS RUN_DIR COMMAND [ARGUMENT]...

Every second kill waits for a checkpoint that is being written. Each attempt is a forked child of this process, which has
imported everything already, so that an attempt costs no start-up. Prints how many attempts were killed, and how many of
them while saving.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from dllm_rl.cli import main
from dllm_rl.training import rl, sft  # noqa: F401 - imported here so that no child has to


def attempt(arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        os._exit(main(arguments))
    return child


def wait_for_save(run_dir: Path, child: int, limit: float) -> bool:
    """Wait until a checkpoint is half written; ``False`` if none is within the limit or the child has ended."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if any(run_dir.glob("state/.*.partial-*")):
            return True
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return False
    return False


def run() -> None:
    kills, seed, seconds, run_dir, *arguments = sys.argv[1:]
    draw, killed, saving = random.Random(int(seed)), 0, 0
    while killed < int(kills):
        child = attempt(arguments)
        if killed % 2:
            saving += wait_for_save(Path(run_dir), child, 60.0)
        else:
            time.sleep(draw.uniform(0.0, float(seconds)))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break
        killed += 1
    child = attempt(arguments) if killed == int(kills) else None
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) if child else 3
    sys.stdout.write(f"{killed} {saving}\n")
    sys.exit(code)


if __name__ == "__main__":
    run()
