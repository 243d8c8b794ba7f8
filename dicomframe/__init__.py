"""DICOM files, on a laptop, in S3 or in HDFS, as a distributed DataFrame."""

from dicomframe.api import read_bulk_data, read_dicom, scan_dicom
from dicomframe.errors import (
    BackendContractError,
    BulkDataError,
    DicomFrameError,
    EngineConflictError,
    EngineNotInstalledError,
    EngineStartError,
    InvalidOptionError,
    UnknownEngineError,
    UnknownTagError,
)
from dicomframe.plugin import DicomFrames, RunReport
from dicomframe.scan.manifest import Manifest

__version__ = "0.1.0"

__all__ = [
    "BackendContractError",
    "BulkDataError",
    "DicomFrameError",
    "DicomFrames",
    "EngineConflictError",
    "EngineNotInstalledError",
    "EngineStartError",
    "InvalidOptionError",
    "Manifest",
    "RunReport",
    "UnknownEngineError",
    "UnknownTagError",
    "__version__",
    "read_bulk_data",
    "read_dicom",
    "scan_dicom",
]
