"""Write a made-up archive of many small files, of which every answer is known."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa

from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    Encoding,
)
from dicomframe.scan.storage import Store
from dicomframe.testing.samples import (
    element,
    encapsulated,
    item,
    make_file,
    sequence,
)

__all__ = ["TRUTH_SCHEMA", "write_archive"]

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("origin", pa.string(), nullable=False),
        pa.field("PatientID", pa.string()),
        pa.field("PatientSex", pa.string()),
        pa.field("PatientAge", pa.float64()),
        pa.field("Modality", pa.string()),
        pa.field("Manufacturer", pa.string()),
        pa.field("StudyDate", pa.date32()),
        pa.field("StudyInstanceUID", pa.string()),
        pa.field("SeriesInstanceUID", pa.string()),
        pa.field("SOPInstanceUID", pa.string()),
        pa.field("reason", pa.string()),
    ]
)
"""What `write_archive` returns of each file; of a damaged one its origin and reason alone."""


def write_archive(folder: Path, files: int = 20_000, seed: int = 0) -> pa.Table:
    """Write `files` small files, the same for the same `seed`, by patient, study and series.

    There are CT, MR, US, CR, DX, MG, PT and SR of several manufacturers, in three transfer
    syntaxes; headers of 2 to 4 KB, images of 8 x 8. Ages are in years, months or days and a
    few are missing, like a few sexes. One file of 200 is damaged. The first patient is a woman
    of 23 years with an MR study.

    Parameters
    ----------
    folder
        Where the patients' folders go; it is made if it is not there.
    files
        How many.
    seed
        What all random choices follow from.

    Returns
    -------
    pyarrow.Table
        The truth, a row for each file in the order of writing, with the columns
        `TRUTH_SCHEMA`; an age is in years.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     truth = write_archive(Path(place), files=50)
    >>> truth.num_rows, truth["PatientSex"][0].as_py(), truth["PatientAge"][0].as_py()
    (50, 'F', 23.0)
    """
    choose = random.Random(seed)  # noqa: S311  (no secret)
    place = Store("file", "file://")
    rows: list[tuple[object, ...]] = []
    for series in _all_series(choose):
        series_folder = folder.resolve() / series.path
        series_folder.mkdir(parents=True, exist_ok=True)
        pieces = _SLOT.split(_make_header(series))
        for number in range(1, min(series.count, files - len(rows)) + 1):
            path = f"{series_folder}/IM{number:05d}.dcm"
            data = _fill(pieces, number)
            damage = len(rows) % 200 == 137
            reason = _REASONS[len(rows) // 200 % len(_REASONS)] if damage else None
            with open(path, "wb", buffering=0) as file:  # noqa: PTH123  (of many this is quicker)
                file.write(data if reason is None else _damage(data, reason))
            sop_uid = f"{series.uid}.{_FIRST_INSTANCE + number}"
            known = (*series.known, sop_uid) if reason is None else (None,) * 9
            rows.append((place.origin(path), *known, reason))
        if len(rows) == files:
            break
    columns = zip(*rows, strict=True) if rows else [()] * len(TRUTH_SCHEMA)
    arrays = [pa.array(each, field.type) for each, field in zip(columns, TRUTH_SCHEMA, strict=True)]
    return pa.table(arrays, schema=TRUTH_SCHEMA)


_ROOT = "1.2.826.0.1.3680043.8.498.77"
_REASONS = ("truncated", "empty", "not_dicom", "malformed")
_RLE_UID = "1.2.840.10008.1.2.5"
_SYNTAXES = {
    EXPLICIT_LITTLE_UID: (EXPLICIT_LITTLE, 60),
    "1.2.840.10008.1.2": (IMPLICIT_LITTLE, 20),
    _RLE_UID: (EXPLICIT_LITTLE, 20),
}
_MODALITIES = {  # SOP class, body parts, fewest and most instances of a series, weight
    "CT": ("1.2.840.10008.5.1.4.1.1.2", "CHEST ABDOMEN HEAD", 20, 90, 30),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", "BRAIN KNEE SPINE", 15, 60, 30),
    "US": ("1.2.840.10008.5.1.4.1.1.6.1", "LIVER HEART", 1, 12, 10),
    "CR": ("1.2.840.10008.5.1.4.1.1.1", "HAND CHEST", 1, 3, 8),
    "DX": ("1.2.840.10008.5.1.4.1.1.1.1", "CHEST FOOT", 1, 3, 8),
    "MG": ("1.2.840.10008.5.1.4.1.1.1.2", "BREAST", 2, 4, 5),
    "PT": ("1.2.840.10008.5.1.4.1.1.128", "WHOLEBODY", 30, 60, 5),
    "SR": ("1.2.840.10008.5.1.4.1.1.88.11", "", 1, 2, 4),
}
_MAKERS = {
    "Sample Medical Systems": ("Tomograph 64", "Tomograph 128"),
    "Example Imaging": ("Vision One", "Vision Two"),
    "Made-up Healthcare GmbH": ("Röhre 3", "Spule 7"),
    "ACME Diagnostics": ("AD-1000",),
}
_FAMILIES = ("Abel", "Bravo", "Núñez", "Müller", "Okafor", "Tanaka", "Walker", "Zhang")
_GIVEN = {"F": ("Ada", "Chloé", "Mei", "Olga"), "M": ("Ben", "Jürgen", "Ravi", "Sam")}
_FIRST_INSTANCE = 10_000  # so that all UIDs of a series are of one length
# What differs from one instance to the next, in places of one length.
_UID_TAIL, _NUMBER, _TIME, _POSITION, _PIXELS = (
    *(b"@UID@", b"@NUMB@", b"@TIME@", b"@POSITION@", b"@PIXELS@"),
)
_SLOT = re.compile(b"(" + b"|".join((_UID_TAIL, _NUMBER, _TIME, _POSITION, _PIXELS)) + b")")


@dataclass(frozen=True, slots=True)
class _Series:
    """What the instances of one series share."""

    path: str
    uid: str
    study_uid: str
    patient: str
    name: str
    sex: str | None
    age: str | None
    born: date
    study_date: date
    study: int
    number: int
    count: int
    modality: str
    maker: str
    model: str
    syntax: str
    body_part: str

    @property
    def known(self) -> tuple[object, ...]:
        """Return the columns of the truth from the patient to the series."""
        years = None if self.age is None else int(self.age[:3]) * _YEARS[self.age[3]]
        return (
            *(self.patient, self.sex, years, self.modality, self.maker),
            *(self.study_date, self.study_uid, self.uid),
        )


_YEARS = {"Y": 1.0, "M": 1 / 12, "D": 1 / 365.25}


def _all_series(choose: random.Random) -> Iterator[_Series]:
    """Yield series without end, patient by patient."""
    weights = [each[-1] for each in _MODALITIES.values()]
    patient = 0
    while True:
        patient += 1
        is_first = patient == 1
        drawn = choose.choices(["F", "M", "O", None], [49, 48, 2, 1])[0]
        sex = "F" if is_first else drawn
        name = f"{choose.choice(_FAMILIES)}^{choose.choice(_GIVEN['M' if sex == 'M' else 'F'])}"
        born = date(2024, 3, 1) - timedelta(days=int(choose.triangular(0, 33_000, 9_000)))
        if is_first:
            born = date(2000, 2, 29)
        has_age = is_first or choose.random() > 0.03
        for study in range(1, choose.randint(1, 3) + 1):
            modality = choose.choices(list(_MODALITIES), weights)[0]
            study_date = max(born, date(2024, 3, 1) - timedelta(days=choose.randrange(3_000)))
            if is_first and study == 1:
                modality, study_date = "MR", date(2023, 6, 15)
            _, parts, fewest, most, _ = _MODALITIES[modality]
            maker = choose.choice(list(_MAKERS))
            model = choose.choice(_MAKERS[maker])
            body_part = choose.choice(parts.split() or [""])
            shares = [share for _, share in _SYNTAXES.values()]
            syntax = choose.choices(list(_SYNTAXES), shares)[0]
            if modality == "SR" and syntax == _RLE_UID:
                syntax = EXPLICIT_LITTLE_UID
            study_uid = f"{_ROOT}.{10_000 + patient}.{study}"
            for number in range(1, choose.randint(1, 4) + 1):
                yield _Series(
                    path=f"PAT{patient:05d}/STUDY{study}/SERIES{number}",
                    uid=f"{study_uid}.{number}",
                    study_uid=study_uid,
                    patient=f"PAT{patient:05d}",
                    name=name,
                    sex=sex,
                    age=_age_at(born, study_date) if has_age else None,
                    born=born,
                    study_date=study_date,
                    study=study,
                    number=number,
                    count=choose.randint(fewest, most),
                    modality=modality,
                    maker=maker,
                    model=model,
                    syntax=syntax,
                    body_part=body_part,
                )


def _age_at(born: date, day: date) -> str:
    """Return an age as AS has it: in days, months or years (PS3.5 section 6.2)."""
    if (day - born).days < 60:
        return f"{(day - born).days:03d}D"
    months = (day.year - born.year) * 12 + day.month - born.month - (day.day < born.day)
    return f"{months:03d}M" if months < 36 else f"{months // 12:03d}Y"


def _make_header(series: _Series) -> bytes:
    """Return a file with slots for what differs."""
    encoding = _SYNTAXES[series.syntax][0]
    sop_class = _MODALITIES[series.modality][0]
    sop_uid = f"{series.uid}.{_UID_TAIL.decode()}"
    day = series.study_date.strftime("%Y%m%d")

    def put(tag: int, vr: str, value: bytes | str | int = b"") -> bytes:
        return element(tag, vr, value, encoding=encoding)

    def put_items(tag: int, *elements: bytes) -> bytes:
        return sequence(tag, item(*elements, encoding=encoding), encoding=encoding)

    meta = b"".join(
        [
            element(0x00020001, "OB", b"\0\1"),
            element(0x00020002, "UI", sop_class),
            element(0x00020003, "UI", sop_uid),
            element(0x00020010, "UI", series.syntax),
            element(0x00020012, "UI", f"{_ROOT}.1"),
        ]
    )
    elements = [
        put(0x00080005, "CS", "ISO_IR 192"),
        put(0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        put(0x00080016, "UI", sop_class),
        put(0x00080018, "UI", sop_uid),
        *(put(tag, "DA", day) for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023)),
        put(0x00080030, "TM", f"{8 + series.study:02d}1500"),
        put(0x00080031, "TM", f"{8 + series.study:02d}{15 + series.number}30.250000"),
        *(put(tag, "TM", _TIME) for tag in (0x00080032, 0x00080033)),
        put(0x00080050, "SH", f"A{series.patient[3:]}{series.study}"),
        put(0x00080060, "CS", series.modality),
        put(0x00080070, "LO", series.maker),
        put(0x00080080, "LO", "Sample University Hospital"),
        put(0x00080090, "PN", "Referring^Robin^^Dr."),
        put(0x00081010, "SH", f"{series.modality}WS{len(series.maker):02d}"),
        put(0x00081030, "LO", f"{series.modality} {series.body_part or 'report'}"),
        put(0x0008103E, "LO", f"{series.body_part} {series.number}"),
        put(0x00081090, "LO", series.model),
        put_items(
            0x00081140,
            put(0x00081150, "UI", sop_class),
            put(0x00081155, "UI", f"{series.study_uid}.9.1"),
        ),
        put(0x00090010, "LO", "SAMPLE_IDEN_01"),
        *(put(0x00091000 + number, "LO", f"private value {number}") for number in range(1, 20)),
        put(0x00100010, "PN", series.name),
        put(0x00100020, "LO", series.patient),
        put(0x00100030, "DA", series.born.strftime("%Y%m%d")),
        *([] if series.sex is None else [put(0x00100040, "CS", series.sex)]),
        *([] if series.age is None else [put(0x00101010, "AS", series.age)]),
        put(0x00101030, "DS", f"{50 + len(series.name)}.5"),
        put(0x00180015, "CS", series.body_part),
        put(0x00180050, "DS", "1.250000"),
        put(0x00180060, "DS", "120"),
        *([put(0x00180087, "DS", "3")] if series.modality == "MR" else []),
        put(0x00181020, "LO", f"{len(series.model)}.2"),
        put(0x00181030, "LO", f"{series.body_part} ROUTINE"),
        put(0x00190010, "LO", "SAMPLE_ACQU_01"),
        *(put(0x00191000 + number, "DS", f"{number * 1.5:.6f}") for number in range(1, 40)),
        put(0x0020000D, "UI", series.study_uid),
        put(0x0020000E, "UI", series.uid),
        put(0x00200010, "SH", f"S{series.study}"),
        put(0x00200011, "IS", f"{series.number}"),
        put(0x00200013, "IS", _NUMBER),
    ]
    if series.modality == "SR":
        text = "No finding, made up for tests. " * 4
        concept = put(0x00080100, "SH", "121071"), put(0x00080104, "LO", "Finding")
        elements += [
            put(0x0040A040, "CS", "CONTAINER"),
            put_items(
                0x0040A730,
                put(0x0040A040, "CS", "TEXT"),
                put_items(0x0040A043, *concept),
                put(0x0040A160, "UT", text),
            ),
        ]
    else:
        elements += [*_image_elements(series, encoding), _pixel_element(series.syntax, encoding)]
    length = element(0x00020000, "UL", len(meta))
    return make_file(*elements, transfer_syntax=series.syntax, meta=length + meta)


def _image_elements(series: _Series, encoding: Encoding) -> Iterator[bytes]:
    for tag, vr, value in (
        (0x00200032, "DS", b"-250.0\\-250.0\\" + _POSITION),
        (0x00200037, "DS", "1.0\\0.0\\0.0\\0.0\\1.0\\0.0"),
        (0x00200052, "UI", f"{series.study_uid}.5"),
        (0x00201041, "DS", _POSITION),
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", 8),
        (0x00280011, "US", 8),
        (0x00280030, "DS", "0.976562\\0.976562"),
        (0x00280100, "US", 16),
        (0x00280101, "US", 16),
        (0x00280102, "US", 15),
        (0x00280103, "US", 0),
    ):
        yield element(tag, vr, value, encoding=encoding)


def _pixel_element(syntax: str, encoding: Encoding) -> bytes:
    """Return Pixel Data of 8 x 8 words: as they are, or as RLE (PS3.5 Annex G)."""
    low, high = _PIXELS + bytes(range(8, 64)), bytes(64)
    if syntax != _RLE_UID:
        return element(0x7FE00010, "OW", _PIXELS + bytes(range(8, 128)), encoding=encoding)
    segments = [b"\x3f" + plane + b"\0" for plane in (high, low)]  # one run of 64 bytes each
    starts = (2, 64, 64 + len(segments[0]))
    header = b"".join(each.to_bytes(4, "little") for each in starts)
    return encapsulated(header.ljust(64, b"\0") + b"".join(segments))


def _fill(pieces: list[bytes], number: int) -> bytes:
    """Return the file of one instance."""
    minute, second = divmod(number, 60)
    values = {
        _UID_TAIL: b"%d" % (_FIRST_INSTANCE + number),
        _NUMBER: b"%-6d" % number,
        _TIME: b"10%02d%02d" % (minute, second),
        _POSITION: b"%10.2f" % (1.25 * number - 120),
        _PIXELS: (number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "little"),
    }
    return b"".join(values.get(piece, piece) for piece in pieces)


def _damage(data: bytes, reason: str) -> bytes:
    """Return what is left of a file, so that it is corrupt for `reason`."""
    if reason == "truncated":
        return data[:-40]
    if reason == "empty":
        return b""
    if reason == "not_dicom":
        return b"These are notes, and no image at all.\n" * 20
    start = data.index(b"\xfe\xff\x00\xe0") + 4  # the first item leaves its sequence
    return data[:start] + b"\0\x04\0\0" + data[start + 4 :]
