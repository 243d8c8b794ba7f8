"""Reading DICOM files: list them, plan the work, hand it to an engine or do it here."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from dicomframe import registry
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Parser
from dicomframe.errors import BulkDataError
from dicomframe.plugin import DicomFrames
from dicomframe.scan.feeding import read_file_header
from dicomframe.scan.locating import fetch_range, open_origin
from dicomframe.scan.places import BulkURI
from dicomframe.scan.progress import Progress
from dicomframe.scan.request import Paths, Patterns, Tags, plan_read
from dicomframe.scan.storage import StorageFault

__all__ = ["plan_read", "read_bulk_data", "read_dicom", "scan_dicom"]

_OPTIONS = [name for name in inspect.signature(plan_read).parameters if name != "path"]


def read_dicom(
    path: Paths,
    engine: str,
    tags: Tags | None = None,
    pixels: str = "bytes",
    warnings: bool = False,  # noqa: FBT001, FBT002
    npartitions: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    limits: Mapping[str, int] | None = None,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    progress: Progress = False,  # noqa: FBT002
    archives: bool = True,  # noqa: FBT001, FBT002
    transfer: Mapping[str, int] | None = None,
    **engine_options: Any,
) -> DicomFrames:
    """Return DICOM files as two lazy frames of `engine`: the sound ones and the others.

    The files are listed now, on the driver, and read when the engine computes a frame, on its
    workers. Each file that was listed is a row of exactly one of the two frames.

    Parameters
    ----------
    path : str, path, list of them, Manifest or Arrow table
        A file, a folder (with all that is below it, whatever the names), a glob, or any URL that
        fsspec knows, such as ``s3://bucket/archive/``. A `Manifest`, or an Arrow table with a
        column ``origin``, names the files itself, and nothing is listed.
    engine : str
        ``"spark"``, ``"dask"``, or the name of another installed backend.
    tags : list of str or dict of str to str, optional
        DICOM attributes wanted as typed columns: keywords (``"PatientAge"``), tags
        (``"00101010"``) or paths into sequences
        (``"RequestAttributesSequence[0].ScheduledProcedureStepID"``); or column names with these.
    pixels : {"bytes", "reference", "none"}
        Pixel Data as a column of bytes, as its place in the file, or not at all.
    warnings : bool
        A column that tells what is strange in a sound file.
    npartitions : int, optional
        The number of partitions; by default they are balanced by cost.
    storage_options : dict, optional
        Handed to fsspec; shown nowhere.
    limits : dict of str to int, optional
        How far a file is followed before it is ``too_large``, and what becomes a BulkDataURI:
        ``{"nesting_depth": 32}``.
    include : str or list of str, optional
        Glob patterns; a file is read only if it fits one. A pattern without ``/`` is held
        against the name alone, any other one against the whole path below the folder that
        `path` names (of a glob, below the last folder before the first wildcard): ``*`` and
        ``?`` stay within a name, ``**`` is any number of folders, and a pattern that ends with
        ``/`` means a folder, and with it all that is below.
    exclude : str or list of str, optional
        Likewise for what is left out, which counts before `include`. A pattern that fits a
        folder leaves out all that is below it, and the folder is not listed. Hidden files are
        read unless ``exclude=".*"`` says otherwise.
    progress : bool or callable
        True for a line on stderr with the count of files found so far, or a callable that is
        given the count, ten times a second at the most.
    archives : bool
        Whether zip, tar, gzip and zstd files, known by their first bytes, are opened in place;
        each file within is then a row, and the archive is none unless something of it is lost.
    transfer : dict of str to int, optional
        How remote files are fetched, such as ``{"in_flight": 128}``: the fields of `Transfer`.
    **engine_options
        What the backend takes, such as ``session=`` for Spark.

    Returns
    -------
    DicomFrames
        ``(dicom, corrupt)``.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    UnknownEngineError, EngineNotInstalledError
        The engine is not known, or not installed.
    UnknownTagError, InvalidOptionError
        A tag or an option is not valid.
    TypeError
        The engine takes no such option.

    Examples
    --------
    >>> from dicomframe.testing.samples import real_files
    >>> dicom, corrupt = read_dicom(real_files(), engine="dask", tags=["Modality"], pixels="none")
    >>> bool(dicom[dicom["Modality"] == "MR"]["origin"].count().compute() > 9)
    True
    """
    registry.check_engine_options(engine, engine_options, also_valid=_OPTIONS)
    plan = plan_read(
        path,
        tags,
        pixels,
        warnings,
        npartitions,
        storage_options,
        limits,
        include,
        exclude,
        progress,
        archives,
        transfer,
    )
    return registry.build_frames(engine, plan, engine_options)


def scan_dicom(
    path: Paths,
    tags: Tags | None = None,
    pixels: str = "bytes",
    warnings: bool = False,  # noqa: FBT001, FBT002
    npartitions: int | None = None,
    storage_options: Mapping[str, Any] | None = None,
    limits: Mapping[str, int] | None = None,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    progress: Progress = False,  # noqa: FBT002
    archives: bool = True,  # noqa: FBT001, FBT002
    transfer: Mapping[str, int] | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield DICOM files as Arrow record batches, read here, one after another, by no engine.

    The columns of both frames stand side by side: ``origin``, ``metadata``, the tags,
    ``pixel_data`` (or its place), ``warnings`` if asked for, then ``reason``, ``detail`` and
    ``offset``, which are null for a sound file. The parameters and errors are those of
    `read_dicom`; the listing is done before this returns.

    Examples
    --------
    >>> from dicomframe.testing.samples import real_files
    >>> batches = scan_dicom(real_files("CT_small.dcm"), tags=["PatientAge"], pixels="none")
    >>> table = pa.Table.from_batches(batches)
    >>> table.column_names
    ['origin', 'metadata', 'PatientAge', 'reason', 'detail', 'offset']
    """
    plan = plan_read(
        path,
        tags,
        pixels,
        warnings,
        npartitions,
        storage_options,
        limits,
        include,
        exclude,
        progress,
        archives,
        transfer,
    )
    return (batch for partition in plan.partitions for batch in plan.reader(partition))


