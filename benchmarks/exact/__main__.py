"""Run the bench: ``python -m benchmarks.exact --help``."""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.exact.comparison import Row, compare
from benchmarks.exact.estimators import needs_discards
from benchmarks.exact.samplers import SAMPLERS
from benchmarks.exact.table import markdown, write
from benchmarks.exact.toy import ToyShape

from dllm_rl.registry import POLICY_LOSSES, VIEWS

BLOCKS = ToyShape(4, 3, block_size=2)
WHOLE = ToyShape(4, 3)
NUM_DRAWS = {"blocks": 2, "whole": 12}
TRIVIAL_IN_BLOCKS = ("D static 2", "D factor")
"""Samplers that finish a block of two positions in one step."""


def block_rows() -> Iterator[Row]:
    """Two blocks of two positions, every view and policy loss; small enough for a test run."""
    for sampler in SAMPLERS:
        if sampler not in TRIVIAL_IN_BLOCKS:
            yield from compare(BLOCKS, sampler, VIEWS, list(POLICY_LOSSES), NUM_DRAWS["blocks"])


def whole_rows() -> Iterator[Row]:
    """Four positions that see each other, twelve weight draws; ``trace_all`` has too many records there."""
    views = [view for view in VIEWS if not needs_discards(view)]
    for sampler in SAMPLERS:
        yield from compare(WHOLE, sampler, views, list(POLICY_LOSSES)[:1], NUM_DRAWS["whole"])


TABLES: dict[str, Callable[[], Iterator[Row]]] = {"blocks": block_rows, "whole": whole_rows}


def main() -> None:
    """Print the tables, or write them between their markers in a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", choices=TABLES, action="append", help="which; all if not given")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page")
    options = parser.parse_args()
    for name in options.table or TABLES:
        start = time.perf_counter()
        text = markdown(TABLES[name]())
        print(f"{name}: {time.perf_counter() - start:.0f} seconds\n{text}", flush=True)
        if options.write:
            write(options.write, name, text)


if __name__ == "__main__":
    main()
