"""Help and documentation of the command line are complete."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from dicomframe.cli import app
from dicomframe.cli.failures import ExitCode

DOCS = Path(__file__).parent.parent / "docs" / "cli.md"


def walk(command: Any, path: Sequence[str] = ("dicomframe",)) -> Iterator[tuple[str, Any]]:
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, [*path, name])


COMMANDS = dict(walk(get_command(app)))


SUBCOMMANDS = [name for name in COMMANDS if " " in name]


def section_of(name: str) -> str:
    text = DOCS.read_text(encoding="utf-8")
    assert text.count(f"## `{name}`\n") == 1
    return text.partition(f"## `{name}`\n")[2].partition("\n## ")[0]


def help_of(name: str) -> str:
    result = CliRunner().invoke(app, [name.split()[1], "--help"])
    assert result.exit_code == 0
    return result.output


def test_every_command_is_in_the_table_and_in_the_order_of_the_help() -> None:
    listed = re.findall(r"^\| `(dicomframe \w+)` \|", DOCS.read_text(), re.MULTILINE)
    assert listed == SUBCOMMANDS


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_option_is_documented_and_no_other(name: str) -> None:
    rows = re.findall(r"^\| (`--?[^|]*) \|", section_of(name), re.MULTILINE)
    documented = [option for row in rows for option in re.findall(r"(?<![\w-])--?[a-z-]+", row)]
    options = [
        option
        for parameter in COMMANDS[name].params
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-")
    ]
    assert sorted(documented) == sorted(options)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_argument_is_documented(name: str) -> None:
    section = section_of(name)
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "argument":
            assert f"`{parameter.metavar}`" in section


def test_option_of_all_commands_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for option in ("--help", "-h", "--version"):
        assert option in text.partition("## ")[0]
    assert [each.opts for each in COMMANDS["dicomframe"].params] == [["--version"]]


def test_every_exit_code_is_documented_and_no_other() -> None:
    table = DOCS.read_text().partition("## Exit codes\n")[2].partition("\n## ")[0]
    codes = [int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)]
    assert codes == sorted(ExitCode)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_exit_codes_of_every_command_are_in_its_help_and_its_section(name: str) -> None:
    told = help_of(name).partition("Exit codes")[2].partition("\n\n")[0]
    codes = re.findall(r"^ +(\d+)  ", told, re.MULTILINE)
    assert codes
    assert set(map(int, codes)) <= set(ExitCode)
    assert f"\nExit codes: {', '.join(codes)}.\n" in f"{section_of(name)}\n"


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_of_every_command_has_an_example_and_fits_the_terminal(name: str) -> None:
    output = help_of(name)
    assert f"  {name}" in output.partition("Example")[2]
    assert max(map(len, output.splitlines())) <= 80
