"""The command line as a user meets it."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from archiving import make_tar
from commands import CONTROL, Run, assert_one_sentence, counts, run_on_terminal, run_process
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe import __version__, scan_dicom
from dicomframe.api import plan_read
from dicomframe.cli import scanning
from dicomframe.cli.demo import example_code, write_damaged_files
from dicomframe.cli.failures import explain
from dicomframe.cli.motors import Step, read_here
from dicomframe.cli.options import parse_storage_options
from dicomframe.cli.tables import format_bytes, format_seconds, make_printable, shorten_start
from dicomframe.scan import parquet
from dicomframe.testing.samples import make_ct, real_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three sound files, a truncated one and a text file."""
    files = tmp_path / "files"
    files.mkdir()
    for number in range(3):
        (files / f"{number}.dcm").write_bytes(make_ct(number))
    (files / "cut.dcm").write_bytes(make_ct()[:-100])
    (files / "notes.txt").write_text("notes")
    return files


@pytest.fixture
def sound_folder(folder: Path) -> Path:
    (folder / "cut.dcm").unlink()
    (folder / "notes.txt").unlink()
    return folder


# --- scan: what it counts -------------------------------------------------------------------


def test_scan_counts_what_the_library_reads(run: Run) -> None:
    table = pa.Table.from_batches(scan_dicom(real_files(), pixels="none"))
    reasons = table["reason"].drop_null().value_counts().to_pylist()
    ran = run("scan", real_files())
    assert ran.code == 0
    assert ran.err == ""
    found = counts(ran.out)
    assert found["files"] == table.num_rows
    assert found["dicom rows"] == table["reason"].null_count
    assert found["corrupt rows"] == table.num_rows - table["reason"].null_count
    for reason in reasons:
        assert found[reason["values"]] == reason["counts"]


def test_scan_tells_speed_and_bytes_read(run: Run, folder: Path) -> None:
    ran = run("scan", folder)
    assert re.search(r"^time +[\d.]+ s  [\d,]+ files/s$", ran.out, re.MULTILINE)
    assert re.search(r"^bytes read +[\d.]+ kB$", ran.out, re.MULTILINE)


def test_scan_reads_more_bytes_with_pixels(run: Run, tmp_path: Path) -> None:
    (tmp_path / "large.dcm").write_bytes(make_ct(rows=1024, columns=1024))
    assert " kB" in run("scan", tmp_path).out
    assert "2.1 MB" in run("scan", tmp_path, "--pixels", "bytes").out


def test_scan_names_one_file_for_each_reason(run: Run, folder: Path) -> None:
    out = run("scan", folder).out
    assert re.search(r"truncated +1  .*/cut\.dcm$", out, re.MULTILINE)
    assert re.search(r"not_dicom +1  .*/notes\.txt$", out, re.MULTILINE)


def test_scan_takes_several_paths(run: Run, folder: Path) -> None:
    ran = run("scan", folder / "0.dcm", folder / "1.dcm")
    assert counts(ran.out)["files"] == 2


def test_scan_reads_what_is_included_and_not_excluded(run: Run, folder: Path) -> None:
    (folder / ".hidden").mkdir()
    (folder / ".hidden/9.dcm").write_bytes(make_ct())
    assert counts(run("scan", folder).out)["files"] == 6
    assert counts(run("scan", folder, "--exclude", ".*", "--exclude", "*.txt").out)["files"] == 4
    assert counts(run("scan", folder, "--include", "?.dcm").out)["files"] == 4
    assert counts(run("scan", folder, "--include", ".hidden/*").out)["files"] == 1


def test_scan_reads_again_what_an_earlier_scan_found_corrupt(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("scan", folder, "--out", tmp_path / "frames")
    ran = run("scan", "--manifest", tmp_path / "frames/corrupt")
    assert ran.code == 0
    assert counts(ran.out)["files"] == counts(ran.out)["corrupt rows"] == 2


def test_scan_of_an_empty_folder_counts_nothing(run: Run, tmp_path: Path) -> None:
    ran = run("scan", tmp_path)
    assert ran.code == 0
    assert counts(ran.out)["files"] == 0


def test_strict_scan_exits_with_1_when_a_file_is_corrupt(run: Run, folder: Path) -> None:
    ran = run("scan", folder, "--strict")
    assert ran.code == 1
    assert_one_sentence(ran)
    assert "2 of 5 files are corrupt" in ran.err
    assert counts(ran.out)["files"] == 5


def test_strict_scan_exits_with_0_when_none_is(run: Run, sound_folder: Path) -> None:
    assert run("scan", sound_folder, "--strict") == replace(run("scan", sound_folder), out=ANY_TEXT)


class _AnyText(str):
    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str)


