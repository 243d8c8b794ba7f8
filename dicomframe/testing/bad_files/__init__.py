"""A library of named files that are bad, or only strange, and what each of them gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from dicomframe.testing.bad_files.beginnings import BEGINNINGS
from dicomframe.testing.bad_files.cuts import CUTS
from dicomframe.testing.bad_files.lengths import LENGTHS
from dicomframe.testing.bad_files.orders import ORDERS, VRS
from dicomframe.testing.bad_files.parts import PATIENT, BadFile
from dicomframe.testing.bad_files.pixels import PIXELS
from dicomframe.testing.bad_files.sequences import SEQUENCES
from dicomframe.testing.bad_files.texts import TEXTS
from dicomframe.testing.bad_files.values import VALUES

__all__ = ["BAD_FILES", "PATIENT", "BadFile", "make_table", "write_bad_files"]

BAD_FILES: Mapping[str, BadFile] = MappingProxyType(
    {
        bad.name: bad
        for group in (
            *(BEGINNINGS, CUTS, LENGTHS, SEQUENCES, PIXELS),
            *(VRS, VALUES, TEXTS, ORDERS),
        )
        for bad in group
    }
)
"""Every bad or strange file by its name, in the order of the document."""


def write_bad_files(folder: Path) -> dict[str, tuple[str | None, tuple[str, ...]]]:
    """Write every file into `folder`, under its name; return the reason and the warnings of each.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     expected = write_bad_files(Path(folder))
    >>> expected["empty"], expected["odd_text"]
    (('empty', ()), (None, ('odd_length:00080070',)))
    """
    for bad in BAD_FILES.values():
        (folder / bad.name).write_bytes(bad.build())
    return {bad.name: (bad.reason, bad.warnings) for bad in BAD_FILES.values()}


def make_table() -> str:
    """Return the table of the document, in Markdown."""
    lines = ["| file | what | what it gets |", "|---|---|---|"]
    for bad in BAD_FILES.values():
        told = ", ".join(f"`{warning}`" for warning in bad.warnings)
        gets = f"`{bad.reason}`" if bad.reason else f"sound; {told}" if told else "sound"
        lines.append(f"| {bad.name} | {bad.what} | {gets} |")
    return "\n".join(lines) + "\n"
