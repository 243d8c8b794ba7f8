"""Build files that are each a series of their own, as an archive of several hospitals holds them.

A device, a protocol of it and a study come together in each. What a device decides is the same in
all its files: what it is and who made it, its hospital, which elements it writes and in which
encoding, the geometry of its detector, its private blocks. A protocol decides names, coded terms
and settings. Patients, people, numbers, UIDs, dates, times, doses, windows, positions and all that
is measured are the study's own, and so is whether there was an order, contrast or a note.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from functools import cache

from attributes import ROOT_UID, Row, ct_rows, mr_rows, pixel_rows
from modalities import nest, pack, ultrasound_regions

from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
)
from dicomframe.testing.samples import element, item, sequence

_CLASSES = {
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "OT": "1.2.840.10008.5.1.4.1.1.7",
    "SR": "1.2.840.10008.5.1.4.1.1.88.67",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
}
_FLEET = ["DX", "DX", "DX", "CR", "CR", "CT", "CT", "MR", "MR", "US", "OT", "SR"]
_REGIONS = ["CHEST", "ABDOMEN", "HAND", "KNEE", "PELVIS", "SKULL", "LSPINE", "SHOULDER"]
_FAMILIES = [
    "Garcia",
    "Li",
    "Mueller",
    "Okafor",
    "Rossi",
    "Smith-Jones",
    "Tanaka",
    "Virtanen",
    "Nguyen",
    "Abebe",
]
_GIVEN = [
    "Ana",
    "Bo",
    "Chiara",
    "Dmitri",
    "Esra",
    "Femi",
    "Greta",
    "Hiroshi",
    "Ines",
    "Jo",
    "Katarzyna",
    "Lars",
]


@dataclass(frozen=True)
class _Device:
    number: int
    modality: str
    maker: str
    model: str
    serial: str
    software: str
    hospital: str
    root: str
    implicit: bool


@cache
def _device(number: int) -> _Device:
    chance = random.Random(f"device {number}")
    return _Device(
        number,
        _FLEET[number],
        chance.choice(("Sample Medical Systems", "Sample Healthcare", "Example Imaging GmbH")),
        f"{chance.choice(('Vista', 'Tomograph', 'Ray', 'Magnet'))} {chance.randrange(100, 9000)}",
        f"{chance.randrange(10_000, 10_000_000)}",
        f"{chance.randrange(2, 12)}.{chance.randrange(9)}.{chance.randrange(400)}",
        chance.choice(("Sample University Hospital", "St. Example", "Sample Clinic South")),
        f"{ROOT_UID}.{chance.randrange(3, 900)}.{chance.randrange(10_000, 99_999)}",
        number in (3, 6, 8),
    )


def make_lone_file(number: int) -> bytes:
    """Return a file that shares its series, its study and its patient with no other."""
    own = random.Random(number)
    device = _device(own.randrange(len(_FLEET)))
    protocol = random.Random(f"protocol {device.number} {own.randrange(6)}")
    moment = f"{own.randrange(7, 19):02d}{own.randrange(60):02d}{own.randrange(60):02d}"
    day = f"20{own.randrange(12, 25):02d}{own.randrange(1, 13):02d}{own.randrange(1, 29):02d}"
    study = f"{device.root}.{day}{moment}.{own.randrange(1, 60_000)}"
    region = protocol.choice(_REGIONS)
    name = f"{device.modality} {region.lower()} {protocol.choice(('ap', 'lateral', 'routine'))}"
    rows = _general_rows(device, own, day, moment, study, region, name)
    rows += _MODALITY_ROWS[device.modality](device, protocol, own)
    encoding = IMPLICIT_LITTLE if device.implicit else EXPLICIT_LITTLE
    extra = {}
    if own.random() < 0.85:
        order = f"{own.randrange(1_000_000, 9_999_999)}"
        steps: list[Row] = [
            (0x00321060, "LO", name),
            (0x00400007, "LO", name.title()),
            (0x00400009, "SH", f"SPS{order}"),
            (0x00401001, "SH", f"RP{order}"),
        ]
        extra[0x00400275] = nest(0x00400275, steps, encoding=encoding)
    if own.random() < 0.15:
        rows.append((0x001021B0, "LT", own.choice(("pain", "after a fall", "follow-up, made up"))))
    if device.modality in ("CT", "MR") and own.random() < 0.4:
        rows.append((0x00180010, "LO", own.choice(("Iodine 300", "Iodine 350", "Gadolinium"))))
    performed: list[Row] = [
        (0x00081150, "UI", "1.2.840.10008.3.1.2.3.3"),
        (0x00081155, "UI", f"{study}.{own.randrange(10, 2000)}"),
    ]
    extra[0x00081111] = nest(0x00081111, performed, encoding=encoding)
    code: list[Row] = [
        (0x00080100, "SH", f"P{sum(map(ord, name))}"),
        (0x00080102, "SH", "99SAMPLE"),
        (0x00080104, "LO", name.title()),
    ]
    extra[0x00081032] = nest(0x00081032, code, encoding=encoding)
    if device.modality == "US":
        extra[0x00186011] = ultrasound_regions()
    pixels = b""
    if device.modality == "SR":
        extra[0x0040A730] = _measurements(own)
    else:
        rows += pixel_rows(64, 64, signed=0)
        pixels = element(0x7FE00010, "OW", bytes(2 * 64 * 64), encoding=encoding)
    uid = IMPLICIT_LITTLE_UID if device.implicit else EXPLICIT_LITTLE_UID
    return pack(_CLASSES[device.modality], f"{study}.2", rows, extra, pixels, encoding, uid)


def _general_rows(
    device: _Device, own: random.Random, day: str, moment: str, study: str, region: str, name: str
) -> list[Row]:
    """Return what any device tells of patient, study, series and itself."""
    is_woman = own.random() < 0.5
    later = f"{moment[:4]}{own.randrange(int(moment[4:]), 60):02d}"
    born = own.randrange(1925, 2012)
    people = [f"{own.choice(_FAMILIES)}^{own.choice(_GIVEN)}" for _ in range(4)]
    return [
        (0x00080005, "CS", "ISO_IR 100"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY"),
        (0x00080012, "DA", day),
        (0x00080013, "TM", later),
        (0x00080016, "UI", _CLASSES[device.modality]),
        (0x00080018, "UI", f"{study}.2.1"),
        (0x00080020, "DA", day),
        (0x00080021, "DA", day),
        (0x00080022, "DA", day),
        (0x00080023, "DA", day),
        (0x00080030, "TM", moment),
        (0x00080031, "TM", f"{moment}.{own.randrange(1000):03d}"),
        (0x00080032, "TM", f"{later}.{own.randrange(1000):03d}"),
        (0x00080033, "TM", f"{later}.{own.randrange(1000):03d}"),
        (0x00080050, "SH", f"{own.randrange(10**7, 10**8)}"),
        (0x00080060, "CS", device.modality),
        (0x00080070, "LO", device.maker),
        (0x00080080, "LO", device.hospital),
        (0x00080081, "ST", "1 Sample Street, Sample Town"),
        (0x00080090, "PN", f"{people[0]}^^Dr."),
        (0x00081010, "SH", f"{device.modality}{device.number:02d}"),
        (0x00081030, "LO", name),
        (0x0008103E, "LO", f"{region.title()} {device.modality}"),
        (0x00081040, "LO", "Radiology"),
        (0x00081048, "PN", people[1]),
        (0x00081070, "PN", people[2]),
        (0x00081090, "LO", device.model),
        (0x00100010, "PN", people[3] + own.choice(("", "^M", "^Maria", "^^Ms."))),
        (0x00100020, "LO", f"{own.randrange(10**5, 10**9)}"),
        (0x00100030, "DA", f"{born}{own.randrange(1, 13):02d}{own.randrange(1, 29):02d}"),
        (0x00100040, "CS", "F" if is_woman else "M"),
        (0x00101010, "AS", f"{int(day[:4]) - born:03d}Y"),
        (0x00101020, "DS", f"{own.uniform(1.4, 2.0):.2f}" if own.random() < 0.5 else ""),
        (0x00101030, "DS", f"{own.uniform(40, 120):.1f}" if own.random() < 0.7 else ""),
        (0x001021C0, "US", 4 if is_woman else 1),
        (0x00104000, "LT", ""),
        (0x00180015, "CS", region),
        (0x00181000, "LO", device.serial),
        (0x00181020, "LO", device.software),
        (0x00181030, "LO", name),
        (0x0020000D, "UI", study),
        (0x0020000E, "UI", f"{study}.2"),
        (0x00200010, "SH", f"{own.randrange(10**4, 10**6)}"),
        (0x00200011, "IS", f"{own.randrange(1, 12)}"),
        (0x00200012, "IS", "1"),
        (0x00200013, "IS", f"{own.randrange(1, 9)}"),
        (0x00321032, "PN", people[0]),
        (0x00321060, "LO", name),
        (0x00400244, "DA", day),
        (0x00400245, "TM", moment),
        (0x00400253, "SH", f"PPS{own.randrange(10**6)}"),
        (0x00400254, "LO", name),
    ]


def _projection_rows(device: _Device, protocol: random.Random, own: random.Random) -> list[Row]:
    """Return what CR and DX tell of exposure, detector and picture."""
    block = 0x00190000 if device.number % 2 else 0x00250000
    time, current = own.randrange(5, 400), own.randrange(80, 500)
    return [
        (0x00080068, "CS", "FOR PRESENTATION"),
        (0x00180060, "DS", protocol.choice(("60", "70", "81", "125"))),
        (0x00181110, "DS", f"{protocol.choice((1000, 1150, 1800))}"),
        (0x00181111, "DS", f"{own.uniform(900, 1800):.1f}"),
        (0x00181147, "CS", "RECTANGLE"),
        (0x00181149, "IS", "430\\430"),
        (0x00181150, "IS", f"{time}"),
        (0x00181151, "IS", f"{current}"),
        (0x00181152, "IS", f"{time * current // 1000}"),
        (0x00181153, "IS", f"{time * current}"),
        (0x0018115E, "DS", f"{own.uniform(0.05, 40):.4f}"),
        (0x00181160, "SH", "NONE"),
        (0x00181164, "DS", "0.148\\0.148"),
        (0x00181166, "CS", protocol.choice(("NONE", "FOCUSED"))),
        (0x00181190, "DS", "1.2"),
        (0x00181400, "LO", f"{protocol.choice(('STD', 'EDGE', 'SOFT'))}"),
        (0x00181405, "IS", f"{own.randrange(100, 2500)}"),
        (0x00181411, "DS", f"{own.uniform(100, 1200):.2f}"),
        (0x00181412, "DS", f"{protocol.randrange(200, 500)}"),
        (0x00181413, "DS", f"{own.uniform(-5, 5):.1f}"),
        (0x00181508, "CS", "POSITIONER"),
        (0x00185101, "CS", protocol.choice(("AP", "PA", "LL"))),
        (0x00186000, "DS", f"{own.randrange(200, 800)}"),
        (0x00187001, "DS", f"{own.uniform(20, 35):.1f}"),
        (0x00187004, "CS", "SCINTILLATOR"),
        (0x00187005, "CS", "AREA"),
        (0x0018700A, "SH", device.serial[:6]),
        (0x0018700C, "DA", "20190402"),
        (0x0018701A, "DS", "1\\1"),
        (0x00187022, "DS", "0.148\\0.148"),
        (0x00187030, "DS", "0\\0"),
        (0x00187032, "DS", "0"),
        (0x00187060, "CS", "AUTOMATIC"),
        (block | 0x10, "LO", f"SAMPLE_DX_{device.number:02d}"),
        *((block | 0x1000 | at, "DS", f"{device.number}.{at}") for at in range(14)),
        *((block | 0x1040 | at, "FL", struct.pack("<f", own.uniform(0, 9))) for at in range(3)),
        (block | 0x1050, "LO", protocol.choice(("A", "BB", "CCC"))),
        (0x00200020, "CS", "L\\F"),
        (0x00200062, "CS", own.choice("LRU")),
        (0x00280A02, "CS", "FIDUCIAL"),
        (0x00281040, "CS", "LOG"),
        (0x00281050, "DS", f"{own.randrange(1000, 3000)}"),
        (0x00281051, "DS", f"{own.randrange(1000, 4096)}"),
        (0x00281052, "DS", "0"),
        (0x00281053, "DS", "1"),
        (0x00281054, "LO", "US"),
        (0x00281300, "CS", "NO"),
        (0x00282110, "CS", "00"),
        (0x20500020, "CS", "IDENTITY"),
    ]


def _ct_rows(_: _Device, protocol: random.Random, own: random.Random) -> list[Row]:
    fixed = {tag: (tag, vr, value) for tag, vr, value in ct_rows(0) if tag != 0x00180010}
    measured: list[Row] = [
        (0x00091027, "SL", own.randrange(1 << 30)),
        (0x00180050, "DS", protocol.choice(("1.250000", "2.500000", "5.000000"))),
        (0x00180060, "DS", protocol.choice(("80", "100", "120"))),
        (0x00180090, "DS", protocol.choice(("360.000000", "500.000000"))),
        (0x00181030, "LO", protocol.choice(("5.1 ABDOMEN ROUTINE", "2.3 HEAD", "6.4 CHEST HR"))),
        (0x00181130, "DS", f"{own.uniform(100, 200):.6f}"),
        (0x00181150, "IS", f"{protocol.choice((400, 500, 800))}"),
        (0x00181151, "IS", f"{own.randrange(60, 600)}"),
        (0x00181152, "IS", f"{own.randrange(10, 300)}"),
        (0x00181210, "SH", protocol.choice(("STANDARD", "BONE", "LUNG"))),
    ]
    rows = fixed | {row[0]: row for row in measured}
    return [*rows.values(), *_position_rows(own), *_window_rows(own)]


def _mr_rows(_: _Device, protocol: random.Random, own: random.Random) -> list[Row]:
    fixed = {tag: (tag, vr, value) for tag, vr, value in mr_rows(0)}
    measured: list[Row] = [
        (0x00180024, "SH", protocol.choice(("*se2d1", "*tse2d1_15", "*fl3d1"))),
        (0x00180050, "DS", protocol.choice(("1", "3", "5"))),
        (0x00180080, "DS", f"{protocol.randrange(400, 5000)}"),
        (0x00180081, "DS", f"{protocol.randrange(2, 120)}"),
        (0x00180084, "DS", f"{own.uniform(63.6, 63.7):.6f}"),
        (0x00180095, "DS", f"{protocol.randrange(100, 500)}"),
        (0x00181060, "DS", f"{own.uniform(0, 90000):.1f}"),
        (0x00181314, "DS", f"{protocol.randrange(10, 180)}"),
        (0x00181316, "DS", f"{own.uniform(0, 4):.12f}"),
        (0x00190010, "LO", "SAMPLE MR HEADER"),
        *((0x00191008 + at, "SH", f"p{at}") for at in range(8)),
        (0x00191015, "DS", "\\".join(f"{own.uniform(-99, 99):.8f}" for _ in range(3))),
    ]
    rows = fixed | {row[0]: row for row in measured}
    return [*rows.values(), *_position_rows(own), *_window_rows(own)]


def _position_rows(own: random.Random) -> list[Row]:
    x, y, z = (f"{own.uniform(-250, 250):.4f}" for _ in range(3))
    return [
        (0x00200032, "DS", f"{x}\\{y}\\{z}"),
        (0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        (0x00200052, "UI", f"{ROOT_UID}.8.{own.randrange(10**9)}"),
        (0x00201040, "LO", ""),
        (0x00201041, "DS", z),
    ]


def _window_rows(own: random.Random) -> list[Row]:
    return [
        (0x00281050, "DS", f"{own.randrange(20, 900)}"),
        (0x00281051, "DS", f"{own.randrange(100, 2000)}"),
        (0x00281052, "DS", "-1024"),
        (0x00281053, "DS", "1"),
    ]


def _ultrasound_rows(_: _Device, protocol: random.Random, own: random.Random) -> list[Row]:
    return [
        (0x00080068, "CS", "FOR PRESENTATION"),
        (0x00181088, "IS", f"{own.randrange(50, 120)}"),
        (0x00186031, "CS", protocol.choice(("CURVED LINEAR", "SECTOR_PHASED"))),
        (0x00200062, "CS", own.choice("LR")),
        (0x00280014, "US", 0),
    ]


def _capture_rows(device: _Device, _: random.Random, own: random.Random) -> list[Row]:
    return [
        (0x00080064, "CS", "WSD"),
        (0x00181012, "DA", "20190402"),
        (0x00181016, "LO", device.maker),
        (0x00181018, "LO", device.model),
        (0x00181019, "LO", device.software),
        (0x00204000, "LT", f"Screen {own.randrange(1, 40)}"),
        (0x00280301, "CS", "YES"),
    ]


def _report_rows(*_: object) -> list[Row]:
    return [
        (0x0040A040, "CS", "CONTAINER"),
        (0x0040A050, "CS", "SEPARATE"),
        (0x0040A491, "CS", "COMPLETE"),
        (0x0040A493, "CS", "UNVERIFIED"),
    ]


def _measurements(own: random.Random) -> bytes:
    """Return the content of a dose report: 12 numbers, each with its name and its unit."""
    content = []
    for number in range(12):
        name: list[Row] = [
            (0x00080100, "SH", f"1137{number:02d}"),
            (0x00080102, "SH", "DCM"),
            (0x00080104, "LO", f"Dose measure {number}"),
        ]
        unit: list[Row] = [
            (0x00080100, "SH", "mGy"),
            (0x00080102, "SH", "UCUM"),
            (0x00080104, "LO", "mGy"),
        ]
        value = element(0x0040A30A, "DS", f"{own.uniform(0, 99):.4f}")
        measured = item(nest(0x004008EA, unit), value)
        content.append(
            item(
                element(0x0040A010, "CS", "CONTAINS"),
                element(0x0040A040, "CS", "NUM"),
                nest(0x0040A043, name),
                sequence(0x0040A300, measured),
            )
        )
    return sequence(0x0040A730, *content)


_MODALITY_ROWS = {
    "CR": _projection_rows,
    "DX": _projection_rows,
    "CT": _ct_rows,
    "MR": _mr_rows,
    "US": _ultrasound_rows,
    "OT": _capture_rows,
    "SR": _report_rows,
}
