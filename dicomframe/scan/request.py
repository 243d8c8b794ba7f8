"""Turn what a user asks for into a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from dicomframe.scan.listing import Listing, list_files
from dicomframe.scan.manifest import Manifest, is_manifest, list_manifest
from dicomframe.scan.options import (
    ReadOptions,
    check_flag,
    check_limits,
    check_npartitions,
    check_pixels,
    check_transfer,
)
from dicomframe.scan.patterns import Selection, check_patterns
from dicomframe.scan.planning import ReadPlan, plan_partitions
from dicomframe.scan.progress import Counter, Progress
from dicomframe.scan.reading import PartitionReader
from dicomframe.scan.schema import RESERVED_COLUMNS
from dicomframe.scan.splitting import split_archives
from dicomframe.scan.tags import parse_tags

Path = str | os.PathLike[str]
Paths: TypeAlias = Path | Sequence[Path] | Manifest | pa.Table
Tags = Iterable[str] | Mapping[str, str]

Patterns = str | Sequence[str]


def plan_read(
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
) -> ReadPlan:
    """List the files and divide them; the plan is what a backend is given.

    The parameters and errors are those of `read_dicom`.
    """
    check_npartitions(npartitions)
    options = make_options(tags, pixels, warnings, limits, archives, transfer)
    selection = make_selection(include, exclude)
    lister: Callable[..., Listing] = list_manifest if is_manifest(path) else list_files
    listing = lister(path, storage_options, selection, Counter(progress))
    if options.archives:
        listing = split_archives(listing)
    partitions = plan_partitions(
        listing, reads_pixels=options.pixels == "bytes", npartitions=npartitions
    )
    return ReadPlan(partitions, PartitionReader(options))


def make_options(
    tags: Tags | None = None,
    pixels: str = "bytes",
    warnings: bool = False,  # noqa: FBT001, FBT002
    limits: Mapping[str, int] | None = None,
    archives: bool = True,  # noqa: FBT001, FBT002
    transfer: Mapping[str, int] | None = None,
    *,
    reserved: Iterable[str] = (),
) -> ReadOptions:
    """Return what a read asks for, checked; no column of `tags` may have a name in `reserved`.

    The other parameters and the errors are those of `read_dicom`.
    """
    parser_limits, batch_bytes = check_limits(limits)
    return ReadOptions(
        tags=parse_tags(tags, [*RESERVED_COLUMNS, *reserved]),
        pixels=check_pixels(pixels),
        warnings=check_flag("warnings", warnings),
        limits=parser_limits,
        batch_bytes=batch_bytes,
        archives=check_flag("archives", archives),
        transfer=check_transfer(transfer),
    )


def make_selection(include: Patterns | None, exclude: Patterns | None) -> Selection:
    """Return which files a read wants, by patterns that are checked."""
    return Selection(check_patterns("include", include), check_patterns("exclude", exclude))
