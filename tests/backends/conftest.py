"""What the tests of the backends share: one Spark session, and the check of the bad files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dicomframe import read_dicom
from dicomframe.registry import get_backend
from dicomframe.testing.bad_files import write_bad_files

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Start the session that a user without one gets, with time zones that would show a fault.

    Driver, session and workers are each in another zone.
    """
    from pyspark.sql import SparkSession

    from dicomframe_spark import start_local_session

    assert SparkSession.getActiveSession() is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/St_Johns")  # what the JVM inherits
        patch.setenv("PYSPARK_SUBMIT_ARGS", " ".join(_SUBMIT_ARGUMENTS))
        session = start_local_session()
    yield session
    session.stop()


@pytest.fixture
def check_bad_files(tmp_path: Path) -> Callable[[str], None]:
    """Return a check that an engine gives every named bad file the row that is promised."""

    def check_bad_files(engine: str) -> None:
        expected = write_bad_files(tmp_path)
        frames = read_dicom(
            tmp_path, engine=engine, pixels="none", warnings=True, npartitions=3, archives=False
        )
        backend = get_backend(engine)
        dicom, corrupt = backend.to_arrow(frames.dicom), backend.to_arrow(frames.corrupt)
        found = [
            *((row["origin"], None, tuple(row["warnings"])) for row in dicom.to_pylist()),
            *((row["origin"], row["reason"], ()) for row in corrupt.to_pylist()),
        ]
        assert len(found) == len(expected)
        assert {Path(origin).name: tuple(told) for origin, *told in found} == expected

    return check_bad_files


_SUBMIT_ARGUMENTS = (
    "--conf spark.executorEnv.TZ=Pacific/Kiritimati",
    "--conf spark.sql.session.timeZone=Asia/Kathmandu",
    "--conf spark.ui.showConsoleProgress=false",
    "--conf spark.sql.shuffle.partitions=2",
    "pyspark-shell",
)
