"""Build made-up series: what a writer does, it does in all files, its mistakes too."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from dicomframe.dicom.encodings import (
    EXPLICIT_BIG,
    EXPLICIT_BIG_UID,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Encoding,
)
from dicomframe.testing.samples import (
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    element,
    file_meta,
    item,
    make_file,
    sequence,
)


class Slot(NamedTuple):
    """An element that a series may have, the VRs it may be written with, and its values."""

    tag: int
    vrs: tuple[str, ...]
    values: tuple[bytes, ...]


# Much in few bytes: as long as each other, so that files are laid out alike and mean otherwise.
TITLES = (b"SCP  A", b"      ", b" SCP  ", b"A\\B   ", b"\\\\\\  ", b"SCP\0\0\0")
DAYS = (b"20200101", b"20200102", b"        ", b"2020.1.1", b"garbage!", b"2020\\010", bytes(8))
TEXTS = (
    *(b"Grosse", b"kleine", b"      ", b'a"b\\c ', bytes(6), b"Gr\xf6\xdfe ", b"\x1b(B ab"),
    *(b" abc  ", b"a\\\\b  ", b"abcde\0", b"a=b^c ", b"\x7f\x01\t  a", b"abc\\  "),
)
DECIMALS = (
    *(b"1.5 ", b"-1.5", b"    ", b"1\\2 ", b" 1.5", b"+1  ", b"01.5", b".5  ", b"1 2 ", b"-0  "),
    *(b"1e3 ", b"\\\\  ", b"1\\\\ ", b"NaN ", b"5.\0\0", b"1 \\2"),
)
INTEGERS = (b"12", b"1 ", b"  ", b" 1", b"01", b"-1", b"+1", b"1\0", b"\\1", b"1\\", b"1A", b"\0\0")
NAMES = (
    *(b"Doe^Jane", b"Roe^John", b"        ", b"=a^b=   ", b"a=b=c=d ", b"\\Doe^J  "),
    *(b"Buc^J\xe9r ", b"Doe^J^^ ", b'D"e\\^ane'),
)
UIDS = (b"1.2.3.4\0", b"1.2.3.45", b"1.2.3.4 ", b" 1.2.3.4", b"1.2\\3.4\0", bytes(8), b"1.02.3.4")
FLOATS = (bytes(8), b"\0\0\0\0\0\0\xf0\x3f", b"\0\0\0\0\0\0\xf0\x7f", b"\0\0\0\0\0\0\xf8\x7f")

SLOTS = (
    Slot(0x00080000, ("UL",), (b"\4\0\0\0", b"\x40\0\0\0")),
    Slot(0x00080005, ("CS",), (b"ISO_IR 100", b"ISO_IR 192", b"\\ISO 2022 IR 87 ", b"KLINGON ")),
    Slot(0x00080008, ("CS",), (b"ORIGINAL\\PRIMARY", b"DERIVED\\PRIMARY ", b"")),
    Slot(0x00080012, ("DA", "UN"), DAYS),
    Slot(0x00080018, ("UI", "UN"), (b"1.2.3.4\0", b"1.2.3.5\0", b"1.2.3.46")),
    Slot(0x00080054, ("AE", "UN"), TITLES),
    Slot(0x00080060, ("CS", "UN", "ZZ"), (b"MR", b"CT", b"PT")),
    Slot(0x00081030, ("LO", "UN", "ST"), (b"Gr\xf6\xdfe ", "Größe ".encode(), b"\x1b$B;3ED\x1b(B")),
    Slot(0x00081040, ("LO", "SH", "CS"), TEXTS),
    Slot(0x00083002, ("UI",), (b"1.2.3\0", b"1.2.4\0")),
    Slot(0x00090010, ("LO", "UN"), (b"GEMS_IDEN_01", b"NOBODY", b"SIEMENS CT VA0 COAD ")),
    Slot(0x00091001, ("UN", "LO"), (b"abcd", b"\1\0\2\0", b"ab")),
    Slot(0x00091027, ("UN", "SL"), (b"\1\0\0\0", b"\xff\xff\xff\xff", b"\1\0")),
    Slot(0x00100010, ("PN", "UN"), (b"Doe^Jane", b"Buc^J\xe9r\xf4me", b"a=b=c ", b"")),
    Slot(0x00101001, ("PN", "UN"), NAMES),
    Slot(0x00101030, ("DS", "UN"), DECIMALS),
    Slot(0x00180050, ("DS", "UN"), (b"1.5 ", b"1.25", b"1.50\\2", b"abc ", b"")),
    Slot(0x00189073, ("FD",), FLOATS),
    Slot(
        0x00189306, ("FD",), (bytes(8), b"\0\0\0\0\0\0\xf0\x3f", b"\0\0\0\0\0\0\xf0\x7f", b"abcd")
    ),
    Slot(0x00200011, ("IS", "UN"), INTEGERS),
    Slot(0x00200013, ("IS",), (b"1 ", b"12", b"123 ", b"1A")),
    Slot(0x00200052, ("UI",), UIDS),
    Slot(0x00204000, ("LT", "ST", "UN"), TEXTS),
    Slot(0x00280009, ("AT", "UN"), (b"\x18\0\x63\x10", b"\x18\0\x65\x10", b"abc ")),
    Slot(0x00280103, ("US", "UN"), (b"\0\0", b"\1\0", b"\0\1")),
    Slot(0x00280106, ("US", "SS", "UN"), (b"\xff\xff", b"\1\0", b"\xff\xff\xff\xff", b"\1\0\1")),
    Slot(0x00283002, ("US", "UN"), (b"\1\0\0\0\x08\0", b"\0\1\0\0\x08\0")),
    Slot(0x00283006, ("OW", "US", "UN"), (b"\1\2", b"\3\4", b"\1\2\3\4")),
    Slot(0x0040A160, ("UT", "UN"), (b"a long text ", b"b" * 60, b"c" * 300)),
    Slot(0x00420011, ("OB", "OW", "UN"), (bytes(20), bytes(1024), bytes(1026), b"x" * 2000)),
)
BEFORE_META = Slot(0x00010010, ("LO",), (b"NOBODY", b"SOMEBODY"))
META_SLOTS = (
    Slot(0x00020001, ("OB",), (b"\0\1", b"\0\2")),
    Slot(0x00020002, ("UI",), (b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.840.10008.5.1.4.1.1.2\0")),
    Slot(0x00020003, ("UI",), (b"1.2.3.4\0", b"1.2.3.5\0", b"1.2.3.46")),
    Slot(0x00020012, ("UI",), (b"1.2.276.0\0", b"1.2.276.1\0", b"1.2.276.10")),
    Slot(0x00020013, ("SH",), (b"WRITER_1", b"WRITER_2", b"WRITER_10 ")),
    Slot(0x00020016, ("AE",), (b"SCP ", b"STORE ", b"")),
)
PRIVATE_SEQUENCE = 0x2001105F  # a sequence by what pydicom knows of this creator
CREATOR = Slot(0x20010010, ("LO",), (b"Philips Imaging DD 001", b"NOBODY"))
PLACES_OF_SEQUENCES = (0x00081140, 0x00091140, 0x00289110, PRIVATE_SEQUENCE, 0x52009229)
FAULTS = ("drop", "twice", "swap", "swap", "stray", "zeros", "padding")


class SeriesBuilder:
    """Build the files of one made-up series: what they share is drawn once.

    `icons` is how many of the kinds of sequences have items that hold fragments.
    """

    def __init__(self, random: Random, *, icons: float = 0) -> None:
        self._random, self._icons = random, icons
        self._encoding = random.choice(
            (EXPLICIT_LITTLE, EXPLICIT_LITTLE, IMPLICIT_LITTLE, EXPLICIT_BIG)
        )
        self._uid = random.choice((b"1.2.3\0", b"1.2.4\0"))
        self._meta = self._draw_meta()
        self._own_fault = random.choice((*[""] * 14, *FAULTS)), random.random()
        self._slots = self._draw_slots(random.randint(2, 14))
        if random.random() < 0.05:
            self._slots.append((BEFORE_META, "LO"))
        self._sequences = {
            tag: self._draw_shape(1)
            for tag in random.sample(PLACES_OF_SEQUENCES, random.randint(0, 2))
        }
        if PRIVATE_SEQUENCE in self._sequences:
            self._slots.append((CREATOR, "LO"))
        self._pixels = random.choice(("none", "native", "native", "fragments", "float"))
        self._pixel_vr = ("OB", "OB", "OW", "UN")[len(self._slots) % 4]
        self._most_values = random.choice((1, 2, 3, 16))

    def _draw_meta(self) -> list[Slot]:
        """Return what group 0002 holds; a writer that errs does so in all its files."""
        random = self._random
        syntax = Slot(0x00020010, ("UI",), (self._encoding.uid.encode(),))
        slots = [*META_SLOTS[:3], syntax, *META_SLOTS[3:]]
        slots = [slot for slot in slots if random.random() < 0.95]
        if random.random() < 0.15 and len(slots) > 1:
            at = random.randrange(1, len(slots))
            slots[at - 1], slots[at] = slots[at], slots[at - 1]
        if random.random() < 0.05 and slots:
            slots.insert(random.randint(0, len(slots)), random.choice(slots))
        return slots

    def _draw_slots(self, count: int) -> list[tuple[Slot, str]]:
        random = self._random
        chosen = sorted(random.sample(range(len(SLOTS)), count))
        return [
            (SLOTS[at], SLOTS[at].vrs[0] if random.random() < 0.7 else random.choice(SLOTS[at].vrs))
            for at in chosen
        ]

    def _draw_shape(self, depth: int) -> dict[str, Any]:
        random = self._random
        inner = self._draw_shape(depth + 1) if depth < 3 and random.random() < 0.4 else None
        return {
            "slots": self._draw_slots(random.randint(1, 4)),
            "delimited": random.choice(((False,), (True,), (False, True))),
            "items_delimited": random.random() < 0.5,
            "inner": inner,
            "unknown": random.random() < 0.15,
            "icons": self._icons and random.random() < self._icons,
            "fault": random.choice((*[""] * 8, "stray", "lie")),
        }

    def _put(self, slot: Slot, vr: str) -> bytes:
        value = self._random.choice(slot.values[: self._most_values])
        if (
            self._encoding.order == "big"
            and vr in ("US", "SS", "UL", "SL")
            and len(value) in (2, 4)
        ):
            value = value[::-1]
        return element(slot.tag, vr, value, encoding=self._encoding)

    def _sequence(self, tag: int, shape: dict[str, Any], encoding: Encoding) -> bytes:
        random = self._random
        kept, self._encoding = self._encoding, encoding
        delimited = random.choice(shape["delimited"])
        if shape["unknown"] and encoding.explicit:
            self._encoding = IMPLICIT_LITTLE
        items = []
        for _ in range(random.choice((0, 1, 2, 2, 3, 5))):
            body = [self._put(slot, vr) for slot, vr in shape["slots"]]
            if shape["inner"] is not None and random.random() < 0.9:
                body.append(self._sequence(0x00400275, shape["inner"], self._encoding))
            if shape["icons"] and random.random() < 0.4:
                body.append(self._fragments())
            if random.random() < 0.1:
                random.shuffle(body)
            items.append(item(*body, delimited=shape["items_delimited"], encoding=self._encoding))
        fault = shape["fault"] if random.random() < 0.5 else ""
        if fault == "stray":
            items.insert(random.randint(0, len(items)), random.choice((ITEM_END, SEQUENCE_END)))
        whole = sequence(tag, *items, delimited=delimited, encoding=self._encoding)
        if fault == "lie":
            body = b"".join(items)
            length = max(0, len(body) + random.choice((-8, 8, *(-len(each) for each in items))))
            whole = element(tag, "SQ", body, encoding=self._encoding, length=length)
        if self._encoding != encoding:
            body, length = whole[8:], UNDEFINED if delimited else None
            whole = element(tag, "UN", body, encoding=encoding, length=length)
        self._encoding = kept
        return whole

    def _pixel_data(self) -> bytes:
        random, encoding = self._random, self._encoding
        if self._pixels == "native":
            return element(0x7FE00010, "OW", bytes(random.choice((8, 8, 10))), encoding=encoding)
        if self._pixels == "float":
            return element(0x7FE00008, "OF", bytes(random.choice((8, 16))), encoding=encoding)
        return self._fragments(self._pixel_vr) if self._pixels == "fragments" else b""

    def _fragments(self, vr: str = "OB") -> bytes:
        fragments = [item(b"abcd") for _ in range(self._random.randint(1, 3))]
        body = b"".join((item(), *fragments, SEQUENCE_END))
        return element(0x7FE00010, vr, body, encoding=self._encoding, length=UNDEFINED)

    def _group_0002(self) -> bytes:
        random = self._random
        if random.random() < 0.05:
            return random.choice((b"", file_meta(""), file_meta(EXPLICIT_BIG_UID)))
        values = [(slot, random.choice(slot.values[: self._most_values])) for slot in self._meta]
        group = b"".join([element(slot.tag, slot.vrs[0], value) for slot, value in values])
        return element(0x00020000, "UL", len(group)) + group

    def _break(self, elements: list[bytes], fault: str, place: float) -> None:
        """Put a fault into the elements of a file, so far from the first one to the last."""
        random, at = self._random, int(place * len(elements))
        if fault == "drop":
            del elements[at]
        elif fault == "twice":
            elements.insert(random.randint(at, len(elements)), elements[at])
        elif fault == "swap":
            elements[at - 1], elements[at] = elements[at], elements[at - 1]
        elif fault == "stray":
            elements.insert(at, random.choice((ITEM_END, SEQUENCE_END)))
        elif fault == "zeros":
            elements.append(bytes(random.choice((1, 4, 7, 8, 200))))
        elif fault == "padding":
            elements.append(element(0xFFFCFFFC, "OB", bytes(4), encoding=self._encoding))

    def build(self) -> bytes:
        """Return the next file: one of the series, or one with a fault of its own."""
        random, encoding = self._random, self._encoding
        parts = {slot.tag: self._put(slot, vr) for slot, vr in self._slots}
        parts[0x0020000E] = element(0x0020000E, "UI", self._uid, encoding=encoding)
        for tag, shape in self._sequences.items():
            parts[tag] = self._sequence(tag, shape, encoding)
        elements = [parts[tag] for tag in sorted(parts)] + [self._pixel_data()]
        self._break(elements, *self._own_fault)
        if random.random() < 0.3:
            self._break(elements, random.choice(FAULTS), random.random())
        data = make_file(*elements, meta=self._group_0002())
        if random.random() < 0.08:
            data = data[: random.randint(1, len(data))]
        return data


def make_series(random: Random, fewest: int, most: int) -> list[bytes]:
    """Return the files of one to three series of so many files each, one behind the other."""
    files = []
    for _ in range(random.choice((1, 1, 2, 3))):
        builder = SeriesBuilder(random, icons=0.08)
        files += [builder.build() for _ in range(random.randint(fewest, most))]
    return files
