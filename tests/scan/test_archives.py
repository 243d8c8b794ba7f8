"""Archives: what is one, its members, and what each kind of damage costs."""

import gzip
import io
import random
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from archiving import add_file, make_tar, make_zip

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Parser
from dicomframe.dicom.limits import DEFAULT_LIMITS, Limits
from dicomframe.scan import inner, zip_archive
from dicomframe.scan.archives import (
    expand,
    list_members,
    looks_like_archive,
    open_member,
    read_members,
    sniff,
)
from dicomframe.scan.feeding import read_file_header
from dicomframe.scan.finding import MemberFinder
from dicomframe.scan.ranges import Closing, FileReader, LocalFile, StorageFault
from dicomframe.scan.urls import unescape_name
from dicomframe.testing.samples import encapsulated, make_ct, make_file, real_files

CT = [make_ct(number) for number in range(1, 6)]
NAMES = [f"study/IM{number:04d}" for number in range(1, 6)]
FILES = dict(zip(NAMES, CT, strict=True))
OUTER = "file:///a"
Outcome = dict[str, tuple[str, str] | bytes | None]


class BytesFile(Closing):
    """A file of given bytes; it counts what is asked of it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.bytes_read = 0
        self.requests = 0
        self.asked: list[tuple[int, int]] = []

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= self.size
        self.bytes_read += stop - start
        self.requests += 1
        self.asked.append((start, stop))
        return self.data[start:stop]

    def read_into(self, start: int, buffer: memoryview) -> None:
        buffer[:] = self.read(start, start + len(buffer))


def feed(origin: str, file: FileReader, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read the header of an open file."""
    return read_file_header(Parser(limits=limits), origin, file)


def pack_zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "stored zip": partial(make_zip, method=zipfile.ZIP_STORED),
    "deflated zip": make_zip,
    "bzip2 zip": partial(make_zip, method=zipfile.ZIP_BZIP2),
    "LZMA zip": partial(make_zip, method=zipfile.ZIP_LZMA),
    "PAX tar": make_tar,
    "GNU tar": partial(make_tar, tar_format=tarfile.GNU_FORMAT),
    "USTAR tar": partial(make_tar, tar_format=tarfile.USTAR_FORMAT),
    "tar.gz": lambda files: gzip.compress(make_tar(files)),
    "tar.zst": lambda files: pack_zstd(make_tar(files)),
}
every_packer = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


def rows(
    data: bytes, *, keep: bool = True, limits: Limits = DEFAULT_LIMITS, path: str = "/a"
) -> Iterator[tuple[str, tuple[str, str] | bytes | None]]:
    """Read an archive as the workers do: origin, then the pixels or reason and detail."""
    reader = BytesFile(data)
    kind = sniff(data[:512])
    assert kind is not None

    for origin, file, outcome in read_members(
        reader, kind, path, OUTER, partial(feed, limits=limits), limits=limits, keep=keep
    ):
        if isinstance(outcome, Header):
            assert file is not None
            pixels = None
            if keep and outcome.pixel_length is not None and outcome.pixel_offset is not None:
                pixels = bytearray(outcome.pixel_length)
                file.read_into(outcome.pixel_offset, memoryview(pixels))
            yield origin, None if pixels is None else bytes(pixels)
        elif isinstance(outcome, Damage):
            yield origin, (outcome.reason, outcome.detail)
        else:
            assert isinstance(outcome, StorageFault), repr(outcome)
            yield origin, ("unreadable", outcome.detail)


def read_all(data: bytes, **options: object) -> Outcome:
    """Return what `rows` yields, by origin; each origin is there once."""
    found: Outcome = {}
    for origin, outcome in rows(data, **options):  # type: ignore[arg-type]
        assert origin not in found
        found[origin] = outcome
    return found


def by_name(found: Outcome) -> Outcome:
    return {
        "" if origin == OUTER else origin.partition("://")[2].removesuffix(f"::{OUTER}"): outcome
        for origin, outcome in found.items()
    }


def pixels_of(data: bytes) -> bytes:
    header = feed(OUTER, BytesFile(data))
    assert header.pixel_offset is not None
    assert header.pixel_length is not None
    return data[header.pixel_offset :][: header.pixel_length]


PIXELS = dict(zip(NAMES, map(pixels_of, CT), strict=True))


