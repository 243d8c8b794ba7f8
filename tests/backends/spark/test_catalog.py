"""A catalogue is written and read by Spark."""

import contextlib
import io
import re

import pytest
from catalog_on_engines import CatalogOnEngine

from dicomframe import index_dicom, read_catalog
from dicomframe.testing.archive import write_archive


class TestCatalogOnSpark(CatalogOnEngine):
    engine = "spark"

    @pytest.fixture
    def options(self, spark):
        return {"session": spark}


def test_spark_pushes_filters_into_the_parts(tmp_path, spark):
    write_archive(tmp_path / "archive", files=300)
    index_dicom(tmp_path / "archive", tmp_path / "catalog")
    dicom, _ = read_catalog(tmp_path / "catalog", "spark", session=spark)
    some = dicom.where("StudyDate >= DATE'2020-01-01' AND Modality = 'MR'").select("origin")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        some.explain("formatted")
    plan = out.getvalue()
    assert "EqualTo(Modality,MR)" in plan
    (read,) = re.findall(r"ReadSchema: (.*)", plan)
    assert "metadata" not in read