ANY_TEXT = _AnyText()


def test_names_cannot_command_the_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "\x1b[31m[red]notes\r").write_text("notes")
    ran = run("scan", tmp_path)
    assert "\x1b" not in ran.out
    assert "\r" not in ran.out
    assert "[red]notes" in ran.out


# --- scan: what it writes -------------------------------------------------------------------


def read_dataset(folder: Path) -> pa.Table:
    """Return a dataset with the schema of its first part, which all parts have."""
    parts = sorted(folder.iterdir())
    assert [part.name for part in parts] == [f"part-{i:05d}.parquet" for i in range(len(parts))]
    return pa.concat_tables([pq.ParquetFile(part).read() for part in parts])


@pytest.mark.parametrize("pixels", ["none", "reference", "bytes"])
def test_out_holds_both_frames_as_the_library_reads_them(
    run: Run, tmp_path: Path, pixels: str
) -> None:
    tags = ["PatientID", "SliceThickness", "ImageType", "StudyDate", "PatientAge"]
    out = tmp_path / "out"
    ran = run(
        *("scan", real_files(), "--out", out, "--pixels", pixels, "--warnings"),
        *("--tags", "PatientID,SliceThickness", "--tags", "ImageType, StudyDate,PatientAge"),
    )
    assert ran.code == 0
    plan = plan_read(real_files(), tags, pixels, warnings=True)
    table = pa.Table.from_batches(scan_dicom(real_files(), tags, pixels, warnings=True))
    is_sound = pc.is_null(table["reason"])
    dicom = table.filter(is_sound).select(plan.dicom_schema.names).cast(plan.dicom_schema)
    corrupt = table.filter(pc.invert(is_sound)).select(plan.corrupt_schema.names)
    assert read_dataset(out / "dicom").equals(dicom, check_metadata=False)
    assert read_dataset(out / "corrupt").equals(corrupt.cast(plan.corrupt_schema))
    assert f"wrote {out}/dicom: {dicom.num_rows} rows, 1 file, " in ran.out
    assert sorted(path.name for path in out.iterdir()) == ["corrupt", "dicom"]


def test_out_holds_both_datasets_even_without_rows(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "deep" / "out"
    assert run("scan", tmp_path / "empty", "--out", out, "--tags", "Rows").code == 0
    plan = plan_read(tmp_path / "empty", ["Rows"], "none")
    assert read_dataset(out / "dicom").equals(plan.dicom_schema.empty_table())
    assert read_dataset(out / "corrupt").equals(plan.corrupt_schema.empty_table())


def test_row_groups_and_parts_are_bounded(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 10)
    monkeypatch.setattr(parquet, "_PART_BYTES", 100_000)
    out = tmp_path / "out"
    assert run("scan", real_files(), "--out", out).code == 0
    parts = sorted((out / "dicom").iterdir())
    assert len(parts) > 1
    for part in parts:
        metadata = pq.ParquetFile(part).metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        assert max(sizes) <= 10
    table = pa.Table.from_batches(scan_dicom(real_files(), pixels="none"))
    expected = table.filter(pc.is_null(table["reason"]))["origin"]
    assert read_dataset(out / "dicom")["origin"].to_pylist() == expected.to_pylist()


def test_value_that_parquet_cannot_hold_is_null_and_told(
    run: Run, sound_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sound_folder / "large.dcm").write_bytes(make_ct(rows=64, columns=64))
    monkeypatch.setattr(parquet, "_MOST_VALUE_BYTES", 1000)
    out = tmp_path / "out"
    ran = run("scan", sound_folder, "--pixels", "bytes", "--out", out)
    assert "1 of its pixel_data are null" in ran.out
    lengths = pc.binary_length(read_dataset(out / "dicom")["pixel_data"]).to_pylist()
    assert lengths == [512, 512, 512, None]


def test_dataset_that_is_there_is_refused_before_anything_is_read(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    run("scan", folder / "0.dcm", "--out", tmp_path / "out")
    ran = run("scan", folder, "--out", tmp_path / "out")
    assert (ran.code, ran.out) == (2, "")
    assert_one_sentence(ran)
    assert "--overwrite" in ran.err
    assert read_dataset(tmp_path / "out" / "dicom").num_rows == 1


def test_overwrite_replaces_both_datasets(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("scan", folder / "0.dcm", "--out", out)
    assert run("scan", folder, "--out", out, "--overwrite").code == 0
    assert read_dataset(out / "dicom").num_rows == 3
    assert read_dataset(out / "corrupt").num_rows == 2
    assert sorted(path.name for path in out.iterdir()) == ["corrupt", "dicom"]


def test_overwrite_never_deletes_files_that_no_scan_wrote(run: Run, tmp_path: Path) -> None:
    images = tmp_path / "dicom"
    images.mkdir()
    (images / "0.dcm").write_bytes(make_ct())
    ran = run("scan", images, "--out", tmp_path, "--overwrite")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert (images / "0.dcm").read_bytes() == make_ct()
    assert list(tmp_path.iterdir()) == [images]


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 4), (OSError, 4)]
)
def test_run_that_fails_leaves_nothing_and_keeps_what_was_there(
    run: Run,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    code: int,
) -> None:
    def break_off(plan: Any) -> Iterator[Step]:
        yield next(read_here(plan))
        raise error

    run("scan", folder / "0.dcm", "--out", tmp_path / "old")
    monkeypatch.setattr(scanning, "read_here", break_off)
    assert run("scan", folder, "--out", tmp_path / "new").code == code
    assert not (tmp_path / "new").exists()
    assert run("scan", folder, "--out", tmp_path / "old", "--overwrite").code == code
    assert read_dataset(tmp_path / "old" / "dicom").num_rows == 1
    assert sorted(path.name for path in (tmp_path / "old").iterdir()) == ["corrupt", "dicom"]


