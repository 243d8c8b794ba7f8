"""The secret of a store appears nowhere, whatever else the run of these tests has written down."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from servers.s3 import S3Server

from dicomframe import read_dicom, scan_dicom
from dicomframe.api import plan_read
from dicomframe.registry import get_backend
from dicomframe.testing.store import Store
from dicomframe.testing.trees import make_tree


@pytest.fixture
def tree(tmp_path: Path, s3_store: Store) -> str:
    """A tree in S3."""
    make_tree(tmp_path)
    return s3_store.put(tmp_path)


def test_plans_readers_and_batches_show_no_secret(tree: str, s3: S3Server) -> None:
    plan = plan_read(tree, storage_options=s3.storage_options)
    batches = list(scan_dicom(tree, storage_options=s3.storage_options))
    shown = f"{plan!r} {plan.partitions!r} {plan.reader!r} {[b.to_pydict() for b in batches]!r}"
    assert tree.rpartition("/")[2] in shown
    assert s3.secret not in shown


def test_errors_show_no_secret(tree: str, s3: S3Server) -> None:
    for path, options in [
        (f"{tree}/nothing", s3.storage_options),
        ("s3://no-such-bucket/a", s3.storage_options),
        (tree, {**s3.storage_options, "no_such_option": 1}),
        (tree, {**s3.storage_options, "key": "nobody"}),
    ]:
        try:
            shown = repr([b.to_pydict() for b in scan_dicom(path, storage_options=options)])
        except Exception as error:
            shown = _show_chain(error)
        assert len(shown) > 10
        assert s3.secret not in shown


def test_logs_of_both_engines_show_no_secret(
    tree: str,
    s3: S3Server,
    spark: SparkSession,
    logs: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    shown: list[str] = []
    for engine, options in (("dask", {}), ("spark", {"session": spark})):
        frames = read_dicom(tree, engine, storage_options=s3.storage_options, **options)
        for frame in frames:
            table = get_backend(engine).to_arrow(frame)
            assert table.num_rows
            shown += [repr(frame), repr(table.to_pydict())]
            if engine == "spark":
                shown.append(_explain(frame))
    written = capfd.readouterr()
    texts = {"frames": "".join(shown), "stdout": written.out, "stderr": written.err}
    texts["server"] = s3.log.read_text()
    texts |= {
        str(path.relative_to(logs)): path.read_text(errors="replace")
        for path in logs.rglob("*")
        if path.is_file()
    }
    assert "MapInArrow" in texts["frames"]
    assert "botocore" in texts["python.log"]
    assert "DAGScheduler" in texts["spark.log"]
    assert any("SparkListenerJobStart" in text for text in texts.values())
    assert [name for name, text in texts.items() if s3.secret in text] == []


def _explain(frame: Any) -> str:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        frame.explain("extended")
    return shown.getvalue()


def _show_chain(error: BaseException | None) -> str:
    return "" if error is None else f"{error!r} {error} {_show_chain(error.__cause__)}"
