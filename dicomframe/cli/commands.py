"""Put the commands together, and run them."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from dicomframe import __version__
from dicomframe.cli import index_command, publish_command, query_commands, scan_commands
from dicomframe.cli.failures import ExitCode, explain

__all__ = ["app", "main"]

app = typer.Typer(
    name="dicomframe",
    help="DICOM files, on a laptop, in S3 or in HDFS, as two DataFrames: the sound ones and the "
    "others.",
    epilog="Begin with: dicomframe demo",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _each in (scan_commands, index_command, query_commands, publish_command):
    app.add_typer(_each.app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on `arguments`, those of the process by default.

    Returns
    -------
    int
        The exit code; what went wrong was said on stderr in one sentence.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot spell
            stream.reconfigure(errors="replace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = get_command(app).main(given, prog_name="dicomframe", standalone_mode=False)
    except KeyboardInterrupt:
        code = ExitCode.STOPPED
    except Exception as error:
        return explain(error, given)
    if code == ExitCode.STOPPED:
        sys.stderr.write("dicomframe: stopped\n")
    return int(code or 0)


def _show_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(f"dicomframe {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Show the help where no command is given."""
    del version
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
