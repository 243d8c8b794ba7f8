"""The clauses that every backend must pass, as a class of tests to derive from."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicomframe.api import plan_read, read_dicom, scan_dicom
from dicomframe.plugin import DicomFrames
from dicomframe.registry import get_backend
from dicomframe.testing.samples import real_files
from dicomframe.testing.store import Store, list_files_of
from dicomframe.testing.trees import SOUND, make_tree, write_hostile_names, write_typed_files

TYPED_TAGS = (
    *("PatientAge", "PatientName", "StudyDate", "StudyTime", "AcquisitionDateTime"),
    *("Rows", "SliceThickness", "FileOffsetInContainer", "ImageType", "ImagePositionPatient"),
    *("SelectorASValue", "SelectorDAValue", "SelectorDTValue", "SelectorTMValue"),
    *("SelectorDSValue", "SelectorFDValue", "SelectorISValue", "SelectorPNValue"),
    *("SelectorSVValue", "SelectorUVValue", "SelectorATValue", "SelectorLOValue"),
    *("SelectorOBValue", "RequestAttributesSequence", "TransferSyntaxUID"),
    "RequestAttributesSequence[0].ScheduledProcedureStepID",
)
"""Every type that a column of a tag can have, alone and in a list."""


class BackendConformance(ABC):
    """Check a backend against the laws that hold for all of them.

    Derive a class whose name pytest collects, set `engine`, implement `count_partitions`,
    and override `engine_options` and `select_columns` where the engine needs it. The backend
    is found as users find it, by its entry point, so its distribution must be installed.

    The files lie on the local disk; override `store` to have them in any other one.

    Examples
    --------
    >>> class TestRows(BackendConformance):
    ...     engine = "rows"
    ...
    ...     def count_partitions(self, frame):
    ...         return frame.count_chunks()
    """

    engine: ClassVar[str]
    """The name of the entry point."""

    @abstractmethod
    def count_partitions(self, frame: Any) -> int:
        """Return how many partitions the engine has for `frame`, empty ones included."""

    def select_columns(self, frame: Any, names: list[str]) -> Any:
        """Return `frame` with these columns only, as a user of the engine would write it."""
        return frame[names]

    @pytest.fixture
    def engine_options(self) -> dict[str, Any]:
        """Return what `read_dicom` is given for the engine, such as a session."""
        return {}

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        """Return where the files lie, a place that no other test uses."""
        return Store(f"file://{tmp_path}")

    @pytest.fixture(autouse=True)
    def _take_fixtures(self, engine_options: dict[str, Any], store: Store) -> None:
        self._engine_options = engine_options
        self._store = store

    @pytest.fixture
    def local_tree(self, tmp_path: Path) -> Path:
        """Return a local folder of sound files, a few damaged ones and a few others."""
        folder = tmp_path / "tree"
        make_tree(folder)
        return folder

    @pytest.fixture
    def tree(self, local_tree: Path, store: Store) -> str:
        """Return the URL of the files of `local_tree` in the store."""
        return store.put(local_tree)

    @pytest.mark.parametrize("pixels", ["bytes", "reference", "none"])
    def test_conservation_every_file_is_one_row_of_one_frame(
        self, tree: str, local_tree: Path, pixels: str
    ) -> None:
        dicom, corrupt = self.read_tables(tree, pixels=pixels)
        found = [*dicom["origin"].to_pylist(), *corrupt["origin"].to_pylist()]
        assert sorted(found) == sorted(_origins(tree, local_tree))
        assert dicom.num_rows == len(SOUND)

    def test_equals_oracle_on_all_real_files(self, store: Store) -> None:
        self.check_against_oracle(store.put(real_files()), npartitions=3)

    @pytest.mark.parametrize("pixels", ["bytes", "reference", "none"])
    def test_equals_oracle_in_every_mode_of_pixels(self, tree: str, pixels: str) -> None:
        self.check_against_oracle(tree, pixels=pixels, npartitions=2)

    def test_equals_oracle_for_tags_of_every_type(self, tmp_path: Path, store: Store) -> None:
        write_typed_files(tmp_path)
        self.check_against_oracle(store.put(tmp_path), tags=list(TYPED_TAGS), npartitions=2)

    def test_equals_oracle_for_columns_of_other_names(self, tree: str) -> None:
        tags = {"thickness in mm": "SliceThickness", "a.b`c": "Modality", "größe": "Rows"}
        self.check_against_oracle(tree, tags=tags, npartitions=2)

    def test_equals_oracle_with_warnings(self, tree: str) -> None:
        self.check_against_oracle(tree, warnings=True, npartitions=2)

    def test_equals_oracle_for_hostile_file_names(self, tmp_path: Path, store: Store) -> None:
        write_hostile_names(tmp_path)
        place = store.put(tmp_path, drops_refused=True)
        dicom, corrupt = self.check_against_oracle(place, npartitions=2)
        assert (dicom.num_rows, corrupt.num_rows) == (len(list_files_of(tmp_path)), 0)
        assert dicom.num_rows > 10

    def test_equals_oracle_each_time_that_it_is_computed(self, tree: str) -> None:
        frames = self.read(tree, npartitions=2)
        first, second = self.compute(frames), self.compute(frames)
        assert_same_rows(first[0], second[0])
        assert_same_rows(first[1], second[1])

    def test_corrupt_tells_why(self, tree: str) -> None:
        _, corrupt = self.read_tables(tree)
        names = [Path(origin).name for origin in corrupt["origin"].to_pylist()]
        assert dict(zip(names, corrupt["reason"].to_pylist(), strict=True)) == {
            "cut_in_header.dcm": "truncated",
            "cut_in_pixels.dcm": "truncated",
            "empty.dcm": "empty",
            "notes.txt": "not_dicom",
            "picture.jpg": "not_dicom",
        }
        assert None not in corrupt["detail"].to_pylist()
        assert corrupt.schema.names == ["origin", "reason", "detail", "offset"]

    def test_status_does_not_depend_on_pixels_tags_or_warnings(self, tree: str) -> None:
        expected = self.read_status(tree)
        assert self.read_status(tree, pixels="reference") == expected
        assert self.read_status(tree, pixels="none") == expected
        assert self.read_status(tree, tags=["PatientAge", "Rows"], warnings=True) == expected

    @pytest.mark.parametrize("name", ["origin", "metadata", "pixel_data", "Rows"])
    def test_status_does_not_depend_on_columns(self, tree: str, name: str) -> None:
        frames = self.read(tree, tags=["Rows"], npartitions=2)
        whole, _ = self.compute(frames)
        columns = list(dict.fromkeys(["origin", name]))
        part = self.to_arrow(self.select_columns(frames.dicom, columns))
        assert_same_rows(part, whole.select(part.schema.names))

    def test_building_opens_no_file(self, tree: str, local_tree: Path, store: Store) -> None:
        origins = _origins(tree, local_tree)
        frames = self.read(tree, npartitions=2)
        store.remove(tree)
        dicom, corrupt = self.compute(frames)
        assert dicom.num_rows == 0
        assert corrupt["origin"].to_pylist() == sorted(origins)
        reasons = dict(
            zip(corrupt["origin"].to_pylist(), corrupt["reason"].to_pylist(), strict=True)
        )
        if not tree.startswith("file:"):
            # The listing of a remote store tells that a file is empty; then nobody need look.
            assert reasons.pop(f"{tree}/deep/deeper/empty.dcm") in ("empty", "unreadable")
        assert set(reasons.values()) == {"unreadable"}

    def test_one_pass_writing_equals_oracle(self, tree: str, tmp_path: Path) -> None:
        report = self.read(tree, tags=["Rows"], npartitions=3).write_parquet(tmp_path / "out")
        expected = read_oracle(tree, tags=["Rows"], storage_options=self._store.options)
        assert report.files == sum(rows.num_rows for rows in expected)
        for frame, rows in zip(("dicom", "corrupt"), expected, strict=True):
            table = pq.read_table(tmp_path / "out" / f"frame={frame}", partitioning=None)
            assert_same_rows(table.sort_by("origin"), rows)

    @pytest.mark.parametrize("npartitions", [1, 3, 50])
    def test_one_engine_partition_for_each_plan_partition(
        self, tree: str, npartitions: int
    ) -> None:
        frames = self.read(tree, npartitions=npartitions)
        assert self.count_partitions(frames.dicom) == npartitions
        assert self.count_partitions(frames.corrupt) == npartitions

    def test_one_engine_partition_for_each_plan_partition_by_default(self, tree: str) -> None:
        planned = len(plan_read(tree, storage_options=self._store.options).partitions)
        assert self.count_partitions(self.read(tree).dicom) == planned

    def test_more_partitions_than_files_give_the_same_rows(self, tree: str) -> None:
        self.check_against_oracle(tree, npartitions=20)

    def test_empty_folder_gives_empty_frames_of_full_schemas(self, store: Store) -> None:
        tags = ["PatientAge", "ImageType", "StudyDate"]
        dicom, corrupt = self.check_against_oracle(store.make_empty(), tags=tags, warnings=True)
        assert (dicom.num_rows, corrupt.num_rows) == (0, 0)

    def test_frame_without_a_corrupt_file_has_an_empty_other(self, tree: str) -> None:
        dicom, corrupt = self.check_against_oracle(f"{tree}/CT_small.dcm")
        assert (dicom.num_rows, corrupt.num_rows) == (1, 0)

    def test_frame_without_a_sound_file_has_an_empty_other(self, tree: str) -> None:
        dicom, corrupt = self.check_against_oracle(f"{tree}/deep/notes.txt")
        assert (dicom.num_rows, corrupt.num_rows) == (0, 1)

    def test_missing_path_raises_at_once(self, tree: str) -> None:
        with pytest.raises(FileNotFoundError):
            self.read(f"{tree}/nothing here")

    def test_unknown_option_raises_at_once(self, tree: str) -> None:
        with pytest.raises(TypeError, match="has no option 'no_such_option'"):
            self.read(tree, no_such_option=1)

    @pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/St_Johns"])
    def test_time_zone_changes_no_value(
        self, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch, zone: str
    ) -> None:
        write_typed_files(tmp_path)
        place = store.put(tmp_path)
        tags = ["StudyDate", "StudyTime", "AcquisitionDateTime", "SelectorDTValue"]
        expected = read_oracle(place, tags=tags, storage_options=store.options)
        with _time_zone(zone, monkeypatch):
            actual = self.read_tables(place, tags=tags)
        assert_same_rows(actual[0], expected[0])

    def read(self, path: str, **options: Any) -> DicomFrames:
        """Return the engine's two frames of `path`."""
        return read_dicom(
            path,
            engine=self.engine,
            storage_options=self._store.options,
            **options,
            **self._engine_options,
        )

    def to_arrow(self, frame: Any) -> pa.Table:
        """Return the rows of `frame` in the order of their origins."""
        return get_backend(self.engine).to_arrow(frame).sort_by("origin")

    def compute(self, frames: DicomFrames) -> tuple[pa.Table, pa.Table]:
        """Return the rows of both frames in the order of their origins."""
        return self.to_arrow(frames.dicom), self.to_arrow(frames.corrupt)

    def read_tables(self, path: str, **options: Any) -> tuple[pa.Table, pa.Table]:
        """Return the rows that the engine reads from `path`."""
        return self.compute(self.read(path, **{"npartitions": 2, **options}))

    def read_status(self, path: str, **options: Any) -> list[tuple[str, str | None]]:
        """Return each origin with its reason, None for a sound file."""
        dicom, corrupt = self.read_tables(path, **options)
        sound = [(origin, None) for origin in dicom["origin"].to_pylist()]
        reasons = zip(corrupt["origin"].to_pylist(), corrupt["reason"].to_pylist(), strict=True)
        return [*sound, *reasons]

    def check_against_oracle(self, path: str, **options: Any) -> tuple[pa.Table, pa.Table]:
        """Assert that the engine reads from `path` what `scan_dicom` does, and return it."""
        actual = self.compute(self.read(path, **options))
        expected = read_oracle(path, storage_options=self._store.options, **options)
        assert_same_rows(actual[0], expected[0])
        assert_same_rows(actual[1], expected[1])
        return actual