def test_frames_that_do_not_add_up_are_not_written(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose_a_row(plan: Any) -> Iterator[Step]:
        for step in read_here(plan):
            yield step._replace(corrupt=step.corrupt.slice(1))

    monkeypatch.setattr(scanning, "read_here", lose_a_row)
    ran = run("scan", folder, "--out", tmp_path / "out", "--strict")
    assert ran.code == 3
    assert_one_sentence(ran)
    assert "4 rows and 5 files" in ran.err
    assert not (tmp_path / "out").exists()


def test_full_disk_is_one_sentence(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", fail)
    ran = run("scan", folder, "--out", tmp_path / "out")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert "no space left on device" in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["s3://bucket/frames", "file:///tmp/frames"])
def test_out_that_is_a_url_is_refused(run: Run, folder: Path, out: str) -> None:
    ran = run("scan", folder, "--out", out)
    assert ran.code == 2
    assert "must be a local folder" in ran.err


def test_out_that_is_a_file_is_refused(run: Run, folder: Path) -> None:
    ran = run("scan", folder, "--out", folder / "0.dcm")
    assert ran.code == 2
    assert_one_sentence(ran)


# --- what is not valid ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scan", "nowhere/at/all"], "does not exist"),
        (["scan", "nowhere/*.dcm"], "matches no file"),
        (["scan", "FOLDER", "--tags", "PatientAgee"], "'PatientAge'"),
        (["scan", "FOLDER", "--tags", "Rows,Rows"], "'Rows'"),
        (["scan", "FOLDER", "--pixels", "byts"], "'bytes'"),
        (["scan", "FOLDER", "--npartitions", "0"], "npartitions"),
        (["scan", "FOLDER", "--npartitions", "many"], "--npartitions"),
        (["scan", "FOLDER", "--engine", "spork"], "'spark'"),
        (["scan", "FOLDER", "--storage-option", "anon"], "KEY=VALUE"),
        (["scan", "FOLDER", "--storage-option", "port:=x"], "JSON"),
        (["scan", "FOLDER", "--strct"], "--strict"),
        (["scan"], "PATH"),
        (["scan", "FOLDER", "--manifest", "list.csv"], "--manifest"),
        (["scan", "--manifest", "nowhere.csv"], "does not exist"),
        (["scan", "FOLDER", "--include", ""], "include"),
        (["scna"], "'scna'"),
        (["demo", "--engine", "spork"], "'spork'"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    run: Run, folder: Path, arguments: list[str], says: str
) -> None:
    ran = run(*[str(folder) if each == "FOLDER" else each for each in arguments])
    assert (ran.code, ran.out) == (2, "")
    assert_one_sentence(ran)
    assert says in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["scan", "s3://KEY:SECRET@bucket/x", "--pixels", "byts"],
        ["scan", "gs://KEY:SECRET@bucket/x"],
        ["scan", "http://user:SECRET@127.0.0.1:9/x?signature=SECRET"],
        ["scan", "memory://x?signature=SECRET", "--engine", "spork"],
        ["scan", "FOLDER", "--storage-option", "SECRET"],
        ["scan", "FOLDER", "--storage-option", "token:=SECRET"],
        ["scan", "FOLDER", "--storage-option", "a=SECRET", "--storage-option", "a.b=SECRET"],
        ["scan", "FOLDER", "--storage-option", "token=SECRET", "--strict"],
        ["s3://KEY:SECRET@bucket/x"],
        ["engines", "s3://KEY:SECRET@bucket/x"],
    ],
)
def test_no_credential_is_ever_shown(run: Run, folder: Path, arguments: list[str]) -> None:
    ran = run(*[str(folder) if each == "FOLDER" else each for each in arguments])
    assert ran.code
    assert "SECRET" not in ran.err + ran.out


