"""How Java and Python of a local session talk."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark
import pytest

from dicomframe_spark import sockets
from dicomframe_spark.sockets import choose_sockets

SCRIPT = """
import os, dicomframe_spark
session = dicomframe_spark.start_local_session()
assert session.range(4).mapInArrow(lambda rows: rows, "id long").count() == 4
folder = session.conf.get("spark.python.unix.domain.socket.dir")
print(folder, oct(os.stat(folder).st_mode & 0o777), len(os.listdir(folder)))
"""


def test_a_local_session_talks_over_sockets_of_this_user_and_leaves_none() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )
    folder, mode, count = ran.stdout.split()
    assert mode == "0o700"
    if not pyspark.__version__.startswith("4.0."):  # they came with 4.1
        assert int(count) > 0
    assert not Path(folder).exists()


def test_the_user_can_choose_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_UDS_MODE", "false")
    assert choose_sockets() == {}


@pytest.mark.skipif(os.name != "posix", reason="there are no such sockets")
def test_names_that_the_system_would_cut_are_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_sockets()["spark.python.unix.domain.socket.enabled"] == "true"
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    monkeypatch.setattr(sockets, "_make_folder", sockets._make_folder.__wrapped__)
    assert choose_sockets() == {}