# What is an archive


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (make_zip(FILES), "zip"),
        (make_zip({}), "zip"),
        (b"PK\x07\x08PK\x03\x04", "zip"),
        (make_tar(FILES), "tar"),
        (make_tar(FILES, tarfile.GNU_FORMAT), "tar"),
        (gzip.compress(b"", mtime=0), "gzip"),
        (pack_zstd(b"x"), "zstd"),
        (b"\x5a\x2a\x4d\x18\1\0\0\0x" + pack_zstd(b"x"), "zstd"),
        (b"", None),
        (b"PK", None),
        (b"PK\x01\x02", None),
        (b"\x1f\x8b\x08\xff", None),
        (bytes(512), None),
        (b"MZ" + make_zip(FILES), None),
        (CT[0], None),
        (b"PK\x03\x04".ljust(128, b"\0") + CT[0][128:], None),
        (make_tar(FILES)[:128] + CT[0][128:], None),
    ],
)
def test_the_first_bytes_tell_what_is_an_archive(head: bytes, kind: str | None) -> None:
    assert sniff(head[:512]) == kind


def test_a_tar_older_than_its_magic_word_is_known_by_its_checksum() -> None:
    block = bytearray(make_tar(FILES, tarfile.USTAR_FORMAT)[:512])
    block[257:] = bytes(255)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert sniff(bytes(block)) == "tar"
    block[0] ^= 1
    assert sniff(bytes(block)) is None


@pytest.mark.parametrize("path", sorted(real_files().glob("*.dcm")), ids=lambda path: path.name)
def test_no_real_dicom_file_is_taken_for_an_archive(path: Path) -> None:
    assert sniff(path.read_bytes()[:512]) is None


def test_a_name_is_a_hint() -> None:
    assert all(map(looks_like_archive, ["A.ZIP", "a.tar", "a.tgz", "a.tar.gz", "x.dcm.zst"]))
    assert not looks_like_archive("a.dcm")


# Members


@every_packer
@pytest.mark.parametrize("keep", [True, False])
def test_each_member_is_a_row_with_the_pixels_of_its_file(
    packer: Callable[[dict[str, bytes]], bytes], keep: bool
) -> None:
    found = by_name(read_all(packer(FILES), keep=keep))
    assert found == (PIXELS if keep else dict.fromkeys(NAMES))


@every_packer
def test_real_files_come_out_as_they_went_in(
    packer: Callable[[dict[str, bytes]], bytes], tmp_path: Path
) -> None:
    paths = sorted(real_files().glob("*.dcm"))
    files = {path.name: path.read_bytes() for path in paths}
    (tmp_path / "a").write_bytes(packer(files))
    with LocalFile(bytes(tmp_path / "a")) as reader:
        kind = sniff(reader.read(0, 512))
        assert kind is not None
        for keep in (True, False):
            names = []
            for found in expand(reader, kind, "a", keep=keep):
                names.append(found.name)
                with found.open() as file:
                    data = files[found.name]
                    assert file.size == len(data)
                    if file.archive_offset is not None:
                        begin = file.archive_offset
                        assert file.archive.read(begin, begin + len(data)) == data
                    half = len(data) // 2
                    tail = file.read(half, len(data))
                    assert file.read(0, half) + tail == data
                    file.finish()
                    buffer = bytearray(len(data) - 1)
                    file.read_into(1, memoryview(buffer))
                    assert buffer == data[1:]
            assert names == list(files)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_pickles_and_opens_elsewhere(method: int) -> None:
    import pickle

    data = make_zip(FILES, method)
    members = pickle.loads(pickle.dumps(list(list_members(BytesFile(data), "zip"))))
    assert [member.name for member in members] == NAMES
    for member, content in zip(members, CT, strict=True):
        reader = BytesFile(data)
        with open_member(reader, "zip", member) as file:
            assert file.read(0, file.size) == content
            assert (file.bytes_read, file.requests) == (reader.bytes_read - 30, 1)


@pytest.mark.parametrize("packer", [PACKERS["stored zip"], make_tar])
def test_of_a_stored_member_only_what_is_asked_for_is_read(
    packer: Callable[[dict[str, bytes]], bytes],
) -> None:
    data = packer({"big": make_ct(rows=1024, columns=1024)})
    reader = BytesFile(data)
    (member,) = list_members(reader, sniff(data[:512]))  # type: ignore[arg-type]
    reader.bytes_read = 0
    with open_member(reader, sniff(data[:512]), member) as file:  # type: ignore[arg-type]
        file.read(0, 1000)
        file.finish()
    assert reader.bytes_read <= 1030


def test_the_directory_of_a_small_zip_is_one_request() -> None:
    reader = BytesFile(make_zip(FILES))
    assert len(list(list_members(reader, "zip"))) == 5
    assert reader.requests == 1


def test_headers_of_a_tar_are_read_without_the_bodies() -> None:
    data = make_tar({name: make_ct(rows=512, columns=512) for name in NAMES})
    reader = BytesFile(data)
    assert len(list(list_members(reader, "tar", ahead_bytes=0))) == 5
    assert reader.bytes_read < 64 << 10


