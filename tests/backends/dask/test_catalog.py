"""A catalogue is written and read by Dask."""

import dask
import pytest
from catalog_on_engines import CatalogOnEngine

from dicomframe import index_dicom, read_catalog
from dicomframe.testing.archive import write_archive


class TestCatalogOnDask(CatalogOnEngine):
    engine = "dask"


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_schedulers_write_the_same(tmp_path, scheduler):
    write_archive(tmp_path / "archive", files=200)
    with dask.config.set(scheduler=scheduler):
        report = index_dicom(
            tmp_path / "archive", tmp_path / "catalog", engine="dask", npartitions=3
        )
        assert (report.dicom, report.corrupt) == (199, {"truncated": 1})
        dicom, corrupt = read_catalog(tmp_path / "catalog", "dask")
        assert (len(dicom), len(corrupt)) == (199, 1)


def test_an_option_that_dask_does_not_have_is_told(tmp_path):
    write_archive(tmp_path / "archive", files=1)
    with pytest.raises(TypeError, match="no option 'session'"):
        index_dicom(tmp_path / "archive", tmp_path / "catalog", engine="dask", session=1)
    index_dicom(tmp_path / "archive", tmp_path / "catalog")
    with pytest.raises(TypeError, match="session"):
        read_catalog(tmp_path / "catalog", "dask", session=1)
