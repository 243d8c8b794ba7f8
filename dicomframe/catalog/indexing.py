"""Bring a catalogue up to date with the files that a path names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dicomframe import registry
from dicomframe.catalog.changes import leave_out
from dicomframe.catalog.columns import DEFAULT_TAGS, FRAMES, OWN_COLUMNS
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.refreshing import Engine
from dicomframe.catalog.reports import IndexProgress, IndexReport, TellProgress
from dicomframe.catalog.run import Run
from dicomframe.catalog.state import State, list_states, read_state
from dicomframe.errors import InvalidOptionError
from dicomframe.scan.listing import Listing, list_files
from dicomframe.scan.manifest import is_manifest, list_manifest
from dicomframe.scan.options import check_npartitions
from dicomframe.scan.patterns import Selection
from dicomframe.scan.progress import Counter
from dicomframe.scan.request import Paths, Patterns, Tags, make_options, make_selection
from dicomframe.scan.tags import parse_tags

__all__ = ["index_dicom"]


def index_dicom(
    path: Paths,
    catalog: Any,
    *,
    tags: Tags | None = None,
    engine: str | None = None,
    storage_options: Mapping[str, Any] | None = None,
    catalog_options: Mapping[str, Any] | None = None,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    archives: bool = True,
    limits: Mapping[str, int] | None = None,
    transfer: Mapping[str, int] | None = None,
    npartitions: int | None = None,
    progress: TellProgress | None = None,
    **engine_options: Any,
) -> IndexReport:
    """Read the headers of new and changed files into a catalogue, and drop vanished ones.

    The catalogue is made where there is none. It holds a row for each file, sound or not, and
    is compared with the files that `path` names now: a file is read if it is new, if its size,
    modification time or ETag is another one, or if it could not be read before. What the
    catalogue knows of files elsewhere, or of files that `include` and `exclude` leave out now,
    stays as it is. Readers see the old or the new state, whenever this ends and however; an
    interrupted run is taken up by the next one.

    Parameters
    ----------
    path : str, path, list of them, Manifest or Arrow table
        As for `read_dicom`. Files that a `Manifest` or a table does not name do not vanish.
    catalog : str or path
        The folder of the catalogue, by path or URL; workers of an engine must reach it.
    tags : list of str or dict of str to str, optional
        The typed columns, chosen when the catalogue is made, as for `read_dicom`; by default the
        ones that `docs/catalogue.md` lists.
    engine : str, optional
        Who reads: ``"dask"``, ``"spark"`` or another backend; by default processes of this
        machine.
    storage_options, catalog_options : dict, optional
        What fsspec needs to connect to the files, and to the catalogue; shown nowhere.
    include, exclude, archives, limits, transfer, npartitions
        As for `read_dicom`.
    progress : callable, optional
        Is given an `IndexProgress` while files are listed and read. An engine then gets its
        work in up to 25 waves.
    **engine_options
        What the backend takes, such as ``session=`` for Spark.

    Returns
    -------
    IndexReport
        What was found, and what the catalogue holds now.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    CatalogError
        Another run is writing the catalogue, or it is damaged.
    InvalidOptionError
        An option is not valid, or the catalogue has other tags.
    UnknownTagError, UnknownEngineError, EngineNotInstalledError
        A tag or the engine is not known, or not installed.
    OSError
        The catalogue cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from dicomframe import index_dicom
    >>> from dicomframe.testing.samples import real_files
    >>> folder = tempfile.mkdtemp()
    >>> print(index_dicom(real_files("CT_small.dcm"), folder))
    1 new, 0 changed, 0 vanished, 0 unchanged files; 1 dicom and 0 corrupt rows in state 1
    >>> print(index_dicom(real_files("CT_small.dcm"), folder))
    0 new, 0 changed, 0 vanished, 1 unchanged files; 1 dicom and 0 corrupt rows in state 1
    """
    started = time.monotonic()
    if engine is not None:
        registry.check_engine_options(engine, engine_options, also_valid=_OPTIONS)
    elif engine_options:
        raise TypeError(
            f"index_dicom has no option {next(iter(engine_options))!r} without an engine, "
            f"it takes {', '.join(map(repr, _OPTIONS))}"
        )
    check_npartitions(npartitions)
    selection = make_selection(include, exclude)
    place = CatalogPlace.at(catalog, catalog_options)
    with place.lock():
        before = _open(place)
        columns = _settle_tags(tags, before)
        options = make_options(
            columns, "none", False, limits, archives, transfer, reserved=OWN_COLUMNS
        )
        if before is None:
            before = State(0, 0, "", columns, {})
        tell = progress or _tell_nobody
        listing = leave_out(_list(path, storage_options, selection, tell), place)
        reader = Engine(engine, engine_options, npartitions, in_waves=progress is not None)
        run = Run(place, before, options, reader, tell, started)
        return run.go(listing, selection)


_OPTIONS = (
    *("tags", "engine", "storage_options", "catalog_options", "include", "exclude", "archives"),
    *("limits", "transfer", "npartitions", "progress"),
)
_FOLDERS = {*FRAMES, "gone", "runs", "states", ".lock"}


def _tell_nobody(_: IndexProgress) -> None:
    return None


def _open(place: CatalogPlace) -> State | None:
    """Return the last state; None where a catalogue can be made.

    Raises
    ------
    InvalidOptionError
        Something else is there.
    """
    numbers = list_states(place)
    if numbers:
        return read_state(place, numbers[-1])
    others = place.list().keys() - _FOLDERS
    if others:
        raise InvalidOptionError(
            f"{place.origin!r} holds {min(others)!r} and is no catalogue; "
            "give a folder that is new or empty, or a catalogue"
        )
    return None


def _settle_tags(tags: Tags | None, before: State | None) -> dict[str, str]:
    """Return the tags of the catalogue by their columns.

    Raises
    ------
    InvalidOptionError
        There are others than those that are asked for.
    """
    if tags is None:
        return {tag: tag for tag in DEFAULT_TAGS} if before is None else dict(before.tags)
    if isinstance(tags, str):
        tags = [tags]
    chosen = dict(tags) if isinstance(tags, Mapping) else {tag: tag for tag in tags}
    if before is not None and parse_tags(chosen) != parse_tags(before.tags):
        raise InvalidOptionError(
            f"the catalogue has the tags {', '.join(map(repr, before.tags))} for good; leave out "
            "the option, or index into a new folder"
        )
    return chosen


def _list(
    path: Paths,
    storage_options: Mapping[str, Any] | None,
    selection: Selection,
    tell: TellProgress,
) -> Listing:
    counter = Counter(lambda count: tell(IndexProgress("listing", count, None)))
    if is_manifest(path):
        return list_manifest(path, storage_options, selection, counter)
    return list_files(path, storage_options, selection, counter, with_times=True)  # type: ignore[arg-type]
