"""Files that are whole and hold values that their VRs do not allow, or hardly."""

from __future__ import annotations

import struct

from dicomframe.testing.bad_files.parts import (
    PATIENT,
    BadFile,
    implicit,
    make_implicit,
    make_sorted,
)
from dicomframe.testing.samples import element

_TEXT = 0x00081030
_NUMBER = 0x00180050


def _value(name: str, what: str, tag: int, vr: str, value: bytes | str) -> BadFile:
    """Return a sound file of one value that its VR does not allow."""
    put = element(tag, vr, value)
    return BadFile(name, what, lambda: make_sorted(put), warnings=(f"invalid_value:{tag:08X}",))


def _sound(name: str, what: str, tag: int, vr: str, value: bytes | str) -> BadFile:
    """Return a sound file of one value that is strange and allowed."""
    put = element(tag, vr, value)
    return BadFile(name, what, lambda: make_sorted(put))


VALUES = (
    _value("ds_nan", "NaN in a DS", _NUMBER, "DS", "NaN"),
    _value("ds_infinity", "Infinity in a DS", _NUMBER, "DS", "-Infinity"),
    _value("ds_comma", "a comma in a DS", _NUMBER, "DS", "1,25"),
    _value("ds_text", "a name in a DS", _NUMBER, "DS", PATIENT),
    _value("ds_long", "a DS of 20 characters", _NUMBER, "DS", "1.123456789012345678"),
    _sound("ds_huge", "a DS that no double can hold", _NUMBER, "DS", "1e999"),
    _sound("ds_empty_in_list", "an empty value between two in a DS", _NUMBER, "DS", "1\\\\2"),
    _sound("ds_blank", "a DS of spaces", _NUMBER, "DS", "    "),
    _value("is_fraction", "a fraction in an IS", 0x00181150, "IS", "1.5"),
    _value("is_hexadecimal", "a letter in an IS", 0x00181150, "IS", "1A"),
    _value("is_past_31_bits", "an IS past 2 to the power of 31", 0x00181150, "IS", "99999999999"),
    _value("is_text", "a name in an IS", 0x00181150, "IS", PATIENT),
    _sound(
        "fd_nan",
        "NaN and infinities in an FD",
        0x00189306,
        "FD",
        struct.pack("<3d", float("nan"), float("inf"), float("-inf")),
    ),
    _sound("fl_nan", "NaN in an FL", 0x00720076, "FL", struct.pack("<f", float("nan"))),
    _value("da_month_13", "a DA in a thirteenth month", 0x00100030, "DA", "20241301"),
    _value("da_february_30", "a DA on the 30th of February", 0x00100030, "DA", "20240230"),
    _value("da_dashes", "a DA with dashes", 0x00100030, "DA", "2024-03-11"),
    _value(
        "da_range",
        "a range of days in a DA, which only queries have",
        0x00100030,
        "DA",
        "20240301-20240311",
    ),
    _value("da_text", "a name in a DA", 0x00100030, "DA", PATIENT),
    _sound("da_dots", "a DA with dots, as before 1993", 0x00100030, "DA", "2024.03.11"),
    _value("tm_hour_25", "a TM in a 25th hour", 0x00080030, "TM", "250000"),
    _value("tm_text", "a name in a TM", 0x00080030, "TM", PATIENT),
    _sound("tm_colons", "a TM with colons, as before 1993", 0x00080030, "TM", "10:15:00"),
    _value("dt_text", "a name in a DT", 0x0008002A, "DT", PATIENT),
    _value("as_without_zero", "an AS of three characters", 0x00101010, "AS", "45Y"),
    _value("as_unit", "an AS in a unit that there is not", 0x00101010, "AS", "045X"),
    _value("as_text", "a name in an AS", 0x00101010, "AS", PATIENT),
    _value("ui_zero_in_front", "a UI with a component 02", 0x00080018, "UI", "1.02.3"),
    _value("ui_long", "a UI of 66 characters", 0x00080018, "UI", "1." + "2" * 64),
    _value("ui_text", "a name in a UI", 0x00080018, "UI", PATIENT),
    _sound("ui_padded_with_space", "a UI padded with a space", 0x00080018, "UI", b"1.2.3 "),
    _value("cs_small_letters", "small letters in a CS", 0x00080008, "CS", "original"),
    _value("ae_long", "an AE of 18 characters", 0x00080054, "AE", "A" * 18),
    _value("lo_long", "an LO of 66 characters", _TEXT, "LO", "x" * 66),
    _value("lo_control", "a NUL and a bell in an LO", _TEXT, "LO", b"a\0b\7"),
    _sound("lo_quotes", "what JSON escapes in an LO", _TEXT, "LO", 'a "quoted" {[<script>]}'),
    _sound("lo_backslashes", "an LO of backslashes alone", _TEXT, "LO", "\\" * 64),
    _value("pn_four_groups", "a PN of four component groups", 0x00080090, "PN", "a=b=c=d"),
    _value("pn_long", "a PN of 70 characters", 0x00080090, "PN", PATIENT + "x" * 58),
    _sound("pn_empty_groups", "a PN of equals signs and backslashes", 0x00080090, "PN", "==\\^^\\"),
    BadFile(
        "us_of_three_bytes",
        "a US of three bytes",
        lambda: make_sorted(element(0x00280010, "US", b"\1\0\1")),
        warnings=("odd_length:00280010", "invalid_value:00280010"),
    ),
    _value("fd_of_four_bytes", "an FD of four bytes", 0x00189306, "FD", bytes(4)),
    _value("at_of_six_bytes", "an AT of six bytes", 0x00280009, "AT", bytes(6)),
    _sound("vm_32767", "a DS of 32,767 values", _NUMBER, "DS", "\\".join("1" * 32767)),
    _sound("vm_32000_numbers", "a US of 32,000 values", 0x00281101, "US", bytes(64000)),
    BadFile(
        "vm_200000_empty",
        "200,001 empty values in an LO, implicit",
        lambda: make_implicit(implicit(_TEXT, b"\\" * 200_000)),
    ),
    BadFile(
        "vm_500000",
        "500,000 values in a DS of 1 MB, implicit",
        lambda: make_implicit(implicit(_NUMBER, b"1\\" * 500_000)),
    ),
)
