"""Measure reading headers from a real S3 server: one after another, and many at once.

    python benchmarks/stores.py --files 2000 --latency 0.02

Needs what the tests of the stores need: the extras s3 and spark, and a Java.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from unittest import mock

import fsspec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from servers.faults import Faults
from servers.proxy import start_proxy
from servers.s3 import BUCKET, start_s3

from dicomframe.plugin import plan_read
from dicomframe.scan import fetching
from dicomframe.testing.samples import make_ct


def main() -> None:
    """Start the servers, measure in turns, print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds put before a request")
    parser.add_argument("--turns", type=int, default=3)
    arguments = parser.parse_args()
    with start_s3() as server, start_proxy(server.endpoint) as proxy:
        file_system = fsspec.filesystem("s3", **server.storage_options)
        files = {
            f"{BUCKET}/headers/{n:05d}.dcm": make_ct(n, rows=64) for n in range(arguments.files)
        }
        file_system.pipe(files)
        options = server.storage_options_at(proxy.endpoint)
        ways = {
            "one after another, obstore": (1, True),
            "one after another, s3fs": (1, False),
            "64 at once, obstore": (64, True),
            "64 at once, s3fs": (64, False),
        }
        best = dict.fromkeys(ways, float("inf"))
        for turn in range(arguments.turns + 1):
            for name, (in_flight, uses_obstore) in ways.items():
                if in_flight == 1 and turn > 1:
                    continue  # slow, and the same each time
                proxy.faults = Faults(latency_seconds=arguments.latency if turn else 0)
                seconds = measure(options, in_flight, uses_obstore=uses_obstore)
                if turn:  # the first is the warm-up of the server
                    best[name] = min(best[name], seconds)
    slowest = best["one after another, obstore"]
    print(
        f"{arguments.files} headers from S3, {arguments.latency * 1000:g} ms before each request,"
    )
    print("one process; client, proxy and server on the same machine\n")
    print("| way | seconds | against one after another |")
    print("|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {seconds:.2f} | 1/{slowest / seconds:.1f} |")


def measure(options: dict[str, object], in_flight: int, *, uses_obstore: bool) -> float:
    """Return the seconds that reading all headers takes, listing apart."""
    plan = plan_read(
        f"s3://{BUCKET}/headers",
        pixels="none",
        npartitions=1,
        storage_options={**options, "use_listings_cache": uses_obstore},  # a connection of its own
        transfer={"in_flight": in_flight},
    )
    find = fetching.find_obstore if uses_obstore else lambda *_: None
    with mock.patch.object(fetching, "find_obstore", find):
        began = time.perf_counter()
        rows = sum(
            batch.num_rows - batch["reason"].null_count for batch in plan.reader(plan.partitions[0])
        )
        took = time.perf_counter() - began
    if rows:
        raise RuntimeError(f"{rows} headers could not be read")
    return took


if __name__ == "__main__":
    main()
