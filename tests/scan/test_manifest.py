"""Lists of URLs in place of a listing."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe import Manifest, scan_dicom
from dicomframe.errors import InvalidOptionError
from dicomframe.scan.listing import Listing, list_files
from dicomframe.scan.manifest import list_manifest
from dicomframe.scan.patterns import Selection
from dicomframe.scan.versions import version_of
from dicomframe.testing.samples import make_ct

SECRET = "wJalrXUtnFEMI/K7MDENG"
ODD_NAMES = [
    "a b.dcm",
    "100%.dcm",
    "caf%E9.dcm",
    "%25.dcm",
    "a::b.dcm",
    "zip::x",
    "a@b.dcm",
    "#?*[1]",
]


def origins(listing: Listing) -> list[str]:
    files = listing.files.to_pydict()
    return [
        listing.stores[store].origin(path.decode("utf-8", "surrogateescape"))
        for store, path in zip(files["store"], files["path"], strict=True)
    ]


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


URLS = ["s3://bucket/b.dcm", "s3://bucket/a//x.dcm", "file:///data/c.dcm", "hdfs://host:9000/d.dcm"]


def test_an_arrow_table_names_files_of_several_stores_and_nothing_is_looked_up() -> None:
    listing = list_manifest(table(origin=URLS, size=[1, 2, None, 4]), {"hdfs": {}, "s3": {}})
    assert sorted(zip(origins(listing), listing.files["size"].to_pylist(), strict=True)) == [
        ("file:///data/c.dcm", None),
        ("hdfs://host:9000/d.dcm", 4),
        ("s3://bucket/a//x.dcm", 2),
        ("s3://bucket/b.dcm", 1),
    ]
    assert listing.files["version"].null_count == 4
    assert listing.files["trouble"].null_count == 4


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
)
def test_strings_of_any_arrow_type_are_urls(kind: pa.DataType) -> None:
    column = (
        pa.array(URLS[:2]).cast(kind)
        if "dict" not in str(kind)
        else (pa.array(URLS[:2]).dictionary_encode())
    )
    assert len(origins(list_manifest(table(x=column)))) == 2


def test_whatever_exports_an_arrow_stream_is_a_table() -> None:
    class Frame:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table(origin=URLS[:1]).__arrow_c_stream__(requested_schema)

    assert origins(list_manifest(Frame())) == URLS[:1]
    assert origins(list_manifest(Manifest(Frame()))) == URLS[:1]


def test_columns_are_named_or_follow_from_their_names_and_types() -> None:
    both = table(url=URLS[:1], note=["x"], bytes=[7], tag=['"e"'])
    manifest = Manifest(both, origin_column="url", size_column="bytes", etag_column="tag")
    (row,) = list_manifest(manifest).files.to_pylist()
    assert (row["size"], row["version"]) == (7, version_of("e"))
    (row,) = list_manifest(table(note=["x"], origin=URLS[:1], etag=["e"])).files.to_pylist()
    assert row["version"] == version_of("e")
    (row,) = list_manifest(table(anything=URLS[:1], size=[3])).files.to_pylist()
    assert row["size"] == 3
    with pytest.raises(InvalidOptionError, match="a column 'origin' or only one of strings"):
        list_manifest(both)
    with pytest.raises(InvalidOptionError, match="found no 'nope' among 'url', 'note'"):
        list_manifest(Manifest(both, origin_column="nope"))


@pytest.mark.parametrize(
    ("sizes", "wanted"),
    [
        (pa.array([5.0, float("nan")]), [5, None]),
        (pa.array(["5", ""]), [5, None]),
        (pa.array([5, -1]), [5, None]),
        (pa.array([5, None], pa.uint16()), [5, None]),
    ],
)
def test_sizes_of_any_type_are_whole_numbers_or_null(sizes: pa.Array, wanted: list[Any]) -> None:
    listing = list_manifest(table(origin=sorted(URLS[:2]), size=sizes))
    assert listing.files["size"].to_pylist() == wanted


def test_sizes_that_are_no_numbers_are_an_invalid_option() -> None:
    with pytest.raises(InvalidOptionError, match="sizes of a manifest must be whole numbers"):
        list_manifest(table(origin=URLS[:1], size=[[1]]))


@pytest.mark.parametrize(
    "ending", [".parquet", ".csv", ".csv.gz", ".txt", ".txt.gz", ".txt.zst", ""]
)
def test_a_manifest_file_is_read_by_its_name(
    tmp_path: Path, memory: MemoryFileSystem, ending: str
) -> None:
    path = tmp_path / f"list{ending}"
    rows = table(origin=[*URLS, URLS[0]], size=[1, 2, 3, 4, 1], etag=["e", "f", "g", "h", "e"])
    if ending == ".parquet":
        pa.parquet.write_table(rows, path)
    elif ".csv" in ending:
        with (
            pa.CompressedOutputStream(str(path), "gzip") if "gz" in ending else path.open("wb") as f
        ):
            pa.csv.write_csv(rows, f)
    else:
        text = "\n".join(rows["origin"].to_pylist()).encode()
        packed = {
            ".gz": gzip.compress,
            ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
        }
        path.write_bytes(packed.get(path.suffix, bytes)(text))
    memory.pipe(f"/m/{path.name}", path.read_bytes())
    for source in (path, str(path), f"file://{path}", f"memory://m/{path.name}", f"{tmp_path}/l*"):
        listing = list_manifest(Manifest(source))
        assert sorted(origins(listing)) == sorted(URLS)
        has_columns = "csv" in ending or "parquet" in ending
        assert listing.files["size"].null_count == (0 if has_columns else 4)
        assert listing.files["version"].null_count == (0 if has_columns else 4)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("s3://b/x.dcm,5,e\n/data/y.dcm,,\n", [5, None]),
        ('"s3://b/x.dcm"\n"/data/y.dcm"\n', [None, None]),
        ("size,origin\r\n5,s3://b/x.dcm\r\n,/data/y.dcm\r\n", [5, None]),
        ("number,url\n1,s3://b/x.dcm\n2,/data/y.dcm\n", [None, None]),
    ],
)
def test_a_csv_file_may_have_a_header(tmp_path: Path, text: str, sizes: list[Any]) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode())
    listing = list_manifest(Manifest(tmp_path / "list.csv"))
    assert origins(listing) == ["file:///data/y.dcm", "s3://b/x.dcm"]
    assert listing.files["size"].to_pylist() == sizes[::-1]


def test_lines_of_text_may_end_in_any_way_and_be_blank(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"\ns3://b/x.dcm\r\n  \n/data/y y.dcm")
    assert origins(list_manifest(Manifest(tmp_path / "list"))) == [
        "file:///data/y y.dcm",
        "s3://b/x.dcm",
    ]


def test_what_dicomframe_wrote_can_be_read_again(tmp_path: Path, memory: MemoryFileSystem) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number, name in enumerate([*ODD_NAMES, *map(os.fsdecode, (b"caf\xe9", b"%\xff"))]):
        (folder / name).write_bytes(make_ct(number) if number % 2 else b"no image")
        if number < len(ODD_NAMES):
            memory.pipe(f"/m/{name}", (folder / name).read_bytes())
    with zipfile.ZipFile(tmp_path / "a::[1].zip", "w") as archive:
        for name in ODD_NAMES:
            archive.writestr(f"in/{name}", b"no image")
    paths = [str(folder), "memory://m", f"zip://**::{tmp_path}/a::[1].zip"]
    first = pa.Table.from_batches(scan_dicom(paths, pixels="none"))
    again = pa.Table.from_batches(scan_dicom(first, pixels="none"))
    by_origin = [("origin", "ascending")]
    assert again.sort_by(by_origin).equals(first.sort_by(by_origin))
    corrupt = first.filter(pc.is_valid(first["reason"]))
    pa.parquet.write_table(corrupt, tmp_path / "corrupt.parquet")
    pa.csv.write_csv(corrupt.select(["origin", "reason"]), tmp_path / "corrupt.csv")
    for manifest in (Manifest(tmp_path / "corrupt.parquet"), Manifest(tmp_path / "corrupt.csv")):
        once_more = pa.Table.from_batches(scan_dicom(manifest, pixels="none"))
        assert sorted(once_more["origin"].to_pylist()) == sorted(corrupt["origin"].to_pylist())
        assert set(once_more["reason"].to_pylist()) == {"not_dicom"}


def test_a_folder_of_parts_is_one_manifest(tmp_path: Path) -> None:
    for number, url in enumerate(URLS):
        pa.parquet.write_table(table(origin=[url]), tmp_path / f"part-{number}.parquet")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".part-0.parquet.crc").write_bytes(b"x")
    assert sorted(origins(list_manifest(Manifest(tmp_path)))) == sorted(URLS)


def test_a_missing_file_is_a_row_and_a_missing_manifest_an_error(tmp_path: Path) -> None:
    (batch,) = scan_dicom(table(origin=[f"file://{tmp_path}/gone.dcm"]), pixels="none")
    assert batch["reason"].to_pylist() == ["unreadable"]
    with pytest.raises(FileNotFoundError):
        list_manifest(Manifest(tmp_path / "gone.parquet"))


def test_an_empty_manifest_is_an_empty_listing(tmp_path: Path) -> None:
    (tmp_path / "list.txt").touch()
    listing = list_manifest(Manifest(tmp_path / "list.txt"))
    assert (listing.file_count, listing.files.num_rows) == (0, 0)
    (batch,) = scan_dicom(table(origin=pa.array([], pa.string())))
    assert batch.num_rows == 0


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "row 3 of the manifest holds no URL"),
        ("", "row 3 of the manifest holds no URL"),
        ("a.dcm", "row 3 of the manifest holds neither a URL of a file nor an absolute path"),
        ("s3://bucket", "row 3 of the manifest holds neither"),
        ("file://a.dcm/b", "row 3 of the manifest holds a file URL that is not absolute"),
        ("s4://bucket/x", "fsspec knows .*, found 's4'"),
        ("s4://u:p@bucket/x", "fsspec knows .*, found 's4'"),
    ],
)
def test_a_row_that_is_no_url_is_an_invalid_option(bad: str | None, message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message):
        list_manifest(table(origin=[*URLS[:2], bad, URLS[2]]))


def test_no_message_and_no_repr_shows_a_credential(tmp_path: Path) -> None:
    secret = f"s3://key:{SECRET}@bucket/list.parquet"
    assert SECRET not in repr(Manifest(secret))
    listing = list_manifest(table(origin=[f"s3://key:{SECRET}@bucket/x.dcm"]))
    assert origins(listing) == ["s3://bucket/x.dcm"]
    assert listing.stores[0].options["secret"] == SECRET
    for name in ("list.csv", "list.parquet", "manifest.json", "list.csv.gz", "list.txt"):
        (tmp_path / name).write_bytes(f'"{secret}\n\xff'.encode("latin-1"))
        with pytest.raises(InvalidOptionError, match=r"cannot be read|holds neither") as error:
            list_manifest(Manifest(tmp_path / name))
        assert SECRET not in str(error.value)


def test_patterns_see_the_whole_path_of_a_manifest_s_file() -> None:
    selection = Selection(["*.dcm"], ["bucket/a/", "data/"])
    assert origins(list_manifest(table(origin=URLS), {}, selection)) == [
        "hdfs://host:9000/d.dcm",
        "s3://bucket/b.dcm",
    ]


KEYS = ["ct/a b+c%.dcm", "ct/é.dcm", "ct/folder/", "old.dcm", "gone.dcm", "plain.dcm"]
INVENTORY = {
    "Bucket": ["images"] * 6,
    "Key": KEYS,
    "VersionId": ["v"] * 6,
    "IsLatest": ["true", "true", "true", "false", "true", "true"],
    "IsDeleteMarker": ["false", "false", "false", "false", "true", "false"],
    "Size": ["10", "20", "0", "30", "", "40"],
    "ETag": ["e1", "e2", "e3", "e4", "", "e6"],
}
PARQUET_NAMES = ["bucket", "key", "version_id", "is_latest", "is_delete_marker", "size", "e_tag"]


def write_inventory(folder: Path, data: Path, kind: str) -> Path:
    """Write an S3 Inventory as AWS documents it; return its manifest.json."""
    folder.mkdir(parents=True)
    data.mkdir(parents=True, exist_ok=True)
    name = {"CSV": "part.csv.gz", "Parquet": "part.parquet", "ORC": "part.orc"}[kind]
    rows = table(**INVENTORY)
    if kind == "CSV":
        lines = [
            ",".join(
                f'"{quote(text) if at == 1 else text}"' for at, text in enumerate(row.values())
            )
            for row in rows.to_pylist()
        ]
        (data / name).write_bytes(gzip.compress("\n".join(lines).encode()))
    else:
        rows = rows.rename_columns(PARQUET_NAMES)
        for column in ("is_latest", "is_delete_marker"):
            at = rows.column_names.index(column)
            rows = rows.set_column(at, column, pc.equal(rows[column], "true"))
        sizes = pc.if_else(pc.equal(rows["size"], ""), None, rows["size"]).cast(pa.int64())
        rows = rows.set_column(rows.column_names.index("size"), "size", sizes)
        if kind == "Parquet":
            pa.parquet.write_table(rows, data / name)
        else:
            orc = pytest.importorskip("pyarrow.orc")
            orc.write_table(rows, data / name)
    about = {
        "sourceBucket": "images",
        "destinationBucket": "arn:aws:s3:::reports",
        "fileFormat": kind,
        "fileSchema": ", ".join(INVENTORY),
        "files": [{"key": f"inventories/images/all/data/{name}", "size": 1}],
    }
    (folder / "manifest.json").write_text(json.dumps(about))
    return folder / "manifest.json"


@pytest.mark.parametrize("kind", ["CSV", "Parquet", "ORC"])
@pytest.mark.parametrize("place", ["../data", "data", "."])
def test_an_s3_inventory_names_the_newest_objects(tmp_path: Path, kind: str, place: str) -> None:
    folder = tmp_path / "2026-01-01T00-00Z"
    manifest = write_inventory(
        folder, folder / place if place != "../data" else tmp_path / "data", kind
    )
    listing = list_manifest(Manifest(manifest), {"anon": True})
    assert origins(listing) == [
        "s3://images/ct/a b+c%.dcm",
        "s3://images/ct/é.dcm",
        "s3://images/plain.dcm",
    ]
    assert listing.files["size"].to_pylist() == [10, 20, 40]
    versions = [version_of(etag) for etag in ("e1", "e2", "e6")]
    assert listing.files["version"].to_pylist() == versions
    assert dict(listing.stores[0].options) == {"anon": True}


def test_a_json_file_that_is_no_inventory_is_an_invalid_option(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text('["s3://b/x.dcm"]')
    with pytest.raises(InvalidOptionError, match=r"must be the manifest\.json of an S3 Inventory"):
        list_manifest(Manifest(tmp_path / "list.json"))
    manifest = write_inventory(tmp_path / "i", tmp_path / "elsewhere", "CSV")
    with pytest.raises(InvalidOptionError, match=r"names a data file 'part\.csv\.gz' that is not"):
        list_manifest(Manifest(manifest))


def test_the_same_files_give_the_same_plan_from_a_listing_and_from_a_manifest(
    tmp_path: Path,
) -> None:
    for name in ("b.dcm", "a.dcm"):
        (tmp_path / name).write_bytes(b"12")
    listing = list_files(tmp_path)
    manifest = table(origin=origins(listing)[::-1], size=[2, 2])
    assert list_manifest(manifest).files.equals(listing.files)