@pytest.mark.parametrize("name", ["stored zip", "deflated zip", "PAX tar"])
def test_ahead_one_request_has_the_header_and_what_is_behind(name: str) -> None:
    data = PACKERS[name]({"x": CT[0]})
    reader = BytesFile(data)
    kind = sniff(data[:512])
    for found in expand(reader, kind, "", ahead_bytes=1 << 16):  # type: ignore[arg-type]
        with found.open():
            pass
    start, stop = reader.asked[-1]
    (member,) = list_members(reader, kind)  # type: ignore[arg-type]
    assert start < member.start + 31
    assert stop >= member.start + member.packed_size


@every_packer
def test_folders_are_no_rows_and_empty_files_are(
    packer: Callable[[dict[str, bytes]], bytes],
) -> None:
    found = by_name(read_all(packer({"in/": b"", "in/empty": b""})))
    assert found == {"in/empty": ("empty", "the file has 0 bytes")}


@every_packer
def test_an_archive_without_files_is_a_row(packer: Callable[[dict[str, bytes]], bytes]) -> None:
    found = by_name(read_all(packer({"in/": b""})))
    assert found == {"": ("empty", "the archive holds no files")}


def test_an_empty_zip_is_a_row() -> None:
    assert by_name(read_all(make_zip({}))) == {"": ("empty", "the archive holds no files")}


HOSTILE_NAMES = [
    "/etc/abs.dcm",
    "../../up.dcm",
    "a::b.dcm",
    "end:",
    "%41%C3 100%25.dcm",
    "ümlaut/日本.dcm",
    "sp ace\n.dcm",
    "#2",
    "c:\\win\\x.dcm",
    "__MACOSX/._x",
    "n" * 300 + "/" + "m" * 120,
]


@every_packer
def test_names_come_back_from_origins_as_they_were(
    packer: Callable[[dict[str, bytes]], bytes],
) -> None:
    names = HOSTILE_NAMES[:-1] if packer is PACKERS["USTAR tar"] else HOSTILE_NAMES
    files = {name: make_ct(number) for number, name in enumerate(names, 1)}
    data = packer(files)
    found = read_all(data)
    finder = MemberFinder(BytesFile(data))
    for origin, (name, content) in zip(found, files.items(), strict=True):
        layer, cut, outer = origin.partition("::")
        assert (cut, outer) == ("::", OUTER)
        assert unescape_name(layer.partition("://")[2], chained=True) == name
        assert found[origin] == pixels_of(content)
        with finder.open(name) as file:
            assert file.read(0, file.size) == content


def test_an_undecodable_name_is_escaped() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", encoding="latin-1") as archive:
        archive.format = tarfile.GNU_FORMAT
        add_file(archive, "caf\xe9", CT[0])
    assert list(read_all(stream.getvalue())) == [f"tar://caf%E9::{OUTER}"]


def test_a_zip_without_the_utf_8_flag_is_cp437() -> None:
    data = make_zip({"u.dcm": CT[0]}).replace(b"u.dcm", b"\x81.dcm")
    assert list(by_name(read_all(data))) == ["ü.dcm"]