def read_oracle(path: str | Path, **options: Any) -> tuple[pa.Table, pa.Table]:
    """Return what the two frames of `path` must hold, in the order of the origins."""
    plan = plan_read(path, **options)
    both = pa.Table.from_batches(scan_dicom(path, **options), plan.schema).sort_by("origin")
    sound = both["reason"].is_null()
    broken = both["reason"].is_valid()
    return (
        both.filter(sound).select(plan.dicom_schema.names),
        both.filter(broken).select(plan.corrupt_schema.names),
    )


def assert_same_rows(actual: pa.Table, expected: pa.Table) -> None:
    """Assert that two tables have the same columns, types and values; a message shows no value.

    Whether a column may be null is not compared: no engine keeps that.
    """
    assert _types(actual.schema) == _types(expected.schema)
    assert actual["origin"].to_pylist() == expected["origin"].to_pylist()
    differing = [
        name for name in expected.schema.names if not _same_values(actual[name], expected[name])
    ]
    assert not differing, f"the values of these columns differ: {differing}"


def _origins(url: str, folder: Path) -> list[str]:
    return [f"{url}/{path.relative_to(folder)}" for path in list_files_of(folder)]


@contextmanager
def _time_zone(zone: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        try:
            yield
        finally:
            patch.undo()
            time.tzset()


def _types(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return list(zip(schema.names, schema.types, strict=True))


def _same_values(actual: pa.ChunkedArray, expected: pa.ChunkedArray) -> bool:
    # Arrow holds NaN for unequal to itself.
    return actual.equals(expected) or repr(actual.to_pylist()) == repr(expected.to_pylist())
