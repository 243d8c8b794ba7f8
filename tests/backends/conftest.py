"""One Spark session for all tests of a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

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


_SUBMIT_ARGUMENTS = (
    "--conf spark.executorEnv.TZ=Pacific/Kiritimati",
    "--conf spark.sql.session.timeZone=Asia/Kathmandu",
    "--conf spark.ui.showConsoleProgress=false",
    "--conf spark.sql.shuffle.partitions=2",
    "pyspark-shell",
)