def test_the_unicode_path_of_info_zip_is_read() -> None:
    info = zipfile.ZipInfo("q.dcm")
    name = "日.dcm".encode()
    body = b"\x01" + struct.pack("<L", zlib.crc32(b"q.dcm")) + name
    info.extra = struct.pack("<2H", 0x7075, len(body)) + body
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info, CT[0])
    assert list(by_name(read_all(stream.getvalue()))) == ["日.dcm"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz"])
def test_members_of_one_name_are_all_rows_and_open_by_their_origins(packed: str) -> None:
    names = ["x", "y", "x", "x#2", "x"]
    stream = io.BytesIO()
    if packed == "zip":
        with zipfile.ZipFile(stream, "w") as archive:
            for name, data in zip(names, CT, strict=True):
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, data in zip(names, CT, strict=True):
                add_file(tar, name, data)
    data = stream.getvalue() if packed != "tar.gz" else gzip.compress(stream.getvalue())
    found = by_name(read_all(data))
    wanted = dict(zip(["x", "y", "x#2", "x#2#2", "x#3"], PIXELS.values(), strict=True))
    assert found == wanted
    finder = MemberFinder(BytesFile(data))
    for name in ("x#3", "x", "y", "x#2#2", "x#2"):
        with finder.open(name) as file:
            assert pixels_of(file.read(0, file.size)) == wanted[name]


def test_a_finder_reads_a_stream_once_if_asked_in_order() -> None:
    reader = BytesFile(gzip.compress(make_tar(FILES)))
    finder = MemberFinder(reader)
    for name, content in FILES.items():
        with finder.open(name) as file:
            assert file.read(0, file.size) == content
    assert reader.bytes_read < 2 * reader.size + 10_000
    with pytest.raises(StorageFault, match="no member of this name"):
        finder.open("gone")
    with finder.open(NAMES[0]) as file:
        assert file.read(0, file.size) == CT[0]


@pytest.mark.parametrize("name", ["deflated zip", "tar.gz", "PAX tar"])
def test_ten_of_a_thousand_members_are_damaged(name: str) -> None:
    files = {f"{number:04d}": make_ct(number) for number in range(1, 1001)}
    damaged = list(files)[7::100]
    for each in damaged:
        files[each] = files[each][:-100]
    found = by_name(read_all(PACKERS[name](files), keep=False))
    assert len(found) == 1000
    assert [each for each, outcome in found.items() if outcome is not None] == damaged
    assert {found[each][0] for each in damaged} == {"truncated"}  # type: ignore[index]


def test_a_finder_tells_what_is_damaged_only_of_what_is_behind_it() -> None:
    data = bytearray(make_tar(FILES))
    fourth = list(list_members(BytesFile(bytes(data)), "tar"))[3]
    data[fourth.start - 512] ^= 1
    finder = MemberFinder(BytesFile(bytes(data)))
    for _ in range(2):
        for name in (NAMES[1], NAMES[0]):
            with finder.open(name) as file:
                assert file.read(0, file.size) == FILES[name]
        with pytest.raises(Damage, match="header of the tar archive is damaged"):
            finder.open(NAMES[3])
    with pytest.raises(StorageFault, match="is no archive"):
        MemberFinder(BytesFile(CT[0])).open("x")


# zip


def test_a_zip_behind_other_bytes_and_before_them_is_read() -> None:
    data = make_zip(FILES)
    reader = BytesFile(b"#!/bin/sh\n" * 100 + data + b"trailing garbage")
    members = list(list_members(reader, "zip"))
    for member, content in zip(members, CT, strict=True):
        with open_member(reader, "zip", member) as file:
            assert file.read(0, file.size) == content
    with_comment = io.BytesIO(data)
    with zipfile.ZipFile(with_comment, "a") as archive:
        archive.comment = b"PK\x05\x06" * 1000
    assert by_name(read_all(with_comment.getvalue())) == PIXELS


def test_a_streamed_zip_with_data_descriptors_is_read() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(data)  # type: ignore[arg-type]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[arg-type]
        for name, data in FILES.items():
            archive.writestr(name, data)
    assert pipe.data[6] & 8
    assert by_name(read_all(pipe.data)) == PIXELS


def test_zip64_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = make_zip(FILES)
    assert b"PK\x06\x06" in data
    assert by_name(read_all(data)) == PIXELS
    reader = BytesFile(b"prefix" + data)
    assert [member.name for member in list_members(reader, "zip")] == NAMES


def test_a_directory_longer_than_one_load_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "_LOAD_BYTES", 1000)
    names = [f"{number}" * (number % 40 + 1) for number in range(500)]
    members = list_members(BytesFile(make_zip(dict.fromkeys(names, b"x"))), "zip")
    assert [member.name for member in members] == list(dict.fromkeys(names))


def patch_entries(data: bytes, at: int, value: bytes, *, local_at: int | None = None) -> bytes:
    """Overwrite a field of each central header, and of each local one."""
    changed = bytearray(data)
    for signature, place in ((b"PK\x01\x02", at), (b"PK\x03\x04", local_at)):
        found = data.find(signature)
        while found >= 0 and place is not None:
            changed[found + place : found + place + len(value)] = value
            found = data.find(signature, found + 4)
    return bytes(changed)


def test_an_encrypted_member_is_unreadable() -> None:
    data = patch_entries(make_zip(FILES), 8, b"\1\0", local_at=6)
    assert set(read_all(data).values()) == {("unreadable", "is encrypted")}


@pytest.mark.parametrize(("method", "words"), [(9, "Deflate64"), (77, "method 77 of zip")])
def test_an_unknown_compression_is_unreadable(method: int, words: str) -> None:
    data = patch_entries(make_zip(FILES), 10, struct.pack("<H", method), local_at=8)
    detail = f"is compressed by {words}, which is not supported"
    assert set(read_all(data).values()) == {("unreadable", detail)}


def test_zstd_within_a_zip_is_read() -> None:
    body = pack_zstd(CT[0])
    data = bytearray(make_zip({"x": body}, zipfile.ZIP_STORED))
    at = data.index(b"PK\x01\x02")
    crc = struct.pack("<L", zlib.crc32(CT[0]))
    data[8:10] = data[at + 10 : at + 12] = struct.pack("<H", 93)
    data[14:18] = data[at + 16 : at + 20] = crc
    data[22:26] = data[at + 24 : at + 28] = struct.pack("<L", len(CT[0]))
    assert by_name(read_all(bytes(data))) == {"x": PIXELS[NAMES[0]]}


