"""Make up series, and hold the layers of the parser to agree on every file of them.

Run it by hand with ``python tests/fuzz/series.py --series 4000 --seed 7``. A seed gives the same
files every time. The mutations of `mutation.py` mostly strike one file; here a writer makes its
mistakes in all files of a series, so that templates learn them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the modules that tests share

from layers import ALL_LIMITS, check_layers
from made_up_series import make_series

from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits

LIMITS = (
    *(DEFAULT_LIMITS, DEFAULT_LIMITS, *ALL_LIMITS),
    Limits(header_bytes=600, elements=12),
    Limits(header_bytes=300_000, elements=20),
)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run as the command line says; 1 if the layers differed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(None if arguments is None else list(arguments))
    files = by_template = 0
    broken = []
    for seed in range(options.seed, options.seed + options.series):
        random = Random(seed)
        made = make_series(random, 4, 30)
        if random.random() < 0.5:
            random.shuffle(made)
        files += len(made)
        try:
            by_template += check_layers(made, random.choice(LIMITS))
        except Exception as error:  # the layers differ, or one of them failed
            broken.append(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
    lines = [f"files: {files}, by template: {by_template}", f"broken promises: {len(broken)}"]
    sys.stdout.write("\n".join([*lines, *broken[:40]]) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
