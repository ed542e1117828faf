"""Write the pictures of the README from the figures of a demo.

    python tools/make_pictures.py runs/demo
"""

import argparse
from pathlib import Path

from dllm_rl.records.atomic import write_text
from dllm_rl.report.charts import picture, reward_chart, speed_chart
from dllm_rl.report.run_data import read_run

FOLDER = Path(__file__).parent.parent / "docs" / "images"


def write_pictures(demo: Path, folder: Path = FOLDER) -> Path:
    """Write ``demo.svg``: reward with held-out accuracy, and tokens per forward pass, over the steps of a demo.

    Raises:
        ValueError: the demo has no figures of a reinforcement.
    """
    rl = read_run(demo).rl
    if rl is None:
        raise ValueError(f"{demo} holds no figures of a reinforcement; run `dllm-rl demo` to its end first")
    path = folder / "demo.svg"
    write_text(path, picture([reward_chart(rl), speed_chart(rl)]))
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path, help="folder of a finished demo")
    write_pictures(parser.parse_args().demo)
