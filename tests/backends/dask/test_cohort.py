"""The question of the tests, by Dask, and the worked example."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pytest
from cohort import REAL_QUESTION, check_example, known_cohort, real_women_in_mr

from dicomframe import index_dicom, read_catalog
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import real_files

ENGINE = "dask"


class Indexed(NamedTuple):
    archive: Path
    catalog: Path
    truth: pa.Table


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    folder = tmp_path_factory.mktemp("cohort")
    truth = write_archive(folder / "archive", 2000)
    index_dicom(folder / "archive", folder / "catalog")
    return Indexed(folder / "archive", folder / "catalog", truth)


def test_cohort_is_exactly_the_known_set(indexed: Indexed) -> None:
    dicom, corrupt = read_catalog(indexed.catalog, ENGINE)
    is_woman = (dicom["PatientSex"] == "F") & dicom["PatientAge"].between(20, 25)
    cohort = dicom[is_woman & (dicom["Modality"] == "MR")]
    found = cohort["origin"].compute().tolist()
    assert len(found) == len(set(found)) > 5
    assert set(found) == known_cohort(indexed.truth)
    assert len(corrupt) == indexed.truth.num_rows - indexed.truth["reason"].null_count


def test_example_goes_from_files_to_pixels(indexed: Indexed, tmp_path: Path) -> None:
    arguments = [indexed.archive, tmp_path / "catalog", "--engine", ENGINE]
    cohort = known_cohort(indexed.truth)
    check_example(cohort, *arguments)
    again = check_example(cohort, *arguments)
    assert "catalogue: 0 new, 0 changed, 0 vanished, 2,000 unchanged files;" in again


def test_example_runs_on_real_files(tmp_path: Path) -> None:
    cohort = real_women_in_mr()
    assert len(cohort) > 5
    arguments = [real_files(), tmp_path / "catalog", "--where", REAL_QUESTION]
    check_example(cohort, *arguments, "--engine", ENGINE)
