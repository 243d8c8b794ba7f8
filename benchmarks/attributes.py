"""Name the attributes that scanners write, with values that are made up."""

from __future__ import annotations

import struct

Row = tuple[int, str, bytes | str | int]
"""Tag, VR and value of an element."""

ROOT_UID = "1.2.826.0.1.3680043.8.498"


def study_uid(series: int) -> str:
    """Return the Study Instance UID of a series."""
    return f"{ROOT_UID}.2.{series}"


def common_rows(
    modality: str, class_uid: str, instance: int, series: int, maker: str, model: str
) -> list[Row]:
    """Return what any scanner tells of patient, study, series and device."""
    study = study_uid(series)
    second = f"{10 + instance // 3600 % 10}{instance // 60 % 60:02d}{instance % 60:02d}"
    return [
        (0x00080005, "CS", "ISO_IR 100"),
        (0x00080008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        (0x00080012, "DA", "20240311"),
        (0x00080013, "TM", second),
        (0x00080016, "UI", class_uid),
        (0x00080018, "UI", f"{study}.1.{instance}"),
        (0x00080020, "DA", "20240311"),
        (0x00080021, "DA", "20240311"),
        (0x00080022, "DA", "20240311"),
        (0x00080023, "DA", "20240311"),
        (0x00080030, "TM", "101500"),
        (0x00080031, "TM", "101733.250000"),
        (0x00080032, "TM", f"{second}.500000"),
        (0x00080033, "TM", f"{second}.750000"),
        (0x00080050, "SH", f"A{series:07d}"),
        (0x00080060, "CS", modality),
        (0x00080070, "LO", maker),
        (0x00080080, "LO", "Sample University Hospital"),
        (0x00080081, "ST", "1 Sample Street, Sample Town"),
        (0x00080090, "PN", "Referring^Robin^^Dr."),
        (0x00081010, "SH", f"{modality}WS01"),
        (0x00081030, "LO", f"{modality} with contrast"),
        (0x0008103E, "LO", f"{modality} series {series}"),
        (0x00081040, "LO", "Radiology"),
        (0x00081070, "PN", "Operator^Olga"),
        (0x00081090, "LO", model),
        (0x00100010, "PN", f"Sample^Sam^{series}"),
        (0x00100020, "LO", f"PAT{series:06d}"),
        (0x00100030, "DA", f"19{30 + series % 70:02d}0704"),
        (0x00100040, "CS", "F" if series % 2 else "M"),
        (0x00101010, "AS", f"{20 + series % 60:03d}Y"),
        (0x00101030, "DS", "71.5"),
        (0x001021B0, "LT", "No relevant history, made up"),
        (0x00104000, "LT", "none"),
        (0x00180015, "CS", "ABDOMEN"),
        (0x00181000, "LO", "00000012345"),
        (0x00181020, "LO", "07MW18.4"),
        (0x0020000D, "UI", study),
        (0x0020000E, "UI", f"{study}.1"),
        (0x00200010, "SH", f"{series}"),
        (0x00200011, "IS", "2"),
        (0x00200012, "IS", "1"),
        (0x00400244, "DA", "20240311"),
        (0x00400245, "TM", "101500"),
        (0x00400253, "SH", f"PPS{series}"),
        (0x00400254, "LO", f"{modality} routine"),
    ]


def ct_rows(instance: int) -> list[Row]:
    """Return what a CT scanner tells of its acquisition."""
    current = 320 + instance * 7 % 90
    return [
        (0x00090010, "LO", "SAMPLE_IDEN_01"),
        (0x00091001, "LO", "SAMPLE_SCANNER"),
        (0x00091002, "SH", "CT01"),
        (0x00091004, "SH", "TOMO64"),
        (0x00091027, "SL", 1710152253),
        (0x00180010, "LO", "Iodine 300"),
        (0x00180022, "CS", "HELICAL MODE"),
        (0x00180050, "DS", "1.250000"),
        (0x00180060, "DS", "120"),
        (0x00180088, "DS", "1.250000"),
        (0x00180090, "DS", "500.000000"),
        (0x00181030, "LO", "5.1 ABDOMEN ROUTINE"),
        (0x00181100, "DS", "360.000000"),
        (0x00181110, "DS", "949.075012"),
        (0x00181111, "DS", "541.000000"),
        (0x00181120, "DS", "0.000000"),
        (0x00181130, "DS", "142.500000"),
        (0x00181140, "CS", "CW"),
        (0x00181150, "IS", "500"),
        (0x00181151, "IS", f"{current}"),
        (0x00181152, "IS", f"{current // 2}"),
        (0x00181160, "SH", "BODY FILTER"),
        (0x00181170, "IS", "38400"),
        (0x00181190, "DS", "0.700000"),
        (0x00181210, "SH", "STANDARD"),
        (0x00185100, "CS", "FFS"),
        (0x00189306, "FD", struct.pack("<d", 0.625)),
        (0x00190010, "LO", "SAMPLE_ACQU_01"),
        *((0x00191000 + at, "DS", f"{at * 1.5:.6f}") for at in range(2, 22)),
        *((0x00191040 + at, "SS", at) for at in range(12)),
    ]


def mr_rows(instance: int) -> list[Row]:
    """Return what an MR scanner tells of its acquisition."""
    return [
        (0x00180020, "CS", "SE"),
        (0x00180021, "CS", "SK\\SP"),
        (0x00180022, "CS", "PFP\\FS"),
        (0x00180023, "CS", "2D"),
        (0x00180024, "SH", "*se2d1"),
        (0x00180025, "CS", "N"),
        (0x00180050, "DS", "3"),
        (0x00180080, "DS", "550"),
        (0x00180081, "DS", "15"),
        (0x00180083, "DS", "2"),
        (0x00180084, "DS", "123.254"),
        (0x00180085, "SH", "1H"),
        (0x00180086, "IS", "1"),
        (0x00180087, "DS", "3"),
        (0x00180088, "DS", "3.3"),
        (0x00180089, "IS", "230"),
        (0x00180091, "IS", "1"),
        (0x00180093, "DS", "100"),
        (0x00180094, "DS", "90"),
        (0x00180095, "DS", "130"),
        (0x00181030, "LO", "t1_se_tra"),
        (0x00181060, "DS", f"{instance * 31.5:.1f}"),
        (0x00181250, "SH", "HeadMatrix"),
        (0x00181251, "SH", "Body"),
        (0x00181310, "US", struct.pack("<4H", 0, 256, 230, 0)),
        (0x00181312, "CS", "COL"),
        (0x00181314, "DS", "90"),
        (0x00181315, "CS", "N"),
        (0x00181316, "DS", "0.0481"),
        (0x00181318, "DS", "0"),
        (0x00185100, "CS", "HFS"),
    ]


def pixel_rows(rows: int, columns: int, *, signed: int) -> list[Row]:
    """Return how pixels are laid out."""
    return [
        (0x00280002, "US", 1),
        (0x00280004, "CS", "MONOCHROME2"),
        (0x00280010, "US", rows),
        (0x00280011, "US", columns),
        (0x00280030, "DS", "0.976562\\0.976562"),
        (0x00280100, "US", 16),
        (0x00280101, "US", 16),
        (0x00280102, "US", 15),
        (0x00280103, "US", signed),
    ]


def philips_rows(instance: int) -> list[Row]:
    """Return private blocks whose creators the dictionaries know."""
    return [
        (0x20010010, "LO", "Philips Imaging DD 001"),
        (0x20010011, "LO", "Philips Imaging DD 002"),
        (0x20011001, "FL", struct.pack("<f", 0)),
        (0x20011003, "FL", struct.pack("<f", 0)),
        (0x2001100A, "IS", f"{instance}"),
        (0x2001100B, "CS", "TRANSVERSAL"),
        (0x20011014, "SL", 1),
        (0x20011015, "SS", 1),
        (0x20011018, "SL", 24),
        (0x20011019, "CS", "N"),
        (0x2001101A, "FL", struct.pack("<3f", 0, 0, 0)),
        (0x20011020, "LO", "SE"),
        (0x20011022, "FL", struct.pack("<f", 1.8123)),
        (0x20011060, "SL", 1),
        (0x20011063, "CS", "ELSEWHERE"),
        (0x20011081, "IS", "1"),
        *_private_rows(0x20011000, _PHILIPS_IMAGING),
        (0x20050010, "LO", "Philips MR Imaging DD 001"),
        (0x20050011, "LO", "Philips MR Imaging DD 002"),
        (0x20051000, "FL", struct.pack("<f", -12.5)),
        (0x20051001, "FL", struct.pack("<f", 0.5)),
        (0x20051002, "FL", struct.pack("<f", 7.25)),
        *((0x20051008 + at, "FL", struct.pack("<f", 1.5 * at + instance)) for at in range(3)),
        (0x2005100D, "FL", struct.pack("<f", 0)),
        (0x2005100E, "FL", struct.pack("<f", 0.011)),
        *((0x20051014 + at, "CS", "NO") for at in range(4)),
        (0x20051035, "CS", "PIXEL"),
        *_private_rows(0x20051000, _PHILIPS_MR),
        (0x200510A9, "CS", "2D"),
        (0x200510B0, "FL", struct.pack("<f", 0)),
    ]


def _private_rows(block: int, wanted: str) -> list[Row]:
    """Return elements of a private block, named by their last two digits and VR."""
    return [(block + int(name[:2], 16), name[2:], _VALUES[name[2:]]) for name in wanted.split()]


_PHILIPS_IMAGING = """
06CS 07CS 08IS 09FL 0CCS 0ECS 0FSS 10CS 11FL 12CS 13SL 16SS 17SL 1BFL 1CCS 1DIS 1ECS 1FCS 21CS 23DS
24CS 25SH 2DSS 2FFL 35SS 36CS 39FL 3FCS 61CS 62CS 64SH 67CS 6ESH 77CS 7BIS 82IS 83DS 84DS 85DS 86IS
87SH 88DS 89DS 8ADS 8BSH
"""
_PHILIPS_MR = """
04CS 05CS 0BFL 0CFL 10DS 11CS 12CS 13CS 19CS 1ASS 1BCS 1CCS 1DSS 1ESH 1FSH 20SL 21SS 22IS 23SS 25SS
26CS 27CS 28CS 29CS 2AIS 2BSS 2CCS 2DIS 2ECS 2FCS 30FL 31CS 32CS 33FL 34CS 36CS 37CS 38CS 39CS 3ASH
3BCS 3CCS 3DSS 3ESL 48IS 49IS 4AIS 4BIS 4CCS 4DCS 4EFL 4FFL 50FL 51FL 52CS 53CS 54FL 55FL 56FL 57FL
"""
_VALUES: dict[str, bytes | str | int] = {
    "CS": "NO",
    "DS": "1",
    "FL": struct.pack("<f", 1.5),
    "IS": "1",
    "SH": "sample",
    "SL": 1,
    "SS": 1,
}


def ct_slice_rows(instance: int, series: int) -> list[Row]:
    """Return where a CT slice lies and how its pixels are to be read."""
    z = f"{-120.5 + 1.25 * instance:.6f}"
    return [
        (0x00200013, "IS", f"{instance}"),
        (0x00200032, "DS", f"-250.000000\\-250.000000\\{z}"),
        (0x00200037, "DS", "1.000000\\0.000000\\0.000000\\0.000000\\1.000000\\0.000000"),
        (0x00200052, "UI", f"{study_uid(series)}.5"),
        (0x00201040, "LO", "SN"),
        (0x00201041, "DS", z),
        *pixel_rows(512, 512, signed=1),
        (0x00280120, "SS", -2000),
        (0x00281050, "DS", "40"),
        (0x00281051, "DS", "400"),
        (0x00281052, "DS", "-1024"),
        (0x00281053, "DS", "1"),
        (0x00281054, "LO", "HU"),
    ]


def siemens_rows(instance: int) -> list[Row]:
    """Return private blocks around large binary headers."""
    z = f"{-80 + 3.3 * instance:.8f}"
    return [
        (0x00190010, "LO", "SIEMENS MR HEADER"),
        (0x00191008, "CS", "IMAGE NUM 4"),
        (0x00191009, "LO", "1.0"),
        (0x0019100B, "DS", f"{instance * 52.5:.1f}"),
        (0x0019100F, "SH", "Fast"),
        (0x00191011, "SH", "No"),
        (0x00191012, "SL", struct.pack("<3l", 0, 0, -1311)),
        (0x00191013, "SL", struct.pack("<3l", 0, 0, -1311)),
        (0x00191014, "IS", "0\\0\\0"),
        (0x00191015, "DS", f"-116.5\\-120.25\\{z}"),
        (0x00191017, "DS", "1"),
        (0x00191018, "IS", "10000"),
        (0x00290010, "LO", "SIEMENS CSA HEADER"),
        (0x00290011, "LO", "SIEMENS MEDCOM HEADER2"),
        (0x00291008, "CS", "IMAGE NUM 4"),
        (0x00291009, "LO", "20240311"),
        (0x00291018, "CS", "MR"),
        (0x00291019, "LO", "20240311"),
        (0x00291160, "LO", "com"),
        (0x00510010, "LO", "SIEMENS MR HEADER"),
        (0x00511008, "CS", "IMAGE NUM 4"),
        (0x00511009, "LO", "1.0"),
        (0x0051100A, "LO", "TA 03:12"),
        (0x0051100B, "LO", "256p*256"),
        (0x0051100C, "LO", "FoV 230*230"),
        (0x0051100D, "SH", f"SP H{abs(float(z)):.1f}"),
        (0x0051100E, "LO", "Tra"),
        (0x0051100F, "LO", "T:HEA;HEP"),
    ]
