"""A tiny engine as an outside distribution brings it: built, installed, found, conforming."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dicomframe import registry
from dicomframe.testing import BackendConformance

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "outside-rows"
version = "0.3"
dependencies = ["dicomframe"]

[project.entry-points."dicomframe.backends"]
rows = "outside_rows"
"""

MODULE = '''
"""An engine of plain Python: a frame is a list of functions, one for each partition."""

from functools import partial

import pyarrow as pa

from dicomframe.plugin import Backend, DicomFrames, hookimpl


class Rows(list):
    schema = None


class RowsBackend(Backend):
    def build(self, plan, *, reverse=False):
        def frame(name, schema):
            rows = Rows(partial(read, plan, part, schema, name) for part in plan.partitions)
            rows.schema = schema
            return rows

        return DicomFrames(
            frame("dicom", plan.dicom_schema), frame("corrupt", plan.corrupt_schema)
        )

    def to_arrow(self, frame):
        return pa.concat_tables([part() for part in frame])


def read(plan, partition, schema, frame):
    return pa.Table.from_batches(plan.reader.read_frame(frame, partition, schema.names))


@hookimpl
def dicomframe_register_backend():
    return RowsBackend()
'''


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build the wheel of the distribution and install it, which for pure Python is to unpack it."""
    source = tmp_path_factory.mktemp("outside")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "outside_rows.py").write_text(MODULE)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=source, check=True
    )
    (wheel,) = source.glob("dist/*.whl")
    site = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(site)
        importlib.invalidate_caches()
        yield


class TestConformance(BackendConformance):
    engine = "rows"

    @pytest.fixture
    def engine_options(self) -> dict[str, Any]:
        return {"reverse": False}

    def count_partitions(self, frame: Any) -> int:
        return len(frame)

    def select_columns(self, frame: Any, names: list[str]) -> Any:
        return [lambda part=part: part().select(names) for part in frame]


def test_outside_engine_is_listed_beside_ours() -> None:
    engines = {info.name: info for info in registry.list_engines()}
    assert {"dask", "rows", "spark"} <= set(engines)
    rows = engines["rows"]
    assert (rows.distribution, rows.version, rows.ready) == ("outside-rows", "0.3", True)


def test_frame_of_an_engine_is_what_its_author_makes_it(tmp_path: Path) -> None:
    frames = importlib.import_module("dicomframe").read_dicom(tmp_path, engine="rows")
    assert isinstance(frames.dicom, list)
    assert all(isinstance(part(), pa.Table) for part in frames.dicom)


def test_outside_engine_writes_both_frames_without_a_word_of_it(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no image")
    frames = importlib.import_module("dicomframe").read_dicom(tmp_path / "in", engine="rows")
    report = frames.write_parquet(tmp_path / "out")
    assert (report.dicom, report.corrupt) == (0, {"not_dicom": 1})
    with pytest.raises(NotImplementedError, match="use write_parquet"):
        frames.persist()
