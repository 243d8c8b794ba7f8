"""Declare the command ``index``."""

from __future__ import annotations

from typing import Annotated

import typer

from dicomframe.cli.indexing import IndexRequest, run_index
from dicomframe.cli.options import StorageOptions, parse_storage_options, split_names

__all__ = ["app"]

app = typer.Typer()


@app.command(
    short_help="Write a catalogue of files, or bring one up to date.",
    help="Read the headers of DICOM files into a catalogue: a folder of Parquet files that "
    "'dicomframe query' and 'stats' ask. A catalogue that is there is brought up to date: new and "
    "changed files are read, vanished ones dropped; what it knows of files elsewhere stays.\n\n"
    "PATH is a file, a folder (with all that is below it), a glob, or any URL that fsspec knows; "
    "several may be given. CATALOG is a folder or a URL of one.\n\nExamples:\n\n\b\n"
    "  dicomframe index archive/ archive.cat\n"
    "  dicomframe index s3://bucket/ct/ s3://bucket/mr/ s3://cat/all --engine spark\n\n"
    "A run that was stopped or killed is taken up by the next one; readers of the catalogue see "
    "the state before or the one after.\n\n\b\n"
    "Exit codes:\n"
    "  0    done, also where nothing had changed\n"
    "  1    done, and a row of the catalogue is corrupt and --strict is given\n"
    "  2    a path, tag, engine or option is not valid, the catalogue cannot be\n"
    "       written, or another run is writing it\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def index(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", show_default=False)],
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", show_default=False)],
    *,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine", metavar="NAME", help="Who reads; by default processes of this machine."
        ),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tags",
            metavar="TAG,...",
            help="Attributes wanted as typed columns instead of the default ones, when the "
            "catalogue is made; may be repeated.",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Index only what fits: a glob for a name ('*.dcm'), or with a slash for a path "
            "below PATH ('ct/**'); may be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave out files and folders that fit, such as '.*' for hidden ones; may be "
            "repeated.",
        ),
    ] = None,
    archives: Annotated[
        bool,
        typer.Option(
            "--archives/--no-archives", help="Whether zip, tar, gzip and zstd files are opened."
        ),
    ] = True,
    npartitions: Annotated[
        int | None,
        typer.Option(
            "--npartitions", metavar="N", help="How many partitions; by default by their cost."
        ),
    ] = None,
    storage_option: StorageOptions = None,
    catalog_option: Annotated[
        list[str] | None,
        typer.Option(
            "--catalog-option",
            metavar="KEY=VALUE",
            help="As --storage-option, for the store of CATALOG; shown nowhere.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any row of CATALOG is corrupt.")
    ] = False,
) -> None:
    """Write a catalogue, or bring one up to date."""
    request = IndexRequest(
        paths=paths,
        catalog=catalog,
        engine=engine,
        tags=split_names(tags or ()) or None,
        include=include or (),
        exclude=exclude or (),
        archives=archives,
        npartitions=npartitions,
        storage_options=parse_storage_options(storage_option or ()),
        catalog_options=parse_storage_options(catalog_option or (), "--catalog-option"),
        strict=strict,
    )
    raise typer.Exit(run_index(request))
