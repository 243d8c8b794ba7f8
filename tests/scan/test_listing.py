"""What a path names, and how it is listed without opening a file."""

import os
import socket
import stat
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry
from fsspec.spec import AbstractFileSystem

from dicomframe.errors import InvalidOptionError
from dicomframe.scan.listing import Listing, list_files
from dicomframe.scan.locating import fetch_range
from dicomframe.scan.packing import FILES_SCHEMA
from dicomframe.scan.patterns import Selection
from dicomframe.scan.versions import version_of

SECRET = "wJalrXUtnFEMI/K7MDENG"


class FaultyListing(MemoryFileSystem):
    """Memory whose folders named `locked` cannot be listed: no real store does so on demand."""

    protocol = "faultylisting"
    cachable = False

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        stripped = path.removeprefix("faultylisting://").strip("/")
        return f"/{stripped}" if stripped else ""

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        if path.endswith("locked"):
            raise PermissionError(f"403 for https://key:{SECRET}@host{path}")
        return super().ls(path, detail=detail, **options)

    def info(self, path: str, **options: Any) -> Any:
        if path.endswith("forbidden"):
            raise RuntimeError(SECRET)
        return super().info(path, **options)


fsspec.register_implementation("faultylisting", FaultyListing, clobber=True)


def touch(*paths: Path, data: bytes = b"") -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def origins(listing: Listing) -> list[str]:
    files = listing.files.to_pydict()
    return [
        listing.stores[store].origin(path.decode("utf-8", "surrogateescape"))
        for store, path in zip(files["store"], files["path"], strict=True)
    ]


def names(listing: Listing, folder: Path | str) -> list[str]:
    """Return what is listed, told from `folder` on."""
    prefix = folder if isinstance(folder, str) else f"file://{folder}/"
    found = origins(listing)
    assert all(origin.startswith(prefix) for origin in found)
    return [origin.removeprefix(prefix) for origin in found]


def troubles(listing: Listing) -> dict[str, str]:
    """Return the trouble of each name that has one, by its last part."""
    pairs = zip(origins(listing), listing.files["trouble"].to_pylist(), strict=True)
    return {origin.rpartition("/")[2]: trouble for origin, trouble in pairs if trouble is not None}


def test_a_file_is_listed_with_its_size(tmp_path: Path) -> None:
    touch(tmp_path / "a.dcm", data=b"12345")
    listing = list_files(tmp_path / "a.dcm")
    assert listing.files.schema == FILES_SCHEMA
    (row,) = listing.files.to_pylist()
    path = os.fsencode(tmp_path / "a.dcm")
    assert row == {"store": 0, "path": path, "size": 5, "version": None, "trouble": None}


def test_a_folder_is_listed_whole_with_hidden_empty_and_odd_names_in_order(tmp_path: Path) -> None:
    wanted = [".hidden", "DICOMDIR", "_x", "a:b", "b/.c/d", "b/IM0", "notes.txt"]
    touch(*(tmp_path / name for name in wanted))
    (tmp_path / "no files").mkdir()
    assert names(list_files(tmp_path), tmp_path) == wanted


def test_an_empty_folder_is_an_empty_listing(tmp_path: Path) -> None:
    listing = list_files(tmp_path)
    assert listing.files.num_rows == 0
    assert listing.files.schema == FILES_SCHEMA
    assert len(listing.stores) == 1


@pytest.mark.parametrize(
    "name",
    ["[1].dcm", "*.dcm", "what?.dcm", "a::b.dcm", "zip::x.dcm", "#.dcm", "100%.dcm", "n\nl", "~"],
)
def test_an_existing_name_is_never_a_glob_nor_a_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / name, tmp_path / "1.dcm", tmp_path / "x.dcm")
    for path in (name, tmp_path / name, f"file://{tmp_path}/{name}"):
        assert names(list_files(path), tmp_path) == [name]


def test_names_that_are_not_utf8_are_listed_and_kept(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    for name in (b"\xff", b"caf\xe9"):
        touch(Path(os.fsdecode(folder + b"/" + name)))
    listing = list_files(tmp_path)
    assert listing.files["path"].to_pylist() == [folder + b"/caf\xe9", folder + b"/\xff"]
    assert names(listing, tmp_path) == ["caf%E9", "%FF"]
    assert names(list_files(Path(os.fsdecode(folder + b"/\xff"))), tmp_path) == ["%FF"]


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "a/x.dcm")
    monkeypatch.chdir(tmp_path / "a")
    for path in (".", "x.dcm", "./x.dcm", "../a", "..//a/./x.dcm", Path("x.dcm")):
        assert names(list_files(path), tmp_path) == ["a/x.dcm"]