def read_bulk_data(uri: str, storage_options: Mapping[str, Any] | None = None) -> bytes:
    """Return the bytes that a ``BulkDataURI`` of a ``metadata`` column stands for.

    Words of a big endian file come in little endian order, as bulk data has them (PS3.18 section
    8.7.3.3); Pixel Data comes as it is stored.

    Parameters
    ----------
    uri : str
        ``origin#offset=...&length=...``.
    storage_options : dict, optional
        Handed to fsspec.

    Raises
    ------
    BulkDataError
        `uri` is no such URI, or its bytes cannot be had whole.

    Examples
    --------
    >>> import json
    >>> from dicomframe.testing.samples import real_files
    >>> batch = next(scan_dicom(real_files("CT_small.dcm"), pixels="none"))
    >>> uri = json.loads(batch["metadata"][0].as_py())["7FE00010"]["BulkDataURI"]
    >>> len(read_bulk_data(uri))
    32768
    """
    place = BulkURI.parse(uri)
    if place is None:
        raise BulkDataError(
            "the URI does not end with '#offset=...&length=...'; give one from a metadata column"
        )
    stop = place.offset + place.length
    try:
        if place.inflated:
            with open_origin(place.origin, storage_options) as file:
                inflated = read_file_header(Parser(), place.origin, file).inflated
            is_there = inflated is not None and stop <= inflated.size
            raw = inflated.read(place.offset, stop) if inflated and is_there else b""
        else:
            raw = fetch_range(place.origin, place.offset, stop, storage_options)
    except (StorageFault, Damage) as fault:
        raise BulkDataError(f"the bulk data cannot be fetched: {fault.detail}") from None
    if len(raw) != place.length:
        raise BulkDataError("the bulk data cannot be fetched: the file has changed since")
    return place.to_little_endian(raw)
