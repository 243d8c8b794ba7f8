"""A catalogue tells what the files are now, and reads no more than it must."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dicomframe import (
    Catalog,
    CatalogError,
    InvalidOptionError,
    index_dicom,
    registry,
    scan_dicom,
)
from dicomframe.catalog.columns import DEFAULT_TAGS, FRAMES, SORT_COLUMNS
from dicomframe.catalog.place import CatalogPlace
from dicomframe.scan import walking
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import make_ct, real_files
from dicomframe.testing.trees import write_hostile_names

UNCHANGED = {"new": 0, "changed": 0, "vanished": 0}


@pytest.fixture
def archive(tmp_path):
    folder = tmp_path / "archive"
    write_archive(folder, files=300)
    return folder


def told(report, *names):
    return {name: getattr(report, name) for name in names or UNCHANGED}


def content(catalog, frame):
    """Return the rows of a frame without what tells when they were read, by origin."""
    table = Catalog(catalog).to_table(frame)
    return table.drop_columns(["run"]).sort_by("origin")


def check_like_new(catalog, path, tmp_path, **options):
    """Compare a catalogue with one that is made at once."""
    shutil.rmtree(tmp_path / "anew", ignore_errors=True)
    index_dicom(path, tmp_path / "anew", **options)
    for frame in FRAMES:
        assert content(catalog, frame).equals(content(tmp_path / "anew", frame))
    assert Catalog(catalog).counts == Catalog(tmp_path / "anew").counts


def files_of(catalog):
    return {path: path.stat().st_mtime_ns for path in Path(catalog).glob("*/**/*.*")}


def test_a_catalogue_holds_what_a_scan_tells(tmp_path, archive):
    report = index_dicom(archive, tmp_path / "catalog")
    whole = pa.Table.from_batches(scan_dicom(archive, pixels="none", tags=list(DEFAULT_TAGS)))
    catalog = Catalog(tmp_path / "catalog")
    for frame, mask in (
        ("dicom", pc.is_null(whole["reason"])),
        ("corrupt", pc.is_valid(whole["reason"])),
    ):
        rows = catalog.to_table(frame)
        own = [name for name in rows.column_names if name in whole.column_names]
        expected = whole.filter(mask).select(own).sort_by("origin")
        assert rows.select(own).sort_by("origin").cast(expected.schema).equals(expected)
        for row in rows.select(["origin", "size", "modified", "run"]).to_pylist():
            status = Path(row["origin"].removeprefix("file://")).stat()
            assert row["size"] == status.st_size
            assert row["modified"].timestamp() == pytest.approx(status.st_mtime, abs=1e-5)
            assert row["run"] == 1
    assert told(report, "new", "state", "dicom", "corrupt") == {
        "new": 300, "state": 1, "dicom": 299, "corrupt": {"truncated": 1},
    }  # fmt: skip
    assert report.bytes_read > 300 * 2000
    assert catalog.counts == {"files": 300, "dicom": 299, "corrupt": {"truncated": 1}}


def test_a_run_that_changes_nothing_writes_nothing(tmp_path, archive):
    index_dicom(archive, tmp_path / "catalog")
    before = files_of(tmp_path / "catalog")
    report = index_dicom(archive, tmp_path / "catalog")
    assert told(report, *UNCHANGED, "unchanged", "state", "bytes_read", "dicom") == {
        **UNCHANGED, "unchanged": 300, "state": 1, "bytes_read": 0, "dicom": 299,
    }  # fmt: skip
    assert files_of(tmp_path / "catalog") == before


def test_a_second_run_reads_new_and_changed_files_and_drops_vanished_ones(tmp_path, archive):
    index_dicom(archive, tmp_path / "catalog")
    paths = sorted(archive.rglob("*.dcm"))
    paths[0].unlink()
    paths[1].write_bytes(make_ct(7))
    paths[2].write_bytes(b"no longer")
    os.utime(paths[3], (1, 1))  # as long as before
    (archive / "more.dcm").write_bytes(make_ct(8))
    kept = files_of(tmp_path / "catalog")
    report = index_dicom(archive, tmp_path / "catalog")
    assert told(report) == {"new": 1, "changed": 3, "vanished": 1}
    assert report.unchanged == 296
    assert report.state == 2
    assert report.bytes_read < 5 * 8000
    assert kept.items() <= files_of(tmp_path / "catalog").items()
    check_like_new(tmp_path / "catalog", archive, tmp_path)
    runs = Catalog(tmp_path / "catalog").to_table("dicom", ["run"])["run"]
    assert pc.sum(pc.equal(runs, 2)).as_py() == 3


def test_all_files_may_vanish_and_come_back(tmp_path, archive):
    index_dicom(archive, tmp_path / "catalog")
    archive.rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        index_dicom(archive, tmp_path / "catalog")
    archive.mkdir()
    assert index_dicom(archive, tmp_path / "catalog").vanished == 300
    assert Catalog(tmp_path / "catalog").to_table("dicom").num_rows == 0
    archive.rmdir()
    (tmp_path / "away").rename(archive)
    assert index_dicom(archive, tmp_path / "catalog").new == 300
    check_like_new(tmp_path / "catalog", archive, tmp_path)


def test_an_empty_folder_makes_a_catalogue_with_schemas(tmp_path):
    (tmp_path / "empty").mkdir()
    assert index_dicom(tmp_path / "empty", tmp_path / "catalog").state == 1
    catalog = Catalog(tmp_path / "catalog")
    assert catalog.to_table("dicom").schema == catalog.schema("dicom")
    assert set(DEFAULT_TAGS) < set(catalog.schema("dicom").names)


def test_a_catalogue_grows_folder_by_folder(tmp_path, archive):
    one, two = archive / "PAT00001", archive / "PAT00002"
    catalog = tmp_path / "catalog"
    first = index_dicom(one, catalog)
    second = index_dicom(two, catalog)
    assert second.vanished == 0
    assert Catalog(catalog).counts["files"] == first.new + second.new
    shutil.rmtree(two / "STUDY1")
    assert index_dicom(one, catalog).vanished == 0
    assert index_dicom([one, two], catalog).vanished > 0
    check_like_new(catalog, [one, two], tmp_path)


@pytest.mark.parametrize("glob", ["PAT0000[12]", "PAT*", "PAT*/**/SERIES1", "**/IM00001.dcm"])
def test_a_glob_speaks_for_what_it_matches_alone(tmp_path, archive, glob):
    (archive / "outside").mkdir()
    (archive / "outside" / "notes.txt").write_bytes(b"notes")
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog)
    assert told(index_dicom(f"{archive}/{glob}", catalog)) == UNCHANGED
    lost = min(archive.glob(glob))
    count = sum(path.is_file() for path in [lost, *lost.rglob("*")])
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    (archive / "outside" / "notes.txt").unlink()
    assert index_dicom(f"{archive}/{glob}", catalog).vanished == count
    assert Catalog(catalog).counts["files"] == 301 - count
    assert index_dicom(archive, catalog).vanished == 1
    check_like_new(catalog, archive, tmp_path)


def test_patterns_leave_rows_of_other_files_as_they_are(tmp_path, archive):
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog)
    for path in [*archive.rglob("IM00001.dcm"), *archive.rglob("IM00002.dcm")]:
        path.unlink()
    count = Catalog(catalog).counts["files"]
    first = index_dicom(archive, catalog, include="IM00001.dcm")
    assert first.vanished > 0
    assert first.unchanged == 0
    assert Catalog(catalog).counts["files"] == count - first.vanished
    assert index_dicom(archive, catalog, exclude="IM00002.dcm").vanished == 0
    assert index_dicom(archive, catalog).vanished > 0
    check_like_new(catalog, archive, tmp_path)


def test_files_in_a_folder_that_cannot_be_listed_have_not_vanished(tmp_path, archive, monkeypatch):
    """The fault is mocked: the owner of the machine may list everything."""
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog)
    before = content(catalog, "dicom")
    closed = os.fsencode(archive / "PAT00001")
    real = os.scandir

    def mock_scandir(path):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(walking.os, "scandir", mock_scandir)
        report = index_dicom(archive, catalog)
        assert told(report) == {"new": 1, "changed": 0, "vanished": 0}
        assert report.corrupt["unreadable"] == 1
        assert content(catalog, "dicom").equals(before)
        assert told(index_dicom(archive, catalog)) == UNCHANGED
    assert told(index_dicom(archive, catalog)) == {"new": 0, "changed": 0, "vanished": 1}
    check_like_new(catalog, archive, tmp_path)


def test_a_file_that_could_not_be_read_is_tried_again(tmp_path, archive, monkeypatch):
    """The fault is mocked: the owner of the machine may read everything."""
    catalog = tmp_path / "catalog"
    closed = os.fsencode(next(archive.rglob("IM00005.dcm")))
    real = os.open

    def mock_open(path, *rest, **options):
        if path == closed:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", mock_open)
        assert index_dicom(archive, catalog).corrupt["unreadable"] == 1
        before = files_of(catalog)
        for npartitions in (None, 3):
            again = index_dicom(archive, catalog, npartitions=npartitions)
            assert told(again, "changed", "state") == {"changed": 1, "state": 1}
            assert files_of(catalog) == before
    assert told(index_dicom(archive, catalog), "changed", "state") == {"changed": 1, "state": 2}
    check_like_new(catalog, archive, tmp_path)


def test_hostile_names_are_known_again(tmp_path):
    write_hostile_names(tmp_path / "names")
    count = index_dicom(tmp_path / "names", tmp_path / "catalog").new
    assert count > 25
    assert index_dicom(tmp_path / "names", tmp_path / "catalog").unchanged == count
    shutil.rmtree(tmp_path / "names" / "_temporary")
    assert index_dicom(tmp_path / "names", tmp_path / "catalog").vanished == count


def write_zip(path, numbers, *, broken=False):
    with zipfile.ZipFile(path, "w") as archive:
        for number in numbers:
            archive.writestr(f"a::b/{number}.dcm", make_ct(number))
        if broken:
            archive.writestr("broken.dcm", b"nothing")


@pytest.mark.parametrize("others", [0, 100], ids=["listed", "opened by a task"])
def test_members_of_an_archive_belong_to_it(tmp_path, others):
    folder, catalog = tmp_path / "files", tmp_path / "catalog"
    folder.mkdir()
    for number in range(others):
        (folder / f"{number}.txt").write_bytes(b"a")
    name = folder / "50%25.zip"
    write_zip(name, range(5), broken=True)
    write_zip(folder / "other.zip", range(2))
    report = index_dicom(folder, catalog, npartitions=3)
    assert report.new == others + 2
    assert report.dicom == 7
    rows = Catalog(catalog).to_table("dicom").to_pylist()
    container = f"file://{folder}/50%2525.zip"
    assert {row["container"] for row in rows if name.stem in row["origin"]} == {container}
    assert {row["size"] for row in rows if row["container"] == container} == {name.stat().st_size}
    assert index_dicom(folder, catalog).unchanged == others + 2
    write_zip(name, range(3, 6))
    report = index_dicom(folder, catalog)
    assert told(report) == {"new": 0, "changed": 1, "vanished": 0}
    assert report.dicom == 5
    check_like_new(catalog, folder, tmp_path)
    name.unlink()
    assert index_dicom(folder, catalog).vanished == 1
    check_like_new(catalog, folder, tmp_path)


def test_the_catalogue_may_lie_below_the_path(tmp_path, archive):
    for _ in range(3):
        report = index_dicom(tmp_path, archive / "catalog")
        assert report.new + report.unchanged == 300


def test_a_manifest_makes_nothing_vanish(tmp_path, archive):
    paths = [str(path) for path in sorted(archive.rglob("*.dcm"))]
    catalog = tmp_path / "catalog"
    assert index_dicom(pa.table({"origin": paths[:10]}), catalog).new == 10
    report = index_dicom(pa.table({"origin": paths[5:20]}), catalog)
    assert told(report) == {"new": 10, "changed": 0, "vanished": 0}


def test_tags_are_chosen_once(tmp_path, archive):
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog, tags={"Kind": "Modality", "age": "PatientAge"})
    assert Catalog(catalog).tags == {"Kind": "Modality", "age": "PatientAge"}
    assert index_dicom(archive, catalog).unchanged == 300
    assert index_dicom(archive, catalog, tags={"Kind": "00080060", "age": "PatientAge"}).state == 1
    with pytest.raises(InvalidOptionError, match="the tags 'Kind', 'age' for good"):
        index_dicom(archive, catalog, tags=["Modality"])
    with pytest.raises(ValueError, match="two columns would be named 'run'"):
        index_dicom(archive, tmp_path / "other", tags={"run": "Modality"})


def test_what_is_no_catalogue_is_refused(tmp_path, archive):
    with pytest.raises(InvalidOptionError, match="is no catalogue"):
        index_dicom(archive, archive / "PAT00001")
    with pytest.raises(InvalidOptionError, match="must be a folder"):
        index_dicom(archive, "zip://a::file:///b")
    with pytest.raises(TypeError, match="no option 'session' without an engine"):
        index_dicom(archive, tmp_path / "catalog", session=1)
    with pytest.raises(FileNotFoundError, match="dicomframe index PATH CATALOG"):
        Catalog(tmp_path / "nothing")


def test_many_small_runs_leave_few_parts_and_no_dead_rows_for_long(tmp_path, archive):
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog)
    paths = sorted(archive.rglob("*.dcm"))
    for number in range(40):
        for path in paths[number * 7 : number * 7 + 7]:
            os.utime(path, (number, number))
        assert index_dicom(archive, catalog).changed == 7
        held = Catalog(catalog)
        assert held.to_table("dicom").num_rows == held.counts["dicom"] == 299
        assert len(held.parts("dicom")) <= 9
        rows = sum(pq.read_metadata(part).num_rows for part in held.parts("dicom"))
        assert rows <= 2 * 299
    check_like_new(catalog, archive, tmp_path)


def test_a_filter_skips_row_groups(tmp_path):
    write_archive(tmp_path / "archive", files=6000)
    index_dicom(tmp_path / "archive", tmp_path / "catalog")
    catalog = Catalog(tmp_path / "catalog")
    names = [name for name in SORT_COLUMNS if name in catalog.schema("dicom").names]
    groups = []
    for part in catalog.parts("dicom"):
        file = pq.ParquetFile(part)
        table = file.read(columns=names)
        assert table.equals(table.sort_by([(name, "ascending") for name in names]))
        at = file.schema_arrow.get_field_index("StudyDate")
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            assert group.num_rows <= 1024
            groups.append(group.column(at).statistics)
    days = catalog.to_table("dicom", ["StudyDate"])["StudyDate"]
    day = days[len(days) // 2].as_py()
    met = [each for each in groups if each.min <= day <= each.max]
    assert len(groups) >= 6
    assert len(met) <= 2


def test_a_second_run_at_the_same_time_is_told_so(tmp_path, archive):
    catalog = tmp_path / "catalog"
    index_dicom(archive, catalog)
    with CatalogPlace.at(catalog).lock(), pytest.raises(CatalogError, match="another run"):
        index_dicom(archive, catalog)
    assert index_dicom(archive, catalog).unchanged == 300


def test_a_catalogue_can_lie_in_any_file_system(tmp_path, archive, request):
    import fsspec

    url = f"memory://{request.node.name}"
    index_dicom(archive, url)
    next(archive.rglob("*.dcm")).unlink()
    report = index_dicom(archive, url)
    assert told(report) == {"new": 0, "changed": 0, "vanished": 1}
    catalog = Catalog(url)
    assert all(fsspec.open(part) for part in catalog.parts("dicom"))
    check_like_new(url, archive, tmp_path)


def test_files_may_lie_in_any_file_system(tmp_path, request):
    import fsspec

    store = fsspec.filesystem("memory")
    url = f"memory://{request.node.name}"
    for number in range(5):
        store.pipe(f"{url}/{number}.dcm", make_ct(number))
    index_dicom(url, tmp_path / "catalog")
    assert index_dicom(url, tmp_path / "catalog").unchanged == 5
    store.pipe(f"{url}/3.dcm", make_ct(9))
    assert told(index_dicom(url, tmp_path / "catalog")) == {**UNCHANGED, "changed": 1}


def test_processes_do_not_run_the_script_again(tmp_path):
    write_archive(tmp_path / "archive", files=2500)
    script = tmp_path / "script.py"
    script.write_text(
        "from dicomframe import index_dicom\n"
        f"print(index_dicom({str(tmp_path / 'archive')!r}, {str(tmp_path / 'catalog')!r}))\n"
    )
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.stdout.startswith("2,500 new, 0 changed")
    assert run.stdout.count("\n") == 1
    assert not list((tmp_path / "catalog").glob("runs/*/*"))
    check_like_new(tmp_path / "catalog", tmp_path / "archive", tmp_path)


def test_real_files_and_progress(tmp_path):
    steps = []
    report = index_dicom(real_files(), tmp_path / "catalog", progress=steps.append, npartitions=4)
    reading = [step for step in steps if step.step == "reading"]
    assert [step.done for step in reading] == sorted(step.done for step in reading)
    assert reading[-1].done == reading[-1].total >= report.new
    assert any(step.step == "listing" and step.done == report.new for step in steps)
    assert report.dicom > 100


def test_no_engine_is_started_for_little_work(tmp_path, archive, monkeypatch):
    asked = []

    def mock_get_backend(name):
        asked.append(name)
        raise LookupError

    monkeypatch.setattr(registry, "check_engine_options", lambda *_, **__: None)
    monkeypatch.setattr(registry, "get_backend", mock_get_backend)
    assert index_dicom(archive, tmp_path / "catalog", engine="any").new == 300
    assert asked == []
    with pytest.raises(LookupError):
        index_dicom(archive, tmp_path / "other", engine="any", npartitions=2)
    assert asked == ["any"]