def test_a_step_up_from_behind_a_link_leads_where_the_system_leads(tmp_path: Path) -> None:
    touch(tmp_path / "far/deep/x.dcm", tmp_path / "far/y.dcm", tmp_path / "y.dcm")
    (tmp_path / "link").symlink_to(tmp_path / "far/deep")
    origin = origins(list_files(f"{tmp_path}/link/../y.dcm"))[0]
    assert origin == f"file://{tmp_path}/link/../y.dcm"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "x.dcm")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert names(list_files("~/x.dcm"), tmp_path) == ["x.dcm"]
    assert names(list_files("~"), tmp_path) == ["x.dcm"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.dcm", [".h.dcm", "a.dcm", "b.dcm"]),
        ("?.dcm", ["a.dcm", "b.dcm"]),
        ("[!a].dcm", ["b.dcm"]),
        ("**/*.dcm", [".h.dcm", "a.dcm", "b.dcm", "d/.e/z.dcm", "d/y.dcm"]),
        ("**", [".h.dcm", "a.dcm", "b.dcm", "c.txt", "d/.e/z.dcm", "d/y.dcm"]),
        ("*/**/z.dcm", ["d/.e/z.dcm"]),
        ("d/**/**/z.dcm", ["d/.e/z.dcm"]),
        ("*/y.dcm", ["d/y.dcm"]),
        ("d*", ["d/.e/z.dcm", "d/y.dcm"]),
        ("*/.e", ["d/.e/z.dcm"]),
    ],
)
def test_a_glob_matches_hidden_names_too_and_lists_the_folders_that_it_matches(
    tmp_path: Path, memory: MemoryFileSystem, pattern: str, wanted: list[str]
) -> None:
    every = [".h.dcm", "a.dcm", "b.dcm", "c.txt", "d/.e/z.dcm", "d/y.dcm"]
    touch(*(tmp_path / name for name in every))
    memory.pipe({f"/t/{name}": b"" for name in every})
    with zipfile.ZipFile(tmp_path.parent / "glob.zip", "w") as archive:
        for name in every:
            archive.writestr(name, b"")
    assert names(list_files(f"{tmp_path}/{pattern}"), tmp_path) == wanted
    assert names(list_files(f"memory://t/{pattern}"), "memory://t/") == wanted
    within = [
        origin.partition("::")[0]
        for origin in origins(list_files(f"zip://{pattern}::{tmp_path.parent}/glob.zip"))
    ]
    assert within == [f"zip://{name}" for name in wanted]


def test_a_folder_named_like_a_glob_can_hold_one(tmp_path: Path) -> None:
    touch(tmp_path / "[1]/a.dcm", tmp_path / "1/b.dcm")
    assert names(list_files(f"{tmp_path}/[1]/*.dcm"), tmp_path) == ["[1]/a.dcm"]


@pytest.mark.parametrize(
    "path",
    ["gone", "gone/*", "*.gone", "[x]", "a.dcm/b", "a.dcm/*", "n\0l", "x" * 300, "**/*.gone"],
)
def test_what_does_not_exist_is_an_error_at_once(tmp_path: Path, path: str) -> None:
    touch(tmp_path / "a.dcm")
    with pytest.raises(FileNotFoundError):
        list_files([tmp_path, f"{tmp_path}/{path}"])


