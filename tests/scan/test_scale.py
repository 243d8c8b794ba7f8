"""A million names are listed and planned in a small time, a small memory and a small plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = r'''
import json, pickle, random, re, sys, time
from pathlib import Path
import fsspec
from fsspec.spec import AbstractFileSystem
from dicomframe.api import plan_read

names, has_versions = sys.argv[1], sys.argv[2] == "True"
FOLDERS, FILES = 500, 2000


class FakeNamesFileSystem(AbstractFileSystem):
    """A bucket of a million names and no file: no real one of that many is at hand."""

    protocol = "gs"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path):
        return path.removeprefix("gs://").rstrip("/")

    def info(self, path, **_):
        return {"name": path, "type": "directory", "size": 0}

    def ls(self, path, detail=True, **_):
        return [self.info(f"{path}/{self.study(n)}") for n in range(FOLDERS)]

    def study(self, number):
        if names == "hashes":
            return f"{number:03x}"
        return f"1.2.840.113619.2.55.3.604688119.971.{1182330000 + 7919 * number}.868"

    def find(self, path, detail=True, **_):
        make = random.Random(path)
        found = {}
        for number in range(FILES):
            if number % 200 == 0:
                series = f"1.2.840.113619.2.55.3.604688119.971.{make.randrange(10**10)}.{number}"
            if names == "vendor":
                name = f"{path}/{series}/{series}.{number}.dcm"
            else:
                name = f"{path}/{make.getrandbits(128):032x}"
            entry = {"name": name, "type": "file", "size": 526_000 + make.randrange(64)}
            if has_versions:
                entry["etag"] = f"{make.getrandbits(128):032x}"
            found[name] = entry
        return found


def peak():
    # Not ru_maxrss, which a process has from the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


fsspec.register_implementation("gs", FakeNamesFileSystem, clobber=True)
before = peak()
started = time.monotonic()
plan = plan_read("gs://bucket", pixels="bytes")
seconds = time.monotonic() - started
top = peak()
print(json.dumps({
    "seconds": seconds,
    "before": before,
    "peak": top,
    "plan": sum(len(pickle.dumps(partition)) for partition in plan.partitions),
    "partitions": len(plan.partitions),
    "files": sum(map(len, plan.partitions)),
    "versions": sum(file.version is not None for file in plan.partitions[0].files()),
}))
'''


@pytest.mark.parametrize(
    ("names", "has_versions", "megabytes"),
    [
        ("vendor", True, 20),
        ("hashes", False, 20),
        # A hash and a version are 24 bytes that nothing can compress.
        ("hashes", True, 30),
    ],
)
def test_a_million_names_are_listed_and_planned(
    tmp_path: Path, names: str, has_versions: bool, megabytes: int
) -> None:
    script = tmp_path / "million.py"
    script.write_text(_CODE)
    done = subprocess.run(
        [sys.executable, str(script), names, str(has_versions)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert found["files"] == 1_000_000
    assert bool(found["versions"]) == has_versions
    assert found["seconds"] < 60, found
    assert found["peak"] < 400e6, found
    assert found["plan"] < megabytes * 1e6, found