def test_a_link_in_a_zip_is_told() -> None:
    info = zipfile.ZipInfo("link")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(info, "target")
    found = by_name(read_all(stream.getvalue()))
    assert found == {"link": ("unreadable", "is a link, which is not followed")}


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_a_flipped_bit_costs_its_member_whatever_is_asked_for(keep: bool, method: int) -> None:
    data = make_zip(FILES, method)
    third = list(list_members(BytesFile(data), "zip"))[2]
    changed = bytearray(data)
    changed[third.start + third.packed_size] ^= 0x55  # in its pixels
    found = by_name(read_all(bytes(changed), keep=keep))
    reason, _ = found.pop(NAMES[2])  # type: ignore[misc]
    assert reason == "malformed"
    assert found == {name: PIXELS[name] if keep else None for name in NAMES if name != NAMES[2]}


def test_the_checksum_is_checked_behind_a_sound_header() -> None:
    data = make_zip(FILES)
    third = list(list_members(BytesFile(data), "zip"))[2]
    crc = struct.pack("<L", third.crc)
    changed = data.replace(crc, struct.pack("<L", third.crc ^ 1))
    for keep in (True, False):
        found = by_name(read_all(changed, keep=keep))
        assert found[NAMES[2]] == ("malformed", "the checksum of the member is wrong")
        assert len(found) == 5


@pytest.mark.parametrize("change", [-1, 1])
def test_a_wrong_length_is_told(change: int) -> None:
    data = make_zip({"x": CT[0]})
    changed = patch_entries(data, 24, struct.pack("<L", len(CT[0]) + change))
    for keep in (True, False):
        ((reason, _),) = read_all(changed, keep=keep).values()  # type: ignore[misc]
        assert reason in {"malformed", "truncated"}


def test_a_damaged_local_header_costs_its_member() -> None:
    data = bytearray(make_zip(FILES))
    third = list(list_members(BytesFile(bytes(data)), "zip"))[2]
    data[third.start] = 0
    found = by_name(read_all(bytes(data)))
    detail = "the zip archive has no header for this member"
    assert found.pop(NAMES[2]) == ("malformed", detail)
    assert len(found) == 4


def test_a_writer_that_leaves_the_local_checksum_out_is_read() -> None:
    data = bytearray(make_zip({"x": CT[0]}))
    data[14:18] = bytes(4)
    assert by_name(read_all(bytes(data))) == {"x": PIXELS[NAMES[0]]}
    data[14:18] = b"wXyZ"
    ((_, detail),) = read_all(bytes(data)).values()  # type: ignore[misc]
    assert detail == "the two headers of the member differ"


def test_a_cut_zip_is_one_row() -> None:
    found = by_name(read_all(make_zip(FILES)[:-30]))
    assert found == {"": ("truncated", "the zip archive has no central directory")}


def test_a_damaged_directory_keeps_the_members_before_it() -> None:
    data = bytearray(make_zip(FILES))
    data[data.rindex(b"PK\x01\x02")] = 0
    found = by_name(read_all(bytes(data)))
    detail = "the central directory of the zip archive is damaged"
    assert found.pop("") == ("malformed", detail)
    assert found == {name: PIXELS[name] for name in NAMES[:4]}


def test_members_that_overlap_are_no_bomb() -> None:
    data = make_zip({"0": CT[0]})
    at = data.index(b"PK\x01\x02")
    end_at = data.index(b"PK\x05\x06")
    entry, end = data[at:end_at], bytearray(data[end_at:])
    end[8:12] = struct.pack("<2H", 1000, 1000)
    end[12:16] = struct.pack("<L", 1000 * len(entry))
    entries = b"".join(entry[:46] + b"%c" % (number % 256) for number in range(1000))
    found = list(rows(data[:at] + entries + end))
    assert found[-1] == (OUTER, ("malformed", "the members of the zip archive overlap"))
    assert len(found) < 5


def test_a_part_of_a_split_zip_is_told() -> None:
    data = bytearray(make_zip(FILES))
    data[data.index(b"PK\x05\x06") + 4] = 3
    found = by_name(read_all(bytes(data)))
    assert found == {"": ("unreadable", "is one part of a split zip archive")}


# tar


def test_what_is_no_file_in_a_tar_is_told() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        add_file(archive, "x", CT[0])
        for name, kind in (
            ("hard", tarfile.LNKTYPE),
            ("soft", tarfile.SYMTYPE),
            ("fifo", tarfile.FIFOTYPE),
            ("dev", tarfile.CHRTYPE),
            ("folder", tarfile.DIRTYPE),
        ):
            add_file(archive, name, b"", type=kind, linkname="x")
        add_file(archive, "y", CT[1])
    for data in (stream.getvalue(), gzip.compress(stream.getvalue())):
        assert by_name(read_all(data)) == {
            "x": PIXELS[NAMES[0]],
            "hard": ("unreadable", "is a hard link to another member, which is not followed"),
            "soft": ("unreadable", "is a link, which is not followed"),
            "fifo": ("unreadable", "is a FIFO, not a regular file"),
            "dev": ("unreadable", "is a character device, not a regular file"),
            "y": PIXELS[NAMES[1]],
        }