def test_what_does_not_exist_in_a_store_or_an_archive_is_an_error(
    tmp_path: Path, memory: MemoryFileSystem
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.dcm", b"")
    for path in (
        "memory://gone",
        "memory://gone/*",
        f"zip://gone::{tmp_path}/a.zip",
        f"zip://**::{tmp_path}/gone.zip",
        f"zip://**::{tmp_path}/*.gone",
        "zip://**::memory://gone.zip",
    ):
        with pytest.raises(FileNotFoundError, match="check its spelling"):
            list_files(path)


def test_the_error_shows_no_credentials(memory: MemoryFileSystem) -> None:
    with pytest.raises(FileNotFoundError) as error:
        list_files(f"zip://x::memory://gone.zip::https://u:{SECRET}@h/x?sig={SECRET}")
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("path", [[], (), "", [""]])
def test_nothing_asked_for_is_an_invalid_option(path: Any) -> None:
    with pytest.raises(InvalidOptionError, match="path must name"):
        list_files(path)


@pytest.mark.parametrize("path", [None, 3, b"a", ["a", 3], {"a"}])
def test_what_is_no_path_is_a_type_error(path: Any) -> None:
    with pytest.raises(TypeError, match="path must be a str"):
        list_files(path)


def test_an_unknown_protocol_is_an_invalid_option() -> None:
    with pytest.raises(InvalidOptionError, match="did you mean 'memory'"):
        list_files("memry://x")


def test_options_that_a_store_refuses_are_told_by_name_of_the_store_only(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.dcm", b"")
    with pytest.raises(InvalidOptionError, match="'zip' refuses its storage_options") as error:
        list_files(f"zip://**::{tmp_path}/a.zip", {"mode": SECRET})
    assert SECRET not in str(error.value)


def test_a_file_named_twice_is_listed_once_and_stores_are_kept_apart(
    tmp_path: Path, memory: MemoryFileSystem
) -> None:
    touch(tmp_path / "b.dcm", tmp_path / "a.dcm")
    memory.pipe("/m.dcm", b"")
    listing = list_files(
        [tmp_path / "b.dcm", "memory://m.dcm", str(tmp_path), f"{tmp_path}/*.dcm", "memory://m.dcm"]
    )
    assert origins(listing) == [
        f"file://{tmp_path}/a.dcm",
        f"file://{tmp_path}/b.dcm",
        "memory://m.dcm",
    ]
    assert listing.files["store"].to_pylist() == [0, 0, 1]


def test_special_files_are_rows_with_trouble_and_nothing_waits(tmp_path: Path) -> None:
    touch(tmp_path / "a.dcm")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{os.path.relpath(tmp_path)}/socket")  # an address is short
    (tmp_path / "device").symlink_to("/dev/null")
    listing = list_files(tmp_path)
    assert len(origins(listing)) == 4
    assert troubles(listing) == {
        "fifo": "is a FIFO, not a regular file",
        "socket": "is a socket, not a regular file",
        "device": "is a character device, not a regular file",
    }
    assert troubles(list_files(tmp_path / "fifo")) == {"fifo": "is a FIFO, not a regular file"}
    assert troubles(list_files(f"{tmp_path}/f*")) == {"fifo": "is a FIFO, not a regular file"}


def test_a_fifo_named_as_an_archive_is_trouble_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.zip")
    listing = list_files(f"zip://**::{tmp_path}/a.zip")
    assert listing.files["trouble"].to_pylist() == ["is a FIFO, not a regular file"]


def test_links_are_followed_and_bad_ones_are_rows_with_trouble(tmp_path: Path) -> None:
    touch(tmp_path / "far/x.dcm", data=b"123")
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").symlink_to(tmp_path / "far/x.dcm")
    (data / "folder").symlink_to(tmp_path / "far")
    (data / "dangling").symlink_to(tmp_path / "gone")
    (data / "itself").symlink_to(data / "itself")
    (data / "up").symlink_to(data)
    listing = list_files(data)
    assert names(listing, data) == ["dangling", "file", "folder/x.dcm", "itself", "up"]
    assert listing.files["size"].to_pylist() == [None, 3, 3, None, None]
    assert troubles(listing) == {
        "dangling": "is a link to nothing",
        "itself": "is a link that leads back to itself",
        "up": "is a folder that a link leads back to",
    }
    for name in ("dangling", "itself"):
        assert list(troubles(list_files(data / name))) == [name]


def test_a_loop_of_links_between_folders_ends(tmp_path: Path) -> None:
    for name in ("a", "b"):
        touch(tmp_path / name / "x.dcm")
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    files = names(list_files(tmp_path), tmp_path)
    assert files == ["a/b/a", "a/b/x.dcm", "a/x.dcm", "b/a/b", "b/a/x.dcm", "b/x.dcm"]
    matched = names(list_files(f"{tmp_path}/**/*.dcm"), tmp_path)
    assert matched == ["a/b/x.dcm", "a/x.dcm", "b/a/x.dcm", "b/x.dcm"]


def test_a_tree_deeper_than_any_path_ends_in_a_row_with_trouble(tmp_path: Path) -> None:
    top = Path.cwd()
    try:
        os.chdir(tmp_path)
        for _ in range(30):
            Path("d" * 200).mkdir()
            os.chdir("d" * 200)
    finally:
        os.chdir(top)
    (trouble,) = list_files(tmp_path).files["trouble"].to_pylist()
    assert "too long" in trouble


def test_unreadable_folders_are_rows_and_the_rest_is_listed(
    open_folder: Path, as_user: Callable[[], AbstractContextManager[None]]
) -> None:
    touch(open_folder / "a.dcm", open_folder / "locked/x.dcm", open_folder / "names only/y.dcm")
    (open_folder / "locked").chmod(0)
    (open_folder / "names only").chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
    with as_user():
        listing = list_files(open_folder)
        matched = list_files(f"{open_folder}/**/*.dcm")
        inside = list_files(open_folder / "locked/x.dcm")
        itself = list_files(open_folder / "locked")
    assert names(listing, open_folder) == ["a.dcm", "locked", "names only/y.dcm"]
    locked = "a folder that cannot be listed: permission denied"
    assert troubles(listing) == {"locked": locked, "y.dcm": "permission denied"}
    assert troubles(matched) == {"locked": locked, "y.dcm": "permission denied"}
    assert troubles(inside) == {"x.dcm": "permission denied"}
    assert troubles(itself) == {"locked": locked}


def test_listing_opens_no_file_and_so_an_unreadable_one_is_no_trouble(
    open_folder: Path, as_user: Callable[[], AbstractContextManager[None]]
) -> None:
    touch(open_folder / "a.dcm", data=b"1")
    (open_folder / "a.dcm").chmod(0)
    with as_user():
        listing = list_files(open_folder)
    assert listing.files["trouble"].to_pylist() == [None]


def test_a_store_is_walked_and_an_unreadable_folder_is_a_row(memory: MemoryFileSystem) -> None:
    memory.pipe({"/t/a.dcm": b"1", "/t/b/c d#.dcm": b"12", "/t/locked/x.dcm": b""})
    listing = list_files("faultylisting://t")
    found = origins(listing)
    assert [origin.rpartition("/t/")[2] for origin in found] == ["a.dcm", "b/c d#.dcm", "locked"]
    assert listing.files["size"].to_pylist() == [1, 2, None]
    assert troubles(listing) == {"locked": "a folder that cannot be listed: permission denied"}


def test_a_store_that_fails_at_its_root_is_a_row_without_what_it_said(
    memory: MemoryFileSystem,
) -> None:
    listing = list_files("faultylisting://forbidden")
    (trouble,) = listing.files["trouble"].to_pylist()
    assert trouble == "the file system failed with RuntimeError"


def test_a_store_is_listed_as_it_is_now(memory: MemoryFileSystem) -> None:
    memory.pipe("/t/a.dcm", b"1")
    assert list_files("memory://t").files.num_rows == 1
    memory.pipe("/t/b.dcm", b"1")
    assert list_files("memory://t").files.num_rows == 2
    assert origins(list_files("memory://t/b.dcm")) == ["memory://t/b.dcm"]


@pytest.mark.parametrize(
    "url", ["zip://**::{}", "zip://::{}", "zip://in::{}", "zip::{}", "zip:///in/::{}"]
)
def test_the_members_of_an_archive_are_listed(tmp_path: Path, url: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.mkdir("in/folder")
        archive.writestr("in/b/x.dcm", b"12")
        archive.writestr("in/a#.dcm", b"1")
    for path in (f"{tmp_path}/a.zip", f"file://{tmp_path}/a.zip"):
        listing = list_files(url.format(path))
        assert origins(listing) == [
            f"zip://in/a#.dcm::file://{tmp_path}/a.zip",
            f"zip://in/b/x.dcm::file://{tmp_path}/a.zip",
        ]
        assert listing.files["size"].to_pylist() == [1, 2]
        assert fetch_range(origins(listing)[1], 0, 2) == b"12"


def test_a_relative_archive_is_named_absolutely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.dcm", b"12")
    monkeypatch.chdir(tmp_path)
    assert origins(list_files("zip://x.dcm::a.zip")) == [f"zip://x.dcm::file://{tmp_path}/a.zip"]


def test_a_glob_of_archives_lists_the_members_of_each(
    tmp_path: Path, memory: MemoryFileSystem
) -> None:
    for name in ("a.zip", "b.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("x.dcm", b"12")
        memory.pipe(f"/t/{name}", (tmp_path / name).read_bytes())
    assert origins(list_files(f"zip://*::{tmp_path}/*.zip")) == [
        f"zip://x.dcm::file://{tmp_path}/a.zip",
        f"zip://x.dcm::file://{tmp_path}/b.zip",
    ]
    assert origins(list_files("zip://*::memory://t/*.zip"))[1] == "zip://x.dcm::memory://t/b.zip"


def test_an_archive_whose_name_holds_colons_is_found(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a::b [1].zip", "w") as archive:
        archive.writestr("c::d.dcm", b"12")
    listing = list_files(f"zip://**::{tmp_path}/a::b [1].zip")
    assert listing.files["path"].to_pylist() == [b"c::d.dcm"]
    assert fetch_range(origins(listing)[0], 0, 2) == b"12"


def test_an_archive_that_is_none_is_one_row_with_trouble(tmp_path: Path) -> None:
    touch(tmp_path / "a.zip", data=b"no archive")
    listing = list_files(f"zip://**::{tmp_path}/a.zip")
    assert listing.files["trouble"].to_pylist() == ["is no sound zip archive"]


def test_an_empty_archive_is_an_empty_listing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w"):
        pass
    assert list_files(f"zip://::{tmp_path}/a.zip").files.num_rows == 0


def test_an_encrypted_member_is_a_row_with_trouble(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x.dcm", b"12")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    listing = list_files(f"zip://::{tmp_path}/a.zip")
    assert troubles(listing) == {"a.zip": "is encrypted"}


def test_a_cached_store_is_listed_through(tmp_path: Path, memory: MemoryFileSystem) -> None:
    memory.pipe({"/t/a.dcm": b"1", "/t/b/c.dcm": b"1"})
    listing = list_files("simplecache::memory://t", {"cache_storage": str(tmp_path)})
    assert origins(listing) == ["simplecache::memory://t/a.dcm", "simplecache::memory://t/b/c.dcm"]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_web_server_is_listed(tmp_path: Path, web: str) -> None:
    touch(tmp_path / "t/a b#.dcm", tmp_path / "t/in/c.dcm", tmp_path / "t/d.txt", data=b"12")
    every = [f"{web}/t/a%20b%23.dcm", f"{web}/t/d.txt", f"{web}/t/in/c.dcm"]
    assert origins(list_files(f"{web}/t/")) == every
    assert origins(list_files(f"{web}/t")) == every
    assert origins(list_files(f"{web}/t/**/*.dcm")) == [every[0], every[2]]
    assert fetch_range(every[0], 0, 2) == b"12"
    with pytest.raises(FileNotFoundError):
        list_files(f"{web}/gone.dcm?token={SECRET}")


def test_a_listing_shows_no_name_and_no_credential(tmp_path: Path) -> None:
    touch(tmp_path / "a.dcm")
    assert repr(list_files(tmp_path)) == "Listing(stores=1, files=1)"


TREE = [".git/c", ".h.dcm", "CT/1/.x/a.dcm", "CT/1/a.dcm", "CT/notes.txt", "MR/b.dcm", "c.dcm"]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ([], [".*"], ["CT/1/a.dcm", "CT/notes.txt", "MR/b.dcm", "c.dcm"]),
        (["*.dcm"], [".*/"], [".h.dcm", "CT/1/a.dcm", "MR/b.dcm", "c.dcm"]),
        (["CT/**"], ["*.txt"], ["CT/1/.x/a.dcm", "CT/1/a.dcm"]),
        (["CT/*", "c.dcm"], [], ["CT/notes.txt", "c.dcm"]),
        (["*.nothing"], [], []),
    ],
)
def test_patterns_choose_files_below_a_folder_a_store_and_an_archive(
    tmp_path: Path,
    memory: MemoryFileSystem,
    include: list[str],
    exclude: list[str],
    wanted: list[str],
) -> None:
    folder = tmp_path / "CT" / ".t"  # what is above the folder counts for nothing
    touch(*(folder / name for name in TREE))
    memory.pipe({f"/CT/.t/{name}": b"" for name in TREE})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in TREE:
            archive.writestr(name, b"")
    chosen = Selection(include, exclude)
    assert names(list_files(folder, selection=chosen), folder) == wanted
    assert names(list_files(f"{tmp_path}/CT/.t/**", selection=chosen), folder) == wanted
    assert names(list_files(f"{tmp_path}/CT/.t/*", selection=chosen), folder) == wanted
    assert names(list_files("memory://CT/.t", selection=chosen), "memory://CT/.t/") == wanted
    assert names(list_files("memory://CT/.t/**/*", selection=chosen), "memory://CT/.t/") == wanted
    within = origins(list_files(f"zip://::{tmp_path}/a.zip", selection=chosen))
    assert [origin.partition("::")[0] for origin in within] == [f"zip://{name}" for name in wanted]


def test_patterns_choose_among_files_named_themselves_too(tmp_path: Path) -> None:
    touch(tmp_path / "a.dcm", tmp_path / "b.txt")
    paths = [tmp_path / "a.dcm", tmp_path / "b.txt"]
    assert names(list_files(paths, selection=Selection(["*.dcm"])), tmp_path) == ["a.dcm"]


def test_an_excluded_folder_is_not_entered_and_an_unreadable_one_is_a_row_whatever_is_included(
    open_folder: Path,
    as_user: Callable[[], AbstractContextManager[None]],
    memory: MemoryFileSystem,
) -> None:
    touch(open_folder / "a.dcm", open_folder / "locked/x.dcm")
    memory.pipe({"/t/a.dcm": b"", "/t/locked/x.dcm": b""})
    (open_folder / "locked").chmod(0)
    with as_user():
        for path in (open_folder, "faultylisting://t"):
            excluded = list_files(path, selection=Selection([], ["locked"]))
            included = list_files(path, selection=Selection(["*.dcm"]))
            assert excluded.files["trouble"].to_pylist() == [None]
            assert [name.rpartition("/")[2] for name in origins(included)] == ["a.dcm", "locked"]
            assert "cannot be listed" in troubles(included)["locked"]


def test_a_link_to_a_folder_above_is_a_row_only_if_it_is_wanted(tmp_path: Path) -> None:
    touch(tmp_path / "a/x.dcm")
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert names(list_files(tmp_path), tmp_path) == ["a/up", "a/x.dcm"]
    assert names(list_files(f"{tmp_path}/**/*.dcm"), tmp_path) == ["a/x.dcm"]


class FakeBuckets(AbstractFileSystem):
    """Flat keys without folders, as object stores have them: no real store is started here."""

    protocol = "gs"
    cachable = False
    keys: ClassVar[dict[str, bytes]] = {}
    calls: ClassVar[list[tuple[str, str]]] = []
    forbidden: ClassVar[str | None] = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("gs://").rstrip("/")

    def _entry(self, key: str) -> dict[str, Any]:
        return {"name": key, "type": "file", "size": len(self.keys[key]), "etag": f'"{key}"'}

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if path in self.keys:
            return self._entry(path)
        if any(key.startswith(f"{path}/") for key in self.keys):
            return {"name": path, "type": "directory", "size": 0}
        raise FileNotFoundError(path)

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        self.calls.append(("ls", path))
        if path == self.forbidden:
            raise PermissionError(SECRET)
        below = {key: key[len(path) + 1 :] for key in self.keys if key.startswith(f"{path}/")}
        found = [self._entry(key) for key, rest in below.items() if "/" not in rest.rstrip("/")]
        folders = {rest.partition("/")[0] for rest in below.values() if "/" in rest}
        return found + [
            {"name": f"{path}/{folder}", "type": "directory", "size": 0} for folder in folders
        ]

    def find(self, path: str, *options: Any, prefix: str = "", **more: Any) -> dict[str, Any]:
        self.calls.append(("find", f"{path}/{prefix}"))
        if self.forbidden and self.forbidden.startswith(f"{path}/{prefix}"):
            raise PermissionError(SECRET)
        return {key: self._entry(key) for key in self.keys if key.startswith(f"{path}/{prefix}")}


@pytest.fixture
def buckets(monkeypatch: pytest.MonkeyPatch) -> type[FakeBuckets]:
    monkeypatch.setitem(_registry, "gs", FakeBuckets)
    monkeypatch.setattr(FakeBuckets, "keys", {})
    monkeypatch.setattr(FakeBuckets, "calls", [])
    monkeypatch.setattr(FakeBuckets, "forbidden", None)
    return FakeBuckets


def test_an_object_store_is_listed_by_prefixes_with_versions(buckets: type[FakeBuckets]) -> None:
    for number in range(200):
        buckets.keys[f"b/{number:03}/x/a.dcm"] = b"1"
        buckets.keys[f"b/{number:03}/b.dcm"] = b"12"
    buckets.keys |= {"b/marker/": b"", "b/000/marker/": b"", "b/full/": b"1", "b/000/full/": b"1"}
    listing = list_files("gs://b")
    wanted = sorted(key for key in buckets.keys if "marker" not in key)
    assert listing.files["path"].to_pylist() == [key.encode() for key in wanted]
    assert listing.files["version"].to_pylist() == [version_of(key) for key in wanted]
    assert buckets.calls[0] == ("ls", "b")
    assert {call for call, _ in buckets.calls[1:]} == {"find"}
    assert len(buckets.calls) < 210


def test_many_thousand_folders_are_listed_by_few_prefixes(buckets: type[FakeBuckets]) -> None:
    buckets.keys |= {f"b/1.2.840.{number:04}/a.dcm": b"1" for number in range(2000)}
    listing = list_files("gs://b")
    assert listing.files["path"].to_pylist() == [key.encode() for key in sorted(buckets.keys)]
    assert 64 < len(buckets.calls) < 300


@pytest.mark.parametrize("pattern", ["**", "**/*", "**/*.dcm", "d/**/*.dcm", "d/**"])
def test_two_stars_find_keys_with_empty_names_in_them(
    buckets: type[FakeBuckets], pattern: str
) -> None:
    buckets.keys |= dict.fromkeys(["b/d//y.dcm", "b/d/x.dcm", "b/d///z.dcm", "b/d/e//w.dcm"], b"1")
    assert names(list_files(f"gs://b/{pattern}"), "gs://b/d/") == [
        *("//z.dcm", "/y.dcm", "e//w.dcm", "x.dcm")
    ]


def test_a_forbidden_prefix_is_a_row_and_the_rest_is_listed(buckets: type[FakeBuckets]) -> None:
    for number in range(70):
        buckets.keys |= {f"b/{number:02}/x/a.dcm": b"1", f"b/{number:02}/y/b.dcm": b"1"}
    buckets.forbidden = "b/07/y"
    listing = list_files("gs://b")
    assert troubles(listing) == {"y": "a folder that cannot be listed: permission denied"}
    assert listing.file_count == 140
    everywhere = list_files("gs://b/**/*.dcm")
    assert troubles(everywhere) == troubles(listing)


def test_an_excluded_prefix_is_not_listed(buckets: type[FakeBuckets]) -> None:
    for number in range(70):
        buckets.keys |= {f"b/{number:02}/x/a.dcm": b"1", f"b/{number:02}/.y/b.dcm": b"1"}
    listing = list_files("gs://b", selection=Selection([], ["0?", ".*"]))
    assert names(listing, "gs://b/") == [f"{number}/x/a.dcm" for number in range(10, 70)]
    assert not any("/0" in path for _, path in buckets.calls)


def test_times_are_listed_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    os.utime(folder / "a", ns=(0, 1_500_000_123_456_789))
    (tmp_path / "link").symlink_to(folder / "a")
    assert "modified" not in list_files(folder).files.column_names
    for path in (folder, folder / "a", tmp_path / "link", f"{folder}/*"):
        (time,) = list_files(path, with_times=True).files["modified"].cast("int64").to_pylist()
        assert time == 1_500_000_123_456
    (folder / "nothing").symlink_to(tmp_path / "nowhere")
    assert list_files(folder, with_times=True).files["modified"].null_count == 1


def test_a_listing_tells_where_it_looked(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"b")
    listing = list_files([tmp_path, tmp_path / "a" / "b", f"{tmp_path}/*/b"])
    assert [(root.path, root.base, root.is_glob) for root in listing.roots] == [
        (str(tmp_path), str(tmp_path), False),
        (f"{tmp_path}/a/b", f"{tmp_path}/a", False),
        (f"{tmp_path}/*/b", str(tmp_path), True),
    ]
