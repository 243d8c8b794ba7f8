"""Opening files, their origins, and what an origin or a message may show."""

import os
import pickle
import socket
import tarfile
import threading
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from dicomframe.dicom.damage import Damage
from dicomframe.errors import InvalidOptionError
from dicomframe.scan import transfer
from dicomframe.scan.locating import fetch_range, locate
from dicomframe.scan.storage import StorageFault, Store
from dicomframe.scan.urls import escape_name, hide_credentials, split_userinfo, unescape_name

LOCAL = Store("file", "file://")
CONTENT = bytes(range(256)) * 8
SECRET = "wJalrXUtnFEMI/K7MDENG"

HOSTILE_NAMES = [
    "with space.dcm",
    "hash#mark.dcm",
    "what?.dcm",
    "100%.dcm",
    "a%20b.dcm",
    "a%FFb.dcm",
    "a%25FFb.dcm",
    "a%3Ab.dcm",
    "[1].dcm",
    "*.dcm",
    "a::b.dcm",
    "zip::x.dcm",
    "a:b.dcm",
    "ends with colon:",
    "new\nline.dcm",
    "newline at the end\n",
    ".hidden",
    "_underscore",
    "a@b.dcm",
    "größe-日本.dcm",
    "back\\slash.dcm",
    "'quotes\".dcm",
]
UNDECODABLE_NAMES = [b"caf\xe9.dcm", b"caf\xe8.dcm", b"\xff\xfe", b"%\xff", b"%E9\xe9.dcm"]


class FaultyFileSystem(MemoryFileSystem):
    """Memory that fails as its options tell: no real store fails on demand."""

    protocol = "faulty"
    cachable = False

    def __init__(self, fault: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.fault = fault

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + path.removeprefix("faulty://").strip("/")

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **options: Any
    ) -> bytes:
        if self.fault == "raises":
            raise RuntimeError(f"GET https://key:{SECRET}@host{path}?sig={SECRET} failed")
        if self.fault == "timeout":
            raise TimeoutError(SECRET)
        data = super().cat_file(path, start, end, **options)
        if self.fault == "short":
            return data[:-1]
        if self.fault == "long":
            return data + b"x"
        return data


fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)


