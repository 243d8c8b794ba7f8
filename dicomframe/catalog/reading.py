"""Read a catalogue as the lazy frames of an engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dicomframe import registry
from dicomframe.catalog.catalog import Catalog
from dicomframe.plugin import DicomFrames

__all__ = ["read_catalog"]


def read_catalog(
    path: str | os.PathLike[str],
    engine: str,
    storage_options: Mapping[str, Any] | None = None,
    **engine_options: Any,
) -> DicomFrames:
    """Return the rows of a catalogue as two lazy frames of `engine`.

    They are those of the newest state, whatever runs write later. To read pixels, give what is
    left of the origins to `read_dicom`, as an Arrow table.

    Parameters
    ----------
    path : str or path
        The folder that `index_dicom` wrote, by path or URL; the workers must reach it.
    engine : str
        ``"spark"``, ``"dask"``, or the name of another backend that can read Parquet.
    storage_options : dict, optional
        What fsspec needs to connect; shown nowhere.
    **engine_options
        What the backend takes, such as ``session=`` for Spark.

    Returns
    -------
    DicomFrames
        ``(dicom, corrupt)``, with the columns of ``Catalog(path).schema(...)``.

    Raises
    ------
    FileNotFoundError, CatalogError
        There is no catalogue, or it is damaged.
    UnknownEngineError, EngineNotInstalledError
        The engine is not known, or not installed.
    NotImplementedError
        The engine cannot do that.

    Examples
    --------
    >>> import tempfile
    >>> from dicomframe import index_dicom, read_catalog
    >>> from dicomframe.testing.samples import real_files
    >>> folder = tempfile.mkdtemp()
    >>> report = index_dicom(real_files(), folder)
    >>> dicom, corrupt = read_catalog(folder, engine="dask")
    >>> bool(dicom[dicom["Modality"] == "MR"]["origin"].count().compute() > 9)
    True
    """
    backend = registry.get_backend(engine)
    catalog = Catalog(path, storage_options)
    return DicomFrames(
        dicom=backend.read_parquet(catalog.rows("dicom"), **engine_options),
        corrupt=backend.read_parquet(catalog.rows("corrupt"), **engine_options),
    )