def test_sparse_members_of_a_real_tar_are_told(tmp_path: Path) -> None:
    import shutil
    import subprocess

    if shutil.which("tar") is None:
        pytest.skip("no tar program")
    with (tmp_path / "hole").open("wb") as file:
        file.write(b"x" * 4096)
        file.seek(8 << 20)
        file.write(b"y" * 4096)
    (tmp_path / "x").write_bytes(CT[0])
    wanted = ("unreadable", "is stored as a sparse file, which is not supported")
    for tar_format in ("gnu", "pax"):
        command = ["tar", f"--format={tar_format}", "-S", "-cf", f"{tar_format}.tar", "hole", "x"]
        subprocess.run(command, cwd=tmp_path, check=True)
        found = by_name(read_all((tmp_path / f"{tar_format}.tar").read_bytes()))
        assert found == {"hole": wanted, "x": PIXELS[NAMES[0]]}


def test_numbers_in_the_way_of_gnu_are_read() -> None:
    data = bytearray(make_tar({"x": CT[0]}, tarfile.GNU_FORMAT))
    data[124:136] = b"\x80" + len(CT[0]).to_bytes(11, "big")
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    assert by_name(read_all(bytes(data))) == {"x": PIXELS[NAMES[0]]}


def test_tars_put_behind_one_another_are_one_and_garbage_is_none() -> None:
    first = make_tar({"x": CT[0]})
    second = make_tar({"y": CT[1]})
    wanted = {"x": PIXELS[NAMES[0]], "y": PIXELS[NAMES[1]]}
    assert by_name(read_all(first + second)) == wanted
    assert by_name(read_all(gzip.compress(first) + gzip.compress(second))) == wanted
    assert by_name(read_all(pack_zstd(first) + pack_zstd(second))) == wanted
    assert by_name(read_all(first + b"garbage" * 1000)) == {"x": PIXELS[NAMES[0]]}


def test_a_damaged_header_costs_the_rest_of_a_tar() -> None:
    data = bytearray(make_tar(FILES))
    members = list(list_members(BytesFile(bytes(data)), "tar"))
    data[members[3].start - 512] ^= 1
    for archive in (bytes(data), gzip.compress(data)):
        found = by_name(read_all(archive))
        detail = "a header of the tar archive is damaged; the rest is lost"
        assert found.pop("") == ("malformed", detail)
        assert found == {name: PIXELS[name] for name in NAMES[:3]}


@pytest.mark.parametrize("keep", [True, False])
def test_a_cut_tar_keeps_what_is_whole(keep: bool) -> None:
    data = make_tar(FILES)
    members = list(list_members(BytesFile(data), "tar"))
    sound = {name: PIXELS[name] if keep else None for name in NAMES[:3]}
    lost = {"": ("truncated", "the tar archive ends without its end mark")}
    cut = {NAMES[3]: ("truncated", "the archive ends inside this member")}
    inside = data[: members[3].start + 2000]
    between = data[: members[3].start - 512]
    for pack in (bytes, gzip.compress, pack_zstd):
        assert by_name(read_all(pack(inside), keep=keep)) == sound | cut | lost
        assert by_name(read_all(pack(between), keep=keep)) == sound | lost


def test_an_endless_header_is_not_loaded() -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 8 << 30
    reader = BytesFile(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    with pytest.raises(Damage, match="header of the tar archive is damaged"):
        list(list_members(reader, "tar"))
    assert reader.bytes_read < 1 << 20


def test_a_header_of_many_records_is_read_in_time() -> None:
    data = b"7 a=bc\n" * 149_000
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    head = info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)
    assert by_name(read_all(head + make_tar({"x": CT[0]}))) == {"x": PIXELS[NAMES[0]]}


@pytest.mark.parametrize(
    "records",
    [b"9 size=-1\n", b"0 a=b\n", b"99 path=x\n", b"x path=y\n", b"12 size=\xff\xff\xff\xff\n"],
)
def test_a_damaged_pax_record_costs_the_rest(records: bytes) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(records)
    head = info.tobuf(tarfile.GNU_FORMAT) + records.ljust(512, b"\0")
    ((reason, detail),) = read_all(head + make_tar(FILES)).values()  # type: ignore[misc]
    assert (reason, detail) == (
        "malformed",
        "a header of the tar archive is damaged; the rest is lost",
    )


# gzip and zstd


