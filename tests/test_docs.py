"""What users can meet is in the documentation."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import dicomframe
from dicomframe import errors, plugin, read_dicom
from dicomframe.dicom.damage import REASONS
from dicomframe.dicom.limits import Limits
from dicomframe.inspection import WARNINGS
from dicomframe.scan.options import BATCH_BYTES
from dicomframe.scan.schema import RESERVED_COLUMNS
from dicomframe.scan.transfer import DEFAULT_TRANSFER, Transfer

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def doc(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def names_in(text: str) -> set[str]:
    """Return the words in code font."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"\w+", code)}


def test_every_option_of_a_read_is_documented() -> None:
    options = set(inspect.signature(read_dicom).parameters) - {"engine_options"}
    assert options <= names_in(doc("reading.md"))


def test_every_column_is_documented() -> None:
    hidden = {"bytes_read", "requests", "pixel_place"}
    assert set(RESERVED_COLUMNS) - hidden <= names_in(doc("reading.md"))
    assert hidden <= names_in(doc("writing-a-backend.md"))


def test_every_option_of_a_transfer_is_documented_with_its_default() -> None:
    text = doc("storage.md")
    for field in dataclasses.fields(Transfer):
        assert f"| `{field.name}` |" in text
    assert Transfer(128 << 10, 64, 64 << 20, 10, 30) == DEFAULT_TRANSFER
    for words in ("128 KiB", "| 64 |", "64 MiB", "| 10 |", "30 s"):
        assert words in text


def test_every_reason_and_warning_is_documented_and_no_other() -> None:
    reasons, warnings = doc("corrupt.md").split("## Warnings")
    reasons = reasons.split("## Reasons")[1].split("## Limits")[0]
    assert re.findall(r"^\| `(\w+)`", reasons, re.MULTILINE) == list(REASONS)
    assert re.findall(r"^\| `(\w+)`", warnings, re.MULTILINE) == list(WARNINGS)


def test_every_limit_is_documented_with_its_default() -> None:
    text = doc("corrupt.md")
    names = {field.name for field in dataclasses.fields(Limits)} | {"batch_bytes"}
    assert names <= names_in(text)
    assert BATCH_BYTES == 32 << 20
    limits = Limits()
    assert (limits.header_bytes, limits.inflated_bytes) == (64 << 20, 2 << 30)
    assert (limits.inflated_ratio, limits.nesting_depth, limits.elements) == (100, 64, 1_000_000)
    assert (limits.inline_binary_bytes, limits.inline_text_bytes) == (1 << 10, 256 << 10)
    for words in (
        "64 MiB",
        "2 GiB",
        "| 100 |",
        "| 64 |",
        "1,000,000",
        "1 KiB",
        "256 KiB",
        "32 MiB",
    ):
        assert words in text


def test_every_error_is_documented() -> None:
    found = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert found <= names_in(doc("reading.md"))
    assert found <= set(dicomframe.__all__)


def test_every_public_name_is_documented() -> None:
    text = README + "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert set(dicomframe.__all__) - {"__version__"} <= names_in(text) | set(
        re.findall(r"\w+", text)
    )


def test_hook_and_entry_point_group_are_documented() -> None:
    text = doc("engines.md")
    hooks = [name for name in vars(plugin.BackendSpec) if not name.startswith("_")]
    assert hooks == ["dicomframe_register_backend"]
    assert hooks[0] in text
    assert plugin.ENTRY_POINT_GROUP in text


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target


def test_readme_prints_its_two_commands_before_the_second_screen_ends() -> None:
    lines = README.splitlines()
    commands = [at for at, line in enumerate(lines) if line.startswith("python3 -m venv .venv && ")]
    assert len(commands) == 2
    assert commands[1] < 60
    assert lines[commands[0]].endswith("dicomframe demo")
    assert lines[commands[1]].endswith(".venv/bin/nox")
