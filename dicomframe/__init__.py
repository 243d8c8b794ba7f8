"""DICOM files, on a laptop, in S3 or in HDFS, as a distributed DataFrame."""

from dicomframe.api import read_bulk_data, read_dicom, scan_dicom
from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.indexing import index_dicom
from dicomframe.catalog.query import query_catalog
from dicomframe.catalog.reading import read_catalog
from dicomframe.catalog.reports import IndexProgress, IndexReport
from dicomframe.errors import (
    BackendContractError,
    BulkDataError,
    CatalogError,
    DicomFrameError,
    EngineConflictError,
    EngineNotInstalledError,
    EngineStartError,
    InvalidOptionError,
    SinkConflictError,
    SinkContractError,
    SinkError,
    SinkNotInstalledError,
    UnknownEngineError,
    UnknownSinkError,
    UnknownTagError,
)
from dicomframe.plugin import DicomFrames, RunReport
from dicomframe.scan.manifest import Manifest
from dicomframe.sinks.search import SinkReport, write_search

__version__ = "0.1.0"

__all__ = [
    "BackendContractError",
    "BulkDataError",
    "Catalog",
    "CatalogError",
    "DicomFrameError",
    "DicomFrames",
    "EngineConflictError",
    "EngineNotInstalledError",
    "EngineStartError",
    "IndexProgress",
    "IndexReport",
    "InvalidOptionError",
    "Manifest",
    "RunReport",
    "SinkConflictError",
    "SinkContractError",
    "SinkError",
    "SinkNotInstalledError",
    "SinkReport",
    "UnknownEngineError",
    "UnknownSinkError",
    "UnknownTagError",
    "__version__",
    "index_dicom",
    "query_catalog",
    "read_bulk_data",
    "read_catalog",
    "read_dicom",
    "scan_dicom",
    "write_search",
]
