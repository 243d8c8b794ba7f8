"""The clauses that every backend must pass, and what users of this one meet."""

# ruff: noqa: D103, S101  (these are tests)

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from dicomframe_pandas import LazyFrame

from dicomframe import read_dicom
from dicomframe.testing import BackendConformance
from dicomframe.testing.samples import real_files


class TestConformance(BackendConformance):
    """All of it, inherited."""

    engine = "pandas"

    def count_partitions(self, frame: LazyFrame) -> int:
        """Return how many tables the frame has."""
        return sum(1 for _ in frame.tables())


def test_frame_is_loaded_as_pandas() -> None:
    dicom, _ = read_dicom(real_files("CT_small.dcm"), engine="pandas", tags=["PatientAge"])
    assert dicom[["PatientAge", "metadata"]].load()["PatientAge"].tolist() == [0.0]


def test_both_frames_are_written_though_the_engine_says_nothing_of_it(tmp_path: Path) -> None:
    frames = read_dicom(real_files("CT_small.dcm"), engine="pandas")
    report = frames.write_parquet(tmp_path / "out")
    assert report.files == pq.read_table(tmp_path / "out" / "frame=dicom").num_rows == 1
