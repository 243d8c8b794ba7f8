"""Every named bad file gets what `docs/corrupt.md` promises, by each layer of the parser."""

from __future__ import annotations

import json
import random
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from at_hand import read

from dicomframe import scan_dicom
from dicomframe.dicom.damage import REASONS, Damage
from dicomframe.dicom.header import Learned
from dicomframe.inspection import WARNINGS
from dicomframe.testing.bad_files import BAD_FILES, PATIENT, make_table, write_bad_files
from dicomframe.testing.details import is_free_of_values
from dicomframe.testing.samples import make_ct

DOCUMENT = Path(__file__).parents[2] / "docs" / "corrupt.md"
SLOW = {name for name in BAD_FILES if name.startswith(("bomb_of_", "items_", "fragments_1"))}
MEMORY = """
import contextlib, pathlib, resource, sys
from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Learned, Parser
from dicomframe.dicom.observer import Observer
from dicomframe.inspection import Inspection
from dicomframe.scan.feeding import read_file_header

class File:
    def __init__(self, data):
        self.data, self.size = data, len(data)
    def read(self, start, stop):
        return self.data[start:stop]

files = [path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()]
in_use = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (300 << 20),) * 2)
learned = Learned()
for data in files:
    for observe in (Observer, Inspection):
        parser = Parser(learned=learned, observe=observe)
        with contextlib.suppress(Damage):
            read_file_header(parser, "x", File(data))
"""


def outcome(data: bytes, **options: Any) -> tuple[Any, ...]:
    """Return all that a read tells, of a sound file or of another."""
    try:
        header = read(data, **options)
    except Damage as damage:
        return damage.reason, damage.detail, damage.offset
    return header.metadata, header.pixel_offset, header.pixel_length


@pytest.mark.parametrize("name", BAD_FILES)
def test_file_gets_what_is_promised(name: str) -> None:
    bad, data = BAD_FILES[name], BAD_FILES[name].build()
    try:
        header = read(data, warnings=True)
    except Damage as damage:
        assert (name, damage.reason, damage.detail) == (name, bad.reason, damage.detail)
        assert damage.offset is not None
        assert damage.offset >= 0
        assert is_free_of_values(damage.detail)
        assert PATIENT not in damage.detail
        return
    assert (name, None, tuple(header.warnings)) == (name, bad.reason, bad.warnings)
    assert json.loads(header.metadata, parse_constant=pytest.fail)["00083002"]["vr"] == "UI"
    assert header.metadata.decode("utf-8")


@pytest.mark.parametrize("name", [name for name in BAD_FILES if name not in SLOW])
def test_layers_agree_on_each_file(name: str) -> None:
    data = BAD_FILES[name].build()
    expected = outcome(data)
    for templates in (False, True):
        learned = Learned(templates=templates)
        for _ in range(4):
            assert outcome(data, learned=learned) == expected


def test_layers_agree_on_all_files_in_any_order() -> None:
    files = [bad.build() for bad in BAD_FILES.values() if bad.name not in SLOW]
    files += [make_ct(number).replace(b"Sample^Sam^Q", PATIENT.encode()) for number in range(5)]
    expected = [outcome(data) for data in files]
    memo, templates = Learned(templates=False), Learned()
    order = list(range(len(files)))
    shuffle = random.Random(3).shuffle
    for _ in range(4):
        shuffle(order)
        for at in order:
            assert outcome(files[at], learned=memo) == expected[at]
            assert outcome(files[at], learned=templates) == expected[at]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_all_files_are_read_in_300_mib_whatever_they_claim(tmp_path: Path) -> None:
    write_bad_files(tmp_path)
    subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], check=True, timeout=300)


def test_scan_gives_each_file_one_row_whatever_is_read_of_pixels(tmp_path: Path) -> None:
    expected = write_bad_files(tmp_path)
    rows: dict[str, list[Any]] = {"none": [], "bytes": []}
    for pixels, found in rows.items():
        for batch in scan_dicom(tmp_path, pixels=pixels, warnings=pixels == "none", archives=False):
            found.extend(batch.to_pylist())
        assert sorted(Path(row["origin"]).name for row in found) == sorted(expected)
    told = {
        Path(row["origin"]).name: (row["reason"], tuple(row["warnings"] or ()))
        for row in rows["none"]
    }
    assert told == expected
    for one, other in zip(rows["none"], rows["bytes"], strict=True):
        for column in ("origin", "metadata", "reason", "detail", "offset"):
            assert one[column] == other[column]
        assert (one["reason"] is None) == (one["detail"] is None) == (one["offset"] is None)
        assert one["detail"] is None or is_free_of_values(one["detail"])


def test_library_has_every_reason_of_a_file_and_every_warning() -> None:
    reasons = {bad.reason for bad in BAD_FILES.values()}
    assert reasons == {None, *REASONS} - {"unreadable"}
    codes = {warning.split(":")[0] for bad in BAD_FILES.values() for warning in bad.warnings}
    assert codes == set(WARNINGS)
    assert all(not bad.warnings for bad in BAD_FILES.values() if bad.reason)


def test_names_are_of_files_and_say_what_is_bad() -> None:
    assert len(BAD_FILES) > 80
    assert len({bad.what for bad in BAD_FILES.values()}) == len(BAD_FILES)
    for name, bad in BAD_FILES.items():
        assert name == bad.name
        assert name.isidentifier()
        assert "|" not in bad.what
        assert bad.build() == bad.build()


def test_most_files_hold_a_name_that_no_message_may_tell() -> None:
    patient = PATIENT.encode()
    assert sum(patient in bad.build() for bad in BAD_FILES.values() if bad.name not in SLOW) > 180


def test_document_lists_every_file_with_what_it_gets(capsys: Any) -> None:
    text = DOCUMENT.read_text()
    table = text.split("<!-- bad files -->\n")[1].split("<!-- end of bad files -->")[0]
    assert table == make_table()
    runpy.run_module("dicomframe.testing.bad_files", run_name="__main__")
    assert capsys.readouterr().out == table
