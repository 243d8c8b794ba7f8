"""Show the main job on real files, and on some that are damaged on the spot."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pydicom
from rich.console import Console

from dicomframe import registry
from dicomframe.api import read_dicom
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.motors import quiet
from dicomframe.cli.scanning import check_engine, plan_or_fail
from dicomframe.cli.tables import format_bytes, make_console, make_table

__all__ = ["DEMO_TAGS", "example_code", "run_demo", "write_damaged_files"]

DEMO_TAGS = ["PatientID", "Modality", "Manufacturer", "SliceThickness", "Rows", "Columns"]
"""The attributes that the demonstration asks for."""

_DICOM_ROWS = 5
_ANSWER_TAGS = ["PatientID", "Modality", "SliceThickness"]
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_ANSWER = {
    "dask": (
        'ct = dicom[dicom["Modality"] == "CT"]',
        'print(ct[["origin", "PatientID", "SliceThickness"]].compute())',
    ),
    "spark": (
        "ct = dicom.where(\"Modality = 'CT'\")",
        'ct.select("origin", "PatientID", "SliceThickness").show()',
    ),
}


def run_demo(engine: str) -> ExitCode:
    """Read real and damaged files by `engine`, show both frames and answer a question.

    Raises
    ------
    CommandError
        The engine is not ready, the real files are not there, or storage faltered.
    """
    check_engine(engine)
    real = _find_real_files()
    console = make_console()
    with TemporaryDirectory(prefix="dicomframe-demo-") as name, quiet():
        damaged = write_damaged_files(Path(name), (real / "CT_small.dcm").read_bytes())
        paths: list[str | os.PathLike[str]] = [real, name]
        plan = plan_or_fail(paths, pixels="none")
        listed = sum(len(each) for each in plan.partitions)
        console.print(
            f"{engine} reads {listed - len(damaged)} files of pydicom's own tests and "
            f"{len(damaged)} damaged ones made just now."
        )
        to_arrow = registry.get_backend(engine).to_arrow
        frames = read_dicom(paths, engine, tags=DEMO_TAGS)
        dicom = to_arrow(frames.dicom).sort_by("origin")
        corrupt = to_arrow(frames.corrupt).sort_by("origin")
    _show_dicom(console, dicom)
    _show_corrupt(console, corrupt, {path.name for path in damaged})
    _show_counts(console, dicom, corrupt, listed)
    _show_answer(console, dicom)
    _title(console, "The same in Python, on your own files:")
    for line in example_code(engine, "/path/to/files").splitlines():
        console.print(f"    {line}".rstrip(), soft_wrap=True)
    return ExitCode.DONE


def write_damaged_files(folder: Path, sound: bytes) -> list[Path]:
    """Write files that are broken in different ways, made of a sound one in explicit VR.

    Parameters
    ----------
    folder : Path
        Where to write them.
    sound : bytes
        A whole file with a sequence and an item of defined lengths.
    """
    item = sound.index(_ITEM_TAG)
    too_long = (2_000).to_bytes(4, "little")  # the item leaves its sequence
    contents = {
        "cut_short.dcm": sound[: len(sound) * 2 // 3],
        "broken_sequence.dcm": sound[: item + 4] + too_long + sound[item + 8 :],
        "empty.dcm": b"",
        "letter.dcm": b"Dear colleague, please find the images enclosed.\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    paths = [folder / name for name in contents]
    with suppress(OSError, NotImplementedError):  # not every system lets everybody make links
        (folder / "moved_away.dcm").symlink_to(folder / "not_here.dcm")
        paths.append(folder / "moved_away.dcm")
    return paths


def example_code(engine: str, path: str) -> str:
    """Return the lines of Python that answer the question of the demonstration."""
    lines = [
        "from dicomframe import read_dicom",
        "",
        "dicom, corrupt = read_dicom(",
        f"    {json.dumps(path)},",
        f"    engine={json.dumps(engine)},",
        f"    tags={json.dumps(_ANSWER_TAGS)},",
        ")",
        *_ANSWER.get(engine, ()),
    ]
    return "\n".join(lines) + "\n"


def _find_real_files() -> Path:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    if not (folder / "CT_small.dcm").is_file():
        raise CommandError(
            f"the installed pydicom {pydicom.__version__} has no test files; to get them: "
            "pip install --force-reinstall pydicom"
        )
    return folder


def _show_dicom(console: Console, dicom: pa.Table) -> None:
    _title(console, f"dicom: {dicom.num_rows} rows, one for each sound file")
    rows = [
        (
            _file_name(row["origin"]),
            row["metadata"],
            row["Modality"],
            row["SliceThickness"],
            None if row["pixel_data"] is None else format_bytes(len(row["pixel_data"])),
        )
        for row in dicom.slice(0, _DICOM_ROWS).to_pylist()
    ]
    columns = ["origin", "metadata", "Modality", "SliceThickness", "pixel_data"]
    right = ["SliceThickness", "pixel_data"]
    console.print(make_table(columns, rows, wide="metadata", right=right))
    others = [name for name in DEMO_TAGS if name not in columns]
    console.print(f"... and {dicom.num_rows - len(rows)} more, with {', '.join(others)}")


def _show_corrupt(console: Console, corrupt: pa.Table, shown: set[str]) -> None:
    _title(console, f"corrupt: {corrupt.num_rows} rows, one for each other file")
    rows = [
        (_file_name(row["origin"]), row["reason"], row["offset"], row["detail"])
        for row in corrupt.to_pylist()
        if _file_name(row["origin"]) in shown
    ]
    columns = ["origin", "reason", "offset", "detail"]
    console.print(make_table(columns, rows, wide="detail", right=["offset"], wraps=True))
    console.print(f"... and {corrupt.num_rows - len(rows)} more that pydicom ships")


def _show_counts(console: Console, dicom: pa.Table, corrupt: pa.Table, listed: int) -> None:
    reasons = Counter(corrupt["reason"].to_pylist())
    counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    console.print()
    console.print(f"by reason: {counts}")
    total = dicom.num_rows + corrupt.num_rows
    if total != listed:
        raise CommandError(
            f"both frames hold {total} rows and {listed} files were listed, so storage faltered "
            "between the two reads; run it again",
            ExitCode.UNBALANCED,
        )
    console.print(f"{dicom.num_rows} dicom + {corrupt.num_rows} corrupt = {listed} files listed")


def _show_answer(console: Console, dicom: pa.Table) -> None:
    _title(console, "How thick are the slices of the CT images, in mm?")
    keys = ["PatientID", "Manufacturer", "SliceThickness", "Rows", "Columns"]
    ct = dicom.filter(pc.equal(dicom["Modality"], "CT"))
    groups = ct.group_by(keys).aggregate([([], "count_all")]).select([*keys, "count_all"])
    groups = groups.sort_by([(key, "ascending") for key in keys])
    rows = [tuple(row.values()) for row in groups.to_pylist()]
    right = ["SliceThickness", "Rows", "Columns", "images"]
    console.print(make_table([*keys, "images"], rows, right=right))


def _title(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold")


def _file_name(origin: str) -> str:
    return origin.rpartition("/")[2]