@pytest.mark.parametrize("pack", [gzip.compress, pack_zstd])
@pytest.mark.parametrize("keep", [True, False])
def test_a_cut_stream_never_looks_whole(pack: Callable[[bytes], bytes], keep: bool) -> None:
    kind = sniff(pack(b"x"))
    whole = pack(make_tar(FILES))
    for cut in (1, 4, 8, 9, 100, len(whole) // 2, len(whole) - 20):
        found = by_name(read_all(whole[: len(whole) - cut], keep=keep))
        wanted = ("truncated", f"the file ends inside the {kind} stream")
        assert found.pop("") == wanted
        for name, outcome in found.items():
            assert outcome in (PIXELS[name] if keep else None, wanted)
    single = pack(CT[0])
    for cut in (1, 4, 100):
        ((reason, _),) = read_all(single[:-cut], keep=keep).values()  # type: ignore[misc]
        assert reason == "truncated"


def test_a_wrong_checksum_of_the_whole_is_a_row_of_the_archive() -> None:
    rng = random.Random(0)
    files = {name: CT[0][:-512] + rng.randbytes(512) for name in map(str, range(200))}
    data = bytearray(gzip.compress(make_tar(files)))
    data[-6] ^= 1
    found = by_name(read_all(bytes(data)))
    assert found.pop("") == ("malformed", "the gzip stream is damaged")
    sound = {name: outcome for name, outcome in found.items() if isinstance(outcome, bytes)}
    assert len(sound) > 50
    assert sound == {name: files[name][-512:] for name in sound}


def test_a_file_in_gzip_is_named_by_its_header_or_its_archive() -> None:
    stream = io.BytesIO()
    with gzip.GzipFile("ct 1.dcm", "wb", fileobj=stream) as file:
        file.write(CT[0])
    pixels = PIXELS[NAMES[0]]
    assert read_all(stream.getvalue()) == {f"gzip://ct 1.dcm::{OUTER}": pixels}
    plain = gzip.compress(CT[0])
    assert read_all(plain, path="/in/y.dcm.gz") == {f"gzip://y.dcm::{OUTER}": pixels}
    assert read_all(plain, path="/in/odd") == {f"gzip://odd::{OUTER}": pixels}
    assert read_all(pack_zstd(CT[0]), path="y.ZST") == {f"zstd://y::{OUTER}": pixels}
    with MemberFinder(BytesFile(plain)).open("y.dcm") as file:
        assert file.read(0, file.size) == CT[0]


def test_streams_behind_one_another_are_one_and_zeros_are_padding() -> None:
    half = len(CT[0]) // 2
    for pack in (gzip.compress, pack_zstd):
        data = pack(CT[0][:half]) + pack(b"") + pack(CT[0][half:])
        assert list(read_all(data).values()) == [PIXELS[NAMES[0]]]
    assert list(read_all(gzip.compress(CT[0]) + bytes(1000)).values()) == [PIXELS[NAMES[0]]]
    ((reason, _),) = read_all(gzip.compress(CT[0]) + b"garbage").values()  # type: ignore[misc]
    assert reason == "malformed"


@every_packer
def test_an_archive_within_an_archive_is_told(
    packer: Callable[[dict[str, bytes]], bytes],
) -> None:
    inner_files = {"a.zip": make_zip(FILES), "b.gz": gzip.compress(CT[0]), "c": b"text" * 100}
    inner_files["t.tar"] = make_tar(FILES)
    found = by_name(read_all(packer(inner_files)))
    for name, kind in (("a.zip", "zip"), ("b.gz", "gzip"), ("t.tar", "tar")):
        detail = f"is a {kind} archive inside an archive, which is not opened"
        assert found.pop(name) == ("not_dicom", detail)
    ((reason, _),) = found.values()  # type: ignore[misc]
    assert reason == "not_dicom"


# Bounds


def test_a_bomb_is_too_large() -> None:
    zeros = bytes(80 << 20)
    ratio = ("too_large", "the member passes the limit inflated_ratio of 100")
    assert by_name(read_all(make_zip({"bomb": zeros, "x": CT[0]}))) == {
        "bomb": ratio,
        "x": PIXELS[NAMES[0]],
    }
    archive = {"": ("too_large", "the archive passes the limit inflated_ratio of 100")}
    assert by_name(read_all(gzip.compress(make_tar({"bomb": zeros})))) == {"bomb": ratio} | archive
    ((reason, _),) = read_all(gzip.compress(zeros)).values()  # type: ignore[misc]
    assert reason == "too_large"
    ((reason, _),) = read_all(pack_zstd(zeros)).values()  # type: ignore[misc]
    assert reason == "too_large"


@pytest.mark.parametrize("name", ["deflated zip", "tar.gz", "tar.zst"])
def test_a_member_past_the_limit_costs_itself(name: str) -> None:
    limits = Limits(inflated_bytes=100_000)
    big = random.Random(0).randbytes(200_000)
    found = by_name(read_all(PACKERS[name]({"big": big, "x": CT[0]}), limits=limits))
    wanted = ("too_large", "the member passes the limit inflated_bytes of 100000")
    assert found == {"big": wanted, "x": PIXELS[NAMES[0]]}
    assert set(read_all(gzip.compress(big), limits=limits).values()) == {wanted}


def test_a_large_member_is_passed_over_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "_KEPT_BYTES", 1 << 20)
    big = make_ct(rows=6000, columns=6000)
    for name in ("deflated zip", "tar.gz", "tar.zst"):
        data = PACKERS[name]({"big": big, "x": CT[0]})
        tracemalloc.start()
        found = by_name(read_all(data, keep=False, limits=Limits(inflated_ratio=10_000)))
        assert found == {"big": None, "x": None}
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 16 << 20 < len(big)


