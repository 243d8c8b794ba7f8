"""Declare the command ``publish``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dicomframe.cli.options import StorageOptions, parse_storage_options, split_names
from dicomframe.cli.publishing import PublishRequest, run_publish

__all__ = ["app"]

app = typer.Typer()


@app.command(
    short_help="Write a catalogue to a search engine or store.",
    help="Write the sound files of a catalogue to a search engine or store, one document each; "
    "a second run replaces what the first one wrote.\n\n"
    "CATALOG is a folder or any URL that fsspec knows. URL is SINK+http://HOST:PORT/NAME or "
    "SINK+https://...; what is not there is made.\n\nExamples:\n\n\b\n"
    "  dicomframe publish archive.cat elasticsearch+http://localhost:9200/images\n"
    "  dicomframe publish archive.cat opensearch+https://search/images \\\n"
    '      --option user=me --option password="$PASSWORD"\n'
    "  dicomframe publish archive.cat solr+http://localhost:8983/images \\\n"
    "      --where \"Modality = 'MR'\" --refused refused.csv\n\n\b\n"
    "Exit codes:\n"
    "  0    done\n"
    "  1    done, and the server refused documents\n"
    "  2    the catalogue, URL or an option is not valid, or --refused cannot be\n"
    "       written\n"
    "  3    the server cannot be reached or refuses, or what is there does not fit;\n"
    "       what was written stays: run it again\n"
    "  4    an unexpected failure\n"
    "  130  stopped with Ctrl-C",
)
def publish(
    catalog: Annotated[str, typer.Argument(metavar="CATALOG", show_default=False)],
    url: Annotated[str, typer.Argument(metavar="URL", show_default=False)],
    *,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="WHERE", help="Which rows, as in 'dicomframe query'."),
    ] = None,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tags",
            metavar="COLUMN,...",
            help="The columns of the catalogue that become fields, by default all tags; may be "
            "repeated.",
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="NAME",
            help="Who reads the catalogue and writes; by default this process alone.",
        ),
    ] = None,
    refused: Annotated[
        Path | None,
        typer.Option(
            "--refused",
            metavar="FILE",
            help="Write origin, id and reason of what was refused into FILE, as CSV; one of that "
            "name is replaced.",
        ),
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            metavar="KEY=VALUE",
            help="What the sink needs to connect, such as user and password; KEY:=JSON for "
            "numbers; may be repeated; shown nowhere.",
        ),
    ] = None,
    storage_option: StorageOptions = None,
) -> None:
    """Write a catalogue to a sink."""
    request = PublishRequest(
        catalog=catalog,
        url=url,
        where=where,
        tags=split_names(tags or ()),
        engine=engine,
        refused=refused,
        options=parse_storage_options(option or (), "--option"),
        storage_options=parse_storage_options(storage_option or ()),
    )
    raise typer.Exit(run_publish(request))