def test_a_local_file_is_read_by_ranges(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(CONTENT)
    with LOCAL.open(str(tmp_path / "a.dcm"), None) as reader:
        assert reader.size == len(CONTENT)
        assert reader.read(10, 20) == CONTENT[10:20]
        assert reader.read(0, len(CONTENT)) == CONTENT
        assert reader.read(7, 7) == b""
        buffer = bytearray(100)
        reader.read_into(300, memoryview(buffer))
        assert bytes(buffer) == CONTENT[300:400]


def test_closing_a_local_reader_releases_its_descriptor(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(CONTENT)
    before = count_descriptors()
    reader = LOCAL.open(str(tmp_path / "a.dcm"), None)
    reader.close()
    reader.close()
    with LOCAL.open(str(tmp_path / "a.dcm"), None):
        assert count_descriptors() == before + 1
    assert count_descriptors() == before


def test_a_local_file_tells_its_size_as_it_is_now(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(CONTENT)
    with LOCAL.open(str(tmp_path / "a.dcm"), 5) as reader:
        assert reader.size == len(CONTENT)


@pytest.mark.parametrize("stop", [len(CONTENT) + 1, 4 << 40])
def test_a_range_past_the_end_is_a_fault_before_memory_is_taken(tmp_path: Path, stop: int) -> None:
    (tmp_path / "a.dcm").write_bytes(CONTENT)
    with LOCAL.open(str(tmp_path / "a.dcm"), None) as reader, pytest.raises(StorageFault) as fault:
        reader.read(len(CONTENT) - 10, stop)
    assert "storage gave 10" in fault.value.detail


def test_a_file_that_shrinks_while_open_is_a_fault_and_never_short(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(CONTENT)
    with LOCAL.open(str(path), None) as reader:
        os.truncate(path, 100)
        with pytest.raises(StorageFault, match="storage gave 50"):
            reader.read(50, 150)
        with pytest.raises(StorageFault, match="storage gave 50"):
            reader.read_into(50, memoryview(bytearray(100)))


def test_a_file_that_vanished_is_a_fault_at_opening(tmp_path: Path) -> None:
    with pytest.raises(StorageFault) as fault:
        LOCAL.open(str(tmp_path / "gone.dcm"), 10)
    assert fault.value.detail == "no such file or directory (vanished after listing)"


def test_a_fifo_in_place_of_a_file_neither_blocks_nor_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dcm")
    with pytest.raises(StorageFault, match="is a FIFO, not a regular file"):
        LOCAL.open(str(tmp_path / "a.dcm"), None)


def test_a_folder_whose_end_can_be_sought_is_told_when_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "lseek", lambda *_: 4096)  # as XFS answers
    with (
        LOCAL.open(str(tmp_path), None) as folder,
        pytest.raises(StorageFault, match="is a folder, not a regular file"),
    ):
        folder.read(0, 100)


def test_a_socket_a_device_and_a_folder_are_faults(tmp_path: Path) -> None:
    short = os.path.relpath(tmp_path)  # a socket's address holds a hundred characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
    for path in (tmp_path / "s", Path("/dev/null")):
        with pytest.raises(StorageFault):
            LOCAL.open(str(path), None)
    with pytest.raises(StorageFault), LOCAL.open(str(tmp_path), None) as folder:
        folder.read(0, 1)  # at the latest: on some file systems its end can be sought


def test_an_unreadable_file_is_a_fault_without_its_name(
    open_folder: Path, as_user: Callable[[], AbstractContextManager[None]]
) -> None:
    path = open_folder / "PATIENT^NAME.dcm"
    path.write_bytes(CONTENT)
    path.chmod(0)
    with as_user(), pytest.raises(StorageFault) as fault:
        LOCAL.open(str(path), None)
    assert fault.value.detail == "permission denied"


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_opened_and_fetched_by_its_origin(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(CONTENT)
    (tmp_path / "b.dcm").write_bytes(b"another")
    origin = LOCAL.origin(str(path))
    assert origin.startswith("file:///")
    assert fetch_range(origin, 3, 9) == CONTENT[3:9]


@pytest.mark.parametrize("name", UNDECODABLE_NAMES)
def test_a_name_that_is_not_utf8_has_an_origin_that_is_and_leads_back(
    tmp_path: Path, name: bytes
) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(CONTENT)
    origin = LOCAL.origin(path.decode("utf-8", "surrogateescape"))
    assert origin.encode("utf-8").isascii()
    assert fetch_range(origin, 3, 9) == CONTENT[3:9]


def test_names_that_differ_have_origins_that_differ() -> None:
    names = [
        *HOSTILE_NAMES,
        *(name.decode("utf-8", "surrogateescape") for name in UNDECODABLE_NAMES),
    ]
    names += ["caf%E9.dcm", "caf%25E9.dcm", "%FF%FE", "%%FF"]
    assert len({LOCAL.origin(f"/{name}") for name in names}) == len(set(names))


BYTES_OF_NAMES = st.lists(
    st.sampled_from(
        [b"%", b"2", b"5", b"3", b"A", b":", b"F", b"E9", b"\xe9", b"\xc3", b"x", b"/"]
    ),
    max_size=12,
).map(b"".join)


@given(name=BYTES_OF_NAMES, chained=st.booleans())
def test_escaping_a_name_can_be_undone(*, name: bytes, chained: bool) -> None:
    text = name.decode("utf-8", "surrogateescape")
    escaped = escape_name(text, chained=chained)
    escaped.encode("utf-8")
    assert unescape_name(escaped, chained=chained) == text
    assert not chained or (escaped + "::file").index("::") == len(escaped)


def test_a_store_pickles_small_and_opens_after_that(memory: MemoryFileSystem) -> None:
    memory.pipe("/a/b.dcm", CONTENT)
    store, path = locate("memory://a/b.dcm", {})
    with store.open(path, None) as reader:
        assert reader.read(0, 4) == CONTENT[:4]
    sent = pickle.dumps(store)
    assert len(sent) < 400
    copy = pickle.loads(sent)
    assert copy == store
    with copy.open(path, len(CONTENT)) as reader:
        assert reader.read(5, 9) == CONTENT[5:9]


def test_a_file_in_memory_has_the_url_that_opens_it(memory: MemoryFileSystem) -> None:
    memory.pipe("/folder/x y#1.dcm", CONTENT)
    store, path = locate("memory://folder/x y#1.dcm", {})
    assert store.origin(path) == "memory://folder/x y#1.dcm"
    assert fetch_range("memory://folder/x y#1.dcm", 1, 3) == CONTENT[1:3]


@pytest.mark.parametrize("fault", ["short", "long", "raises", "timeout"])
def test_what_a_store_answers_wrongly_is_a_fault(
    memory: MemoryFileSystem, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_DELAY_SECONDS", 0.001)
    memory.pipe("/a.dcm", CONTENT)
    store, path = locate("faulty://a.dcm", {"fault": fault})
    with store.open(path, len(CONTENT)) as reader, pytest.raises(StorageFault) as raised:
        reader.read(0, 100)
    assert SECRET not in str(raised.value)
    assert "http" not in raised.value.detail
    assert "\n" not in raised.value.detail


def test_the_same_store_without_a_fault_reads(memory: MemoryFileSystem) -> None:
    memory.pipe("/a.dcm", CONTENT)
    store, path = locate("faulty://a.dcm", {})
    with store.open(path, len(CONTENT)) as reader:
        assert reader.read(0, 100) == CONTENT[:100]


def test_a_remote_file_that_vanished_is_a_fault(memory: MemoryFileSystem) -> None:
    store, path = locate("memory://gone.dcm", {})
    with pytest.raises(StorageFault, match="vanished after listing"):
        store.open(path, None)
    with store.open(path, 10) as reader, pytest.raises(StorageFault, match="vanished"):
        reader.read(0, 10)


def test_a_large_value_is_read_whole_into_the_buffer_given(memory: MemoryFileSystem) -> None:
    large = os.urandom(1 << 20) * 40
    memory.pipe("/large.dcm", large)
    store, path = locate("memory://large.dcm", {})
    buffer = bytearray(len(large) - 7)
    with store.open(path, len(large)) as reader:
        reader.read_into(7, memoryview(buffer))
    assert buffer == large[7:]


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_member_of_a_zip_is_read_by_ranges_in_any_order(tmp_path: Path, compression: int) -> None:
    make_zip(tmp_path / "a.zip", {"in/x.dcm": CONTENT}, compression)
    store, path = locate("zip://in/x.dcm", {}, locate(f"file://{tmp_path}/a.zip", {}))
    assert store.origin(path) == f"zip://in/x.dcm::file://{tmp_path}/a.zip"
    with store.open(path, None) as reader:
        assert reader.size == len(CONTENT)
        assert reader.read(1000, 1100) == CONTENT[1000:1100]
        assert reader.read(0, 100) == CONTENT[:100]
        buffer = bytearray(50)
        reader.read_into(2, memoryview(buffer))
        assert bytes(buffer) == CONTENT[2:52]
        with pytest.raises(StorageFault):
            reader.read(len(CONTENT) - 1, len(CONTENT) + 1)


@pytest.mark.parametrize(
    "member", [*HOSTILE_NAMES, "a::b/::c", "x::file:///etc/passwd", "/abs/x.dcm"]
)
@pytest.mark.parametrize("archive", ["a.zip", "a*b.zip", "a::b.zip", "memory::b [1]#%3A.zip"])
def test_a_member_is_fetched_by_its_origin_whatever_its_name_and_its_archives(
    tmp_path: Path, member: str, archive: str
) -> None:
    make_zip(tmp_path / archive, {member: CONTENT, "decoy.dcm": b"another"})
    store, path = locate("zip", {}, (LOCAL, str(tmp_path / archive)))
    assert path == ""
    origin = store.origin(member)
    assert fetch_range(origin, 3, 9) == CONTENT[3:9]


def test_an_archive_within_an_archive_is_read(tmp_path: Path) -> None:
    make_zip(tmp_path / "inner.zip", {"x.dcm": CONTENT})
    make_zip(tmp_path / "outer.zip", {"in.zip": (tmp_path / "inner.zip").read_bytes()})
    origin = f"zip://x.dcm::zip://in.zip::file://{tmp_path}/outer.zip"
    assert fetch_range(origin, 3, 9) == CONTENT[3:9]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_member_of_a_tar_is_fetched_by_its_origin(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.dcm").write_bytes(CONTENT)
    with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
        archive.add(tmp_path / "x.dcm", "in/x.dcm")
    assert fetch_range(f"tar://in/x.dcm::file://{tmp_path}/{name}", 3, 9) == CONTENT[3:9]


def test_a_damaged_or_missing_archive_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    with pytest.raises(StorageFault, match="is no archive"):
        fetch_range(f"zip://x.dcm::file://{tmp_path}/bad.zip", 0, 1)
    with pytest.raises(StorageFault, match="vanished"):
        fetch_range(f"zip://x.dcm::file://{tmp_path}/gone.zip", 0, 1)


def test_a_member_with_a_wrong_checksum_is_damaged(tmp_path: Path) -> None:
    make_zip(tmp_path / "a.zip", {"x.dcm": CONTENT}, zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        checksum = archive.getinfo("x.dcm").CRC.to_bytes(4, "little")
    data = (tmp_path / "a.zip").read_bytes().replace(checksum, b"\1\2\3\4")
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(Damage, match="checksum"):
        fetch_range(f"zip://x.dcm::file://{tmp_path}/a.zip", 0, len(CONTENT))


def test_many_archives_never_hold_many_descriptors(tmp_path: Path) -> None:
    for number in range(40):
        make_zip(tmp_path / f"{number}.zip", {"x.dcm": CONTENT})
    before = count_descriptors()
    stores = [locate("zip", {}, (LOCAL, f"{tmp_path}/{number}.zip"))[0] for number in range(40)]
    for store in stores:
        with store.open("x.dcm", None) as reader:
            assert reader.read(0, 4) == CONTENT[:4]
    assert count_descriptors() <= before + 12


def test_threads_share_a_store_of_an_archive(tmp_path: Path) -> None:
    members = {f"{number}.dcm": os.urandom(3000) for number in range(60)}
    (tmp_path / "a").mkdir()
    for name, data in members.items():
        (tmp_path / "a" / name).write_bytes(data)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(tmp_path / "a", "")
    store, _ = locate("tar", {}, (LOCAL, f"{tmp_path}/a.tar"))
    wrong: list[str] = []

    def read_all() -> None:
        for name, data in members.items():
            with store.open(name, None) as reader:
                if reader.read(0, 3000) != data:
                    wrong.append(name)

    threads = [threading.Thread(target=read_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_cached_store_shows_and_reads_the_file_behind_it(
    tmp_path: Path, memory: MemoryFileSystem
) -> None:
    memory.pipe("/b/x.dcm", CONTENT)
    options = {"cache_storage": str(tmp_path)}
    store, path = locate("simplecache", options, locate("memory://b/x.dcm", {}))
    assert store.origin(path) == "simplecache::memory://b/x.dcm"
    assert fetch_range(store.origin(path), 3, 9, options) == CONTENT[3:9]
    assert len(list(tmp_path.iterdir())) > 0


def test_a_web_server_without_ranges_is_read_all_the_same(tmp_path: Path, web: str) -> None:
    (tmp_path / "a b#c.dcm").write_bytes(CONTENT)
    store, path = locate(f"{web}/a%20b%23c.dcm", {})
    with store.open(path, None) as reader:
        assert reader.size == len(CONTENT)
        assert reader.read(5, 9) == CONTENT[5:9]
        with pytest.raises(StorageFault):
            reader.read(len(CONTENT), len(CONTENT) + 5)
    assert fetch_range(store.origin(path), 3, 9) == CONTENT[3:9]


def test_a_signed_url_is_opened_with_its_signature_and_shown_without(
    tmp_path: Path, web: str
) -> None:
    (tmp_path / "a.dcm").write_bytes(CONTENT)
    store, path = locate(f"{web}/a.dcm?X-Amz-Signature={SECRET}&objectUID=1.2", {})
    assert SECRET in path
    assert store.origin(path) == f"{web}/a.dcm?objectUID=1.2"
    assert SECRET not in repr(store)
    with store.open(path, None) as reader:
        assert reader.read(0, 4) == CONTENT[:4]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"s3://AKIA1:{SECRET}@bucket/x.dcm", "s3://bucket/x.dcm"),
        ("s3://bucket/a:b@c.dcm", "s3://bucket/a:b@c.dcm"),
        ("ftp://user:pass@host:21/a@b/x.dcm", "ftp://host:21/a@b/x.dcm"),
        ("ftp://user@host/x.dcm", "ftp://host/x.dcm"),
        ("ftp://host:2121/a@b.dcm", "ftp://host:2121/a@b.dcm"),
        ("ftp://user:p@ss@host/x.dcm", "ftp://host/x.dcm"),
        (
            "abfs://container@account.dfs.core.windows.net/x",
            "abfs://container@account.dfs.core.windows.net/x",
        ),
        ("https://u:p@h/x.dcm?sig=abc&se=1", "https://h/x.dcm"),
        ("https://h/wado?objectUID=1.2&token=abc#t", "https://h/wado?objectUID=1.2"),
        ("https://h/x?X-Amz-Credential=A%2Fb&X-Amz-Signature=c", "https://h/x"),
        ("http://[::1]:8042/x?token=abc", "http://[::1]:8042/x"),
        (f"zip://*.dcm::s3://AKIA1:{SECRET}@b/a.zip", "zip://*.dcm::s3://b/a.zip"),
        ("zip://x::https://h/a.zip?token=abc", "zip://x::https://h/a.zip"),
        ("simplecache::ftp://u:p@h/x", "simplecache::ftp://h/x"),
        ("/data/a:b@c.dcm", "/data/a:b@c.dcm"),
        ("file:///data/a:b@c?d.dcm", "file:///data/a:b@c?d.dcm"),
    ],
)
def test_a_url_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert hide_credentials(url) == shown


def test_user_and_password_are_decoded() -> None:
    assert split_userinfo("ftp", "us%40er:p%2Fw@host/x") == (("us@er", "p/w"), "host/x")


def test_credentials_in_an_s3_url_go_to_its_options_and_nowhere_else() -> None:
    store, path = locate(f"s3://AKIA1:{SECRET}@bucket/a/x.dcm", {"endpoint_url": "http://e"})
    assert path == "bucket/a/x.dcm"
    assert dict(store.options) == {"key": "AKIA1", "secret": SECRET, "endpoint_url": "http://e"}
    assert store.origin(path) == "s3://bucket/a/x.dcm"
    assert SECRET not in repr(store)
    assert SECRET not in repr([store])
    outer, _ = locate("zip", {}, (store, path))
    assert SECRET not in repr(outer)
    assert outer.origin("x") == "zip://x::s3://bucket/a/x.dcm"


def test_credentials_in_an_ftp_url_go_to_its_options_and_nowhere_else() -> None:
    store, path = locate("ftp://user:p%40ss@host:2121/a/b#c?d.dcm", {})
    assert path == "/a/b#c?d.dcm"
    assert dict(store.options) == {
        "host": "host",
        "port": 2121,
        "username": "user",
        "password": "p@ss",
    }
    assert store.origin(path) == "ftp://host:2121/a/b#c?d.dcm"


def test_options_below_a_protocol_go_to_that_layer_only() -> None:
    options = {"s3": {"key": "k"}, "mode": "r"}
    inner = locate("s3://b/a.zip", options, outermost=False)
    store, _ = locate("zip", options, inner)
    assert dict(inner[0].options) == {"key": "k"}
    assert dict(store.options) == {"mode": "r"}


def test_a_port_that_is_no_number_is_told_without_the_password() -> None:
    with pytest.raises(InvalidOptionError, match="check its host and port") as error:
        locate("ftp://user:hush@host:port/x", {})
    assert "hush" not in str(error.value)


def test_an_unknown_protocol_is_told_with_the_closest() -> None:
    with pytest.raises(InvalidOptionError, match="did you mean 'memory'"):
        locate("memery://a", {})


def make_zip(
    path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED
) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def count_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
