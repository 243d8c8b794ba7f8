"""A catalogue of a store in a store: as on a disk, and no run overwrites another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fsspec.core import url_to_fs

from dicomframe import Catalog, CatalogError, IndexProgress, index_dicom
from dicomframe.catalog.columns import FRAMES
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import make_ct
from dicomframe.testing.store import Store, write_file


@pytest.fixture(params=["s3", "hdfs"])
def store(request: pytest.FixtureRequest) -> Store:
    """A new folder on a real server."""
    made: Store = request.getfixturevalue(f"{request.param}_store")
    return made


@pytest.fixture
def files(store: Store, tmp_path: Path) -> str:
    write_archive(tmp_path / "archive", files=120)
    return store.put(tmp_path / "archive")


def content(path: object, frame: str, options: dict[str, Any] | None = None) -> pa.Table:
    table = Catalog(str(path), options).to_table(frame)
    return table.drop_columns(["run"]).sort_by("origin")


def test_a_catalogue_of_a_store_in_a_store(store: Store, files: str, tmp_path: Path) -> None:
    catalog = f"{store.url}/catalog"
    options = {"storage_options": store.options, "catalog_options": store.options}
    report = index_dicom(files, catalog, npartitions=3, **options)
    assert (report.new, report.state) == (120, 1)
    report = index_dicom(files, catalog, **options)
    assert (report.unchanged, report.state, report.bytes_read) == (120, 1, 0)
    file_system, root = url_to_fs(files, **store.options)
    changed, vanished = file_system.glob(f"{root}/*/*/*/*.dcm")[:2]
    write_file(file_system, changed, make_ct(3))
    write_file(file_system, f"{root}/new.dcm", make_ct(4))
    file_system.rm_file(vanished)
    report = index_dicom(files, catalog, **options)
    assert (report.new, report.changed, report.vanished, report.state) == (1, 1, 1, 2)
    index_dicom(files, tmp_path / "here", storage_options=store.options)
    for frame in FRAMES:
        found = content(catalog, frame, store.options)
        assert found.equals(content(tmp_path / "here", frame))
        assert found["modified"].null_count == 0
    opened = Catalog(catalog, store.options)
    secrets = [value for value in store.options.values() if isinstance(value, str) and value]
    assert not any(value in f"{opened!r} {opened.parts('dicom')}" for value in secrets)


def test_of_two_runs_from_two_machines_one_changes_nothing(store: Store, files: str) -> None:
    catalog = f"{store.url}/catalog"
    options = {"storage_options": store.options, "catalog_options": store.options}

    def meanwhile(progress: IndexProgress) -> None:
        if progress.step == "reading" and progress.done == 0:
            index_dicom(files, catalog, **options)

    with pytest.raises(CatalogError, match="another run has written"):
        index_dicom(files, catalog, progress=meanwhile, **options)
    assert Catalog(catalog, store.options).counts["files"] == 120
    assert index_dicom(files, catalog, **options).unchanged == 120