def test_unexpected_failure_shows_its_place_and_message(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "read_here", fail_with_a_secret)
    ran = run("scan", folder)
    assert ran.code == 4
    assert "in fail_with_a_secret" in ran.err
    assert "dicomframe: failed with RuntimeError: https://user:SECRET@host" in ran.err


def test_unexpected_failure_hides_its_message_where_credentials_were_given(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "read_here", fail_with_a_secret)
    for given in (["--storage-option", "password=SECRET"], ["--storage-option=password=SECRET"]):
        ran = run("scan", folder, *given)
        assert ran.code == 4
        assert "in fail_with_a_secret" in ran.err
        assert "SECRET" not in ran.err


@pytest.mark.parametrize("option", ["--storage-option", "--catalog-option", "--option"])
@pytest.mark.parametrize("form", ["{} password=SECRET", "{}=password=SECRET"])
def test_no_option_that_could_hold_a_credential_is_shown(
    capsys: pytest.CaptureFixture[str], option: str, form: str
) -> None:
    given = ["publish", "catalog", "url", *form.format(option).split()]
    assert explain(RuntimeError("login of user:SECRET failed"), given) == 4
    assert "SECRET" not in capsys.readouterr().err


def fail_with_a_secret(plan: object) -> Iterator[Step]:
    text = "https://user:" + "SECRET@host"
    raise RuntimeError(text)


# --- storage options ------------------------------------------------------------------------


def test_storage_options_are_text_booleans_json_and_nested() -> None:
    given = ["key=a=b", "anon=true", "ssl=false", "port:=22", "c.region=eu", "c.d.e:=[1]", "n=12"]
    assert parse_storage_options(given) == {
        "key": "a=b",
        "anon": True,
        "ssl": False,
        "port": 22,
        "c": {"region": "eu", "d": {"e": [1]}},
        "n": "12",
    }


class LockedFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """Refuse to connect without the right options."""

    protocol = "locked"
    cachable = False

    def __init__(self, *, token: str = "", port: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if (token, port) != ("1234", 22):
            raise PermissionError

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("locked://")))


def test_storage_options_reach_the_file_system(run: Run, tmp_path: Path) -> None:
    fsspec.register_implementation("locked", LockedFileSystem, clobber=True)
    fsspec.filesystem("memory").pipe("/cli/0.dcm", make_ct())
    locked = run("scan", "locked://cli/0.dcm")
    assert counts(locked.out).get("unreadable", 0) == 1
    opened = run(
        *("scan", "locked://cli/0.dcm"),
        *("--storage-option", "token=1234", "--storage-option", "port:=22"),
    )
    assert opened.err == ""
    assert counts(opened.out)["dicom rows"] == 1


# --- pipes and terminals --------------------------------------------------------------------


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
def test_pipe_gets_no_bar_and_no_control_character(
    folder: Path, environment: dict[str, str]
) -> None:
    done = run_process("scan", folder, environment=environment)
    assert done.returncode == 0
    assert done.stderr == ""
    assert not CONTROL.search(done.stdout)
    assert counts(done.stdout)["files"] == 5


def test_terminal_gets_a_bar_on_stderr_that_is_gone_at_the_end(folder: Path) -> None:
    shown, code, out = run_on_terminal("scan", folder, columns=80)
    assert code == 0
    assert "0/5 files" in shown
    assert shown.endswith("\x1b[2K")
    assert not CONTROL.search(out)
    assert counts(out)["files"] == 5


def test_a_terminal_is_told_how_many_files_were_found(folder: Path) -> None:
    shown, code, _ = run_on_terminal("scan", folder, columns=80)
    assert code == 0
    assert "listing files: 5 found" in shown


def test_dumb_terminal_gets_no_bar(folder: Path) -> None:
    shown, code, _ = run_on_terminal("scan", folder, columns=80, term="dumb")
    assert (shown, code) == ("", 0)


