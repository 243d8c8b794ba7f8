"""The question of the tests, its answer on the archive written for them, and the worked example."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from dicomframe import scan_dicom
from dicomframe.testing.samples import real_files

COHORT = "PatientSex = 'F' AND PatientAge BETWEEN 20 AND 25 AND Modality = 'MR'"
REAL_QUESTION = "Modality = 'MR' AND PatientSex = 'F'"
EXAMPLE = Path(__file__).parent.parent / "examples" / "cohort" / "cohort.py"


def known_cohort(truth: pa.Table) -> set[str]:
    """Return the origins that fit, of what `write_archive` says of its files."""
    return {
        row["origin"]
        for row in truth.to_pylist()
        if (row["PatientSex"], row["Modality"]) == ("F", "MR")
        and row["PatientAge"] is not None
        and 20 <= row["PatientAge"] <= 25
    }


def check_example(cohort: set[str], *arguments: object) -> str:
    """Run the worked example, whose answer must be `cohort`; return what it printed."""
    given = list(map(str, arguments))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(EXAMPLE))["main"](given)
    out = printed.getvalue()
    answer = re.search(r"^answer: ([\d,]+) images; patients: ([\d,]+)$", out, re.MULTILINE)
    assert answer is not None
    assert answer[1] == f"{len(cohort):,}"
    assert int(answer[2].replace(",", "")) <= len(cohort)
    pattern = r"^(dask|spark): ([\d,]+) images, ([\d,]+) bytes of pixels$"
    told = re.findall(pattern, out, re.MULTILINE)
    asked = [value for name, value in pairwise(given) if name == "--engine"]
    assert asked
    images = [len(data) for data in _read_pixels(cohort) if data is not None]
    assert told == [(name, f"{len(images):,}", f"{sum(images):,}") for name in asked]
    return out


def _read_pixels(origins: set[str]) -> list[bytes | None]:
    batches = scan_dicom(pa.table({"origin": sorted(origins)}), pixels="bytes")
    return [data for batch in batches for data in batch["pixel_data"].to_pylist()]


def real_women_in_mr() -> set[str]:
    """Return the files of `REAL_QUESTION` among pydicom's, by a scan of them all."""
    found = set()
    for batch in scan_dicom(real_files(), ["Modality", "PatientSex"], "none"):
        for row in batch.select(["origin", "Modality", "PatientSex"]).to_pylist():
            if (row["Modality"], row["PatientSex"]) == ("MR", "F"):
                found.add(row["origin"])
    return found
