"""Declare the commands ``demo``, ``scan`` and ``engines``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomframe.cli.demo import run_demo
from dicomframe.cli.engines import show_engines
from dicomframe.cli.options import StorageOptions, parse_storage_options
from dicomframe.cli.scanning import ScanRequest, run_scan

__all__ = ["app"]

app = typer.Typer()


@app.command(
    short_help="Show the main job on real files and damaged ones.",
    help="Show what dicomframe does, on the real DICOM files that pydicom ships and on a few that "
    "are damaged on the spot.\n\nExample:\n\n\b\n  dicomframe demo\n\n\b\n"
    "Exit codes:\n"
    "  0    done\n"
    "  2    the engine is not known, not installed or cannot start\n"
    "  3    storage faltered between two reads: run it again\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def demo(
    *,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="Who reads, dask by default; see: dicomframe engines.",
            show_default=False,
        ),
    ] = "dask",
) -> None:
    """Show the main job on real files."""
    raise typer.Exit(run_demo(engine))


@app.command(
    short_help="Read files, count them, write both frames as Parquet.",
    help="Read DICOM files, count the sound and the corrupt ones, and write both frames if "
    "wanted.\n\nPATH is a file, a folder (with all that is below it), a glob, or any URL that "
    "fsspec knows, such as s3://bucket/archive/; several may be given.\n\nExamples:\n\n\b\n"
    "  dicomframe scan archive/ --strict\n"
    "  dicomframe scan archive/ --tags PatientID,Modality --out frames/\n"
    "  dicomframe scan s3://bucket/ct/ --engine spark --out frames/\n\n\b\n"
    "Exit codes; after 2, 3, 4 and 130 nothing is written:\n"
    "  0    done\n"
    "  1    done, and a file is corrupt and --strict is given\n"
    "  2    a path, tag, engine or option is not valid, or --out cannot be written\n"
    "  3    storage faltered between two reads: run it again\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def scan(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", hidden=True, show_default=False),
    ] = None,
    *,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Read the files that FILE names, instead of PATH: Parquet, CSV, text with a URL "
            "on each line, or the manifest.json of an S3 Inventory.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", metavar="NAME", help="Who reads; by default this process alone."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tags",
            metavar="TAG,...",
            help="Attributes wanted as typed columns: keywords, hex tags or paths into "
            "sequences; may be repeated.",
        ),
    ] = None,
    pixels: Annotated[
        str,
        typer.Option(
            "--pixels",
            metavar="MODE",
            help="Pixel Data: none (the default), reference (its place in the file) or bytes.",
            show_default=False,
        ),
    ] = "none",
    warnings: Annotated[
        bool,
        typer.Option("--warnings", help="Add a column that tells what is strange in sound files."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Write the frames as Parquet into DIR/dicom and DIR/corrupt.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier scan wrote there.")
    ] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="PATTERN",
            help="Read only what fits: a glob for a name ('*.dcm'), or with a slash for a path "
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
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any file is corrupt.")
    ] = False,
) -> None:
    """Scan files."""
    request = ScanRequest(
        paths=paths or (),
        manifest=manifest,
        engine=engine,
        tags=tags or (),
        pixels=pixels,
        warnings=warnings,
        out=out,
        overwrite=overwrite,
        include=include or (),
        exclude=exclude or (),
        archives=archives,
        npartitions=npartitions,
        storage_options=parse_storage_options(storage_option or ()),
        strict=strict,
    )
    raise typer.Exit(run_scan(request))


@app.command(
    short_help="List the engines, and how to install what they need.",
    help="List the engines: name, distribution, version, and whether each is ready or the command "
    "that installs what it needs.\n\nExample:\n\n\b\n  dicomframe engines\n\n\b\n"
    "Exit codes:\n  0    done\n  4    an unexpected failure",
)
def engines() -> None:
    """List the engines."""
    show_engines()
