"""A catalogue on a real server is asked where it lies."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from cohort import COHORT, known_cohort

from dicomframe import Catalog, InvalidOptionError, index_dicom, query_catalog
from dicomframe.catalog.statistics import describe_catalog
from dicomframe.testing.archive import write_archive
from dicomframe.testing.store import Store


@pytest.mark.parametrize("kind", ["s3", "hdfs"])
def test_catalogue_on_a_server_gives_the_exact_set(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    store: Store = request.getfixturevalue(f"{kind}_store")
    truth = write_archive(tmp_path / "archive", 1000)
    url, options = f"{store.url}/{uuid4().hex}", store.options
    index_dicom(tmp_path / "archive", url, catalog_options=options)
    catalog = Catalog(url, options)
    assert set(query_catalog(catalog, COHORT)["origin"].to_pylist()) == known_cohort(truth)
    assert describe_catalog(catalog).totals["files"] == 1000
    state = f"{url}/states/00000001.json"
    with pytest.raises(InvalidOptionError, match="no other file"):
        query_catalog(catalog, sql=f"SELECT * FROM read_text('{state}')")
    (lost, *left) = sorted(known_cohort(truth))
    Path(lost.removeprefix("file://")).unlink()
    index_dicom(tmp_path / "archive", url, catalog_options=options)
    renewed = Catalog(url, options)
    assert renewed.gone()
    assert sorted(query_catalog(renewed, COHORT)["origin"].to_pylist()) == left
