"""Let Spark find ``format("dicom")`` by itself: it looks into top-level modules ``pyspark_*``."""

from dicomframe_spark.source import DicomDataSource as DefaultSource

__all__ = ["DefaultSource"]