def test_terminal_that_has_only_ascii_is_served(folder: Path) -> None:
    done = run_process("engines", environment={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.isascii()


# --- engines, version, extras ---------------------------------------------------------------


@pytest.mark.parametrize(("engine", "module"), [("dask", "dask"), ("spark", "pyspark")])
def test_engines_lists_what_to_install(engine: str, module: str) -> None:
    done = run_process("engines", code=f"import sys; sys.modules[{module!r}] = None")
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(engine)]
    assert line.split()[:3] == [engine, "dicomframe", __version__]
    assert line.rstrip().endswith(f"pip install 'dicomframe[{engine}]'")


@pytest.mark.parametrize("arguments", [["demo"], ["scan", ".", "--engine", "dask"]])
def test_missing_engine_is_one_sentence_with_the_install_command(arguments: list[str]) -> None:
    done = run_process(*arguments, code="import sys; sys.modules['dask'] = None")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'dicomframe[dask]'" in done.stderr


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_missing_extra_is_one_sentence_with_the_install_command(package: str) -> None:
    done = run_process("demo", code=f"import sys; sys.modules[{package!r}] = None")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"dicomframe: the command line needs {package!r}, which is not installed; "
        "to install it: pip install 'dicomframe[cli]'\n"
    )


def test_command_line_imports_no_engine() -> None:
    code = "import dicomframe.cli, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert not tops & {"pyspark", "dask", "pandas", "dicomframe_spark", "dicomframe_dask"}


def test_version_is_shown(run: Run) -> None:
    assert run("--version").out == f"dicomframe {__version__}\n"


def test_module_can_be_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dicomframe", "--version"], check=True, capture_output=True
    )
    assert done.stdout.decode() == f"dicomframe {__version__}\n"


def test_without_a_command_the_help_is_shown(run: Run) -> None:
    ran = run()
    assert ran.code == 0
    assert "Commands:" in ran.out


# --- the demonstration's parts that need no engine ------------------------------------------


def test_damaged_files_are_damaged_in_different_ways(tmp_path: Path) -> None:
    paths = write_damaged_files(tmp_path, real_files("CT_small.dcm").read_bytes())
    table = pa.Table.from_batches(scan_dicom(tmp_path, pixels="none"))
    assert len(paths) == table.num_rows == 5
    assert sorted(table["reason"].to_pylist()) == [
        "empty",
        "malformed",
        "not_dicom",
        "truncated",
        "unreadable",
    ]


@pytest.mark.parametrize("engine", ["dask", "spark", "another"])
def test_example_code_is_python(engine: str) -> None:
    code = example_code(engine, "/path/to/files")
    compile(code, "example", "exec")
    assert f'engine="{engine}"' in code


# --- words and numbers ----------------------------------------------------------------------


def test_numbers_are_told_for_people() -> None:
    sizes = [0, 999, 1000, 999_949, 999_999, 5 * 10**9, 10**15, 10**18]
    assert [format_bytes(size) for size in sizes] == [
        *("0 bytes", "999 bytes", "1.0 kB", "999.9 kB"),
        *("1.0 MB", "5.0 GB", "1.0 PB", "1000.0 PB"),
    ]
    times = [0.004, 9.94, 9.96, 59.4, 59.6, 3599.6, 86_399]
    assert [format_seconds(time) for time in times] == [
        *("0.00 s", "9.94 s", "10 s", "59 s", "1 min 0 s", "1 h 0 min", "23 h 59 min"),
    ]


def test_text_is_made_harmless_and_keeps_its_end() -> None:
    assert make_printable("a\x1b[0m\nb\udc80é") == "a\\x1b[0m\\nb\\udc80é"
    assert shorten_start("abcdefghij", 8) == "...fghij"
    assert shorten_start("abcdefgh", 8) == "abcdefgh"


def test_an_archive_is_one_file_and_many_rows(run: Run, tmp_path: Path) -> None:
    """Also one that is cut, and has a row of its own beside those of its members."""
    data = gzip.compress(make_tar({f"{number}": make_ct(number) for number in range(30)}))
    (tmp_path / "a.tar.gz").write_bytes(data)
    (tmp_path / "cut.tar.gz").write_bytes(data[:-2000])
    (tmp_path / "x.dcm").write_bytes(make_ct())
    ran = run("scan", str(tmp_path))
    assert ran.code == 0
    assert re.search(r"^files +3$", ran.out, re.MULTILINE)
    rows = [int(n) for n in re.findall(r"^(?:dicom|corrupt) rows +(\d+)$", ran.out, re.MULTILINE)]
    assert sum(rows) > 32
    assert rows[1] >= 1
    left = run("scan", str(tmp_path), "--no-archives")
    assert re.search(r"^dicom rows +1$", left.out, re.MULTILINE)
