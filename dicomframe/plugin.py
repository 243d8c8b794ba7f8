"""The door for authors of backends: what a plugin implements and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import pluggy
import pyarrow as pa

from dicomframe.errors import EngineStartError
from dicomframe.scan.partition import Partition
from dicomframe.scan.planning import ReadPlan
from dicomframe.scan.reading import PartitionReader

__all__ = [
    "ENTRY_POINT_GROUP",
    "Backend",
    "BackendSpec",
    "DicomFrames",
    "EngineStartError",
    "Partition",
    "PartitionReader",
    "ReadPlan",
    "hookimpl",
    "hookspec",
]

ENTRY_POINT_GROUP = "dicomframe.backends"
"""The entry-point group; the name of an entry point is the name of the engine."""

hookspec = pluggy.HookspecMarker("dicomframe")
hookimpl = pluggy.HookimplMarker("dicomframe")


class DicomFrames(NamedTuple):
    """Hold the two frames of a read, lazy DataFrames of the engine's own kind.

    Attributes
    ----------
    dicom
        One row for each sound file.
    corrupt
        One row for each other file, with the reason.
    """

    dicom: Any
    corrupt: Any


class Backend(ABC):
    """Turn a plan into frames of one engine, and such a frame into Arrow."""

    @abstractmethod
    def build(self, plan: ReadPlan) -> DicomFrames:
        """Return the two lazy frames of `plan`; open no file.

        The engine calls ``plan.reader(partition, columns)`` once in each task, one task for
        each of ``plan.partitions``. Rows whose ``reason`` is null make ``dicom`` (with the
        columns ``plan.dicom_schema``), the others ``corrupt`` (``plan.corrupt_schema``).
        Options of the engine are further keyword-only parameters of an implementation.
        """

    @abstractmethod
    def to_arrow(self, frame: Any) -> pa.Table:
        """Compute `frame`, which `build` made or which derives from it, into Arrow."""


class BackendSpec:
    """The one hook of a backend."""

    @hookspec
    def dicomframe_register_backend(self) -> Backend:  # type: ignore[empty-body]
        """Return the backend; import the engine at the top of the module that does so."""
