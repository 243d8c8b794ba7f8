"""The conformance suite on a Spark session that a fixture `spark` gives."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from dicomframe.testing import BackendConformance


class OnSpark(BackendConformance):
    engine = "spark"

    @pytest.fixture
    def engine_options(self, spark: SparkSession) -> dict[str, Any]:
        return {"session": spark}

    def count_partitions(self, frame: DataFrame) -> int:
        return int(frame.rdd.getNumPartitions())
