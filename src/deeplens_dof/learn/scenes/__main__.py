"""`python -m deeplens_dof.learn.scenes OUT --count N --seed S [--workers W]`: synthetic training data."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from deeplens_dof.learn.scenes.generate import make_scenes


def main() -> None:
    """Reads the command line and makes the frames, with a line now and then."""
    parser = argparse.ArgumentParser(prog="deeplens scenes", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    start = time.monotonic()

    def tell(done: int) -> None:
        if done % 50 == 0:
            print(f"{done} of {options.count} frames, {time.monotonic() - start:.0f} s", flush=True)

    print(make_scenes(options.out, options.count, options.seed, options.workers, tell))


if __name__ == "__main__":
    main()
