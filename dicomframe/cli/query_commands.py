"""Declare the commands ``query`` and ``stats``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomframe.cli.describing import StatsRequest, run_stats
from dicomframe.cli.options import StorageOptions, parse_storage_options, split_names
from dicomframe.cli.querying import QueryRequest, run_query

__all__ = ["app"]

app = typer.Typer()


@app.command(
    short_help="Ask a catalogue with a condition or in SQL.",
    help="Ask a catalogue that 'dicomframe index' wrote, with a condition or in SQL.\n\n"
    "CATALOG is a folder or any URL that fsspec knows. WHERE is a condition in SQL over its "
    "columns; ages are years. Without it all rows fit.\n\nExamples:\n\n\b\n"
    "  dicomframe query archive.cat \"PatientSex = 'F' AND PatientAge < 25\"\n"
    "  dicomframe query archive.cat --group Modality,Manufacturer\n"
    "  dicomframe query archive.cat \"Modality = 'MR'\" --out brains.parquet\n"
    '  dicomframe query archive.cat --sql "SELECT max(StudyDate) FROM dicom"\n\n\b\n'
    "Exit codes:\n"
    "  0    done, also where no row fits\n"
    "  2    the catalogue, query or an option is not valid, or --out cannot be\n"
    "       written\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def query(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", show_default=False)],
    where: Annotated[str | None, typer.Argument(metavar="WHERE", show_default=False)] = None,
    *,
    select: Annotated[
        list[str] | None,
        typer.Option(
            "--select",
            metavar="COLUMN,...",
            help="The columns; by default all but metadata, in a table a few; may be repeated.",
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=0, help="The most rows.")
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(
            "--group",
            metavar="COLUMN,...",
            help="Count the rows for each value of these columns; may be repeated.",
        ),
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Give the number of rows alone.")] = False,
    sql: Annotated[
        str | None,
        typer.Option(
            "--sql",
            metavar="QUERY",
            help="A whole SELECT of DuckDB instead, over the views dicom and corrupt; "
            "tag(metadata, 'PatientName') is any attribute.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="table, csv, json, jsonl, parquet or origins (a manifest for 'dicomframe scan "
            "--manifest'); by default table on a terminal, csv in a pipe, and what the name of "
            "--out says.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write all rows into FILE: .csv, .json, .jsonl, .parquet, or .txt for origins.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file that is there.")
    ] = False,
    storage_option: StorageOptions = None,
) -> None:
    """Ask a catalogue."""
    request = QueryRequest(
        catalog=catalog,
        where=where,
        sql=sql,
        select=split_names(select or ()),
        group=split_names(group or ()),
        limit=limit,
        count=count,
        format=format_,
        out=out,
        overwrite=overwrite,
        storage_options=parse_storage_options(storage_option or ()),
    )
    raise typer.Exit(run_query(request))


@app.command(
    short_help="Show what is in a catalogue.",
    help="Show what is in a catalogue: how much, and by modality, manufacturer, year, transfer "
    "syntax and reason of corruption.\n\nCATALOG is a folder or any URL that fsspec knows."
    "\n\nExamples:\n\n\b\n"
    "  dicomframe stats archive.cat\n"
    "  dicomframe stats archive.cat --html archive.html\n\n\b\n"
    "Exit codes:\n"
    "  0    done\n"
    "  2    the catalogue or an option is not valid, or --html cannot be written\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def stats(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", show_default=False)],
    *,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page with charts, which needs no other file; one of that name is "
            "replaced.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    top: Annotated[
        int,
        typer.Option("--top", metavar="N", min=1, help="How many values of each are told by name."),
    ] = 10,
    storage_option: StorageOptions = None,
) -> None:
    """Show what is in a catalogue."""
    request = StatsRequest(
        catalog=catalog,
        html=html,
        json=json,
        top=top,
        storage_options=parse_storage_options(storage_option or ()),
    )
    raise typer.Exit(run_stats(request))