@pytest.mark.parametrize("name", ["deflated zip", "tar.gz", "tar.zst"])
def test_going_back_beyond_what_is_kept_begins_anew(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inner, "_KEPT_BYTES", 1000)
    noise = random.Random(0).randbytes(3 << 20)
    data = PACKERS[name]({"x": CT[0], "noise": noise, "y": CT[1]})
    reader = BytesFile(data)
    for found in expand(reader, sniff(data[:512]), ""):  # type: ignore[arg-type]
        with found.open() as file:
            file.finish()
            if found.name == "noise":
                for start in (2 << 20, 1 << 20, 500, 0):
                    assert file.read(start, start + 5000) == noise[start : start + 5000]
                file.finish()


def test_the_names_of_an_archive_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inner, "MOST_MEMBERS", 3)
    found = by_name(read_all(make_zip(FILES)))
    assert found.pop("") == ("too_large", "the archive holds more than 3 members")
    assert list(found) == NAMES[:3]


def test_a_fault_of_storage_is_unreadable_and_not_the_end() -> None:
    class Failing(BytesFile):
        def read(self, start: int, stop: int) -> bytes:
            if start >= 1 << 20:
                raise StorageFault("timed out")
            return super().read(start, stop)

    noise = random.Random(0).randbytes(1 << 20)
    for pack in (gzip.compress, pack_zstd):
        data = pack(make_tar({"x": CT[0], "noise": noise, "y": CT[1]}))
        reader = Failing(data)
        found = {}
        for origin, _, outcome in read_members(
            reader,
            sniff(data[:512]),
            "",
            OUTER,
            lambda origin, file: file.size,  # type: ignore
        ):
            found[origin] = outcome.detail if isinstance(outcome, StorageFault) else outcome
        assert list(by_name(found).values()) == [len(CT[0]), "timed out", "timed out"]


def test_an_encapsulated_file_is_read_from_a_stream() -> None:
    from dicomframe.testing.samples import JPEG_UID, element

    pixels = encapsulated(b"\xff\xd8" * 4000, b"\xff\xd9" * 4000)
    data = make_file(element(0x00080060, "CS", "CT"), pixels, transfer_syntax=JPEG_UID)
    wanted = pixels_of(data)
    for packer in PACKERS.values():
        assert by_name(read_all(packer({"x": data}))) == {"x": wanted}


@every_packer
def test_mutations_raise_nothing_and_no_member_is_two_rows(
    packer: Callable[[dict[str, bytes]], bytes],
) -> None:
    rng = random.Random(20261123)
    whole = packer(dict(list(FILES.items())[:3]))
    limits = Limits(inflated_bytes=1 << 20)
    kind = sniff(whole[:512])
    assert kind is not None
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(data)) if rng.random() < 0.5 else -rng.randrange(1, 400)
            at %= len(data)
            choice = rng.randrange(4)
            if choice == 0:
                data[at] ^= 1 << rng.randrange(8)
            elif choice == 1:
                data[at : at + 4] = rng.choice((b"\xff" * 4, bytes(4), rng.randbytes(4)))
            elif choice == 2:
                del data[at : at + rng.randrange(1, 600)]
            else:
                data[at:at] = data[at : at + rng.randrange(1, 600)]
            if not data:
                data += b"\0"
        changed = bytes(data)
        if sniff(changed[:512]) is None:
            continue
        outcomes = [dict(rows(changed, keep=keep, limits=limits)) for keep in (True, False)]
        statuses = [
            {
                origin: value if isinstance(value, tuple) else "sound"
                for origin, value in each.items()
            }
            for each in outcomes
        ]
        assert statuses[0] == statuses[1]
        assert len(list(rows(changed, keep=False, limits=limits))) == len(outcomes[1])
        # Behind a checksum nothing is wrong in silence.
        if kind == "gzip" and OUTER not in statuses[0]:
            for name, outcome in by_name(outcomes[0]).items():
                assert isinstance(outcome, tuple) or outcome == PIXELS[name]
