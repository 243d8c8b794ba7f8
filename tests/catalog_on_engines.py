"""What a catalogue must be on every engine."""

import os
import pickle
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from dicomframe import Catalog, DicomFrames, index_dicom, read_catalog
from dicomframe.catalog.columns import FRAMES
from dicomframe.registry import get_backend
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import make_ct


def content(catalog, frame):
    return Catalog(catalog).to_table(frame).drop_columns(["run"]).sort_by("origin")


class CatalogOnEngine:
    """Tests to derive from; the attribute `engine` names it, the fixture `options` its options."""

    engine = ""

    @pytest.fixture
    def options(self):
        return {}

    @pytest.fixture
    def archive(self, tmp_path):
        write_archive(tmp_path / "archive", files=400)
        return tmp_path / "archive"

    def test_the_engine_writes_the_catalogue_that_processes_write(self, tmp_path, archive, options):
        steps = []
        catalog = tmp_path / "with [odd] name"
        report = index_dicom(
            archive, catalog, engine=self.engine, npartitions=5, progress=steps.append, **options
        )
        assert (report.new, report.dicom, report.corrupt) == (
            400,
            398,
            {"empty": 1, "truncated": 1},
        )
        assert steps[-1].done == steps[-1].total == 400
        index_dicom(archive, tmp_path / "here")
        for frame in FRAMES:
            assert content(catalog, frame).equals(content(tmp_path / "here", frame))
        paths = sorted(archive.rglob("*.dcm"))
        paths[0].unlink()
        os.utime(paths[1], (1, 1))
        (archive / "more.dcm").write_bytes(make_ct())
        report = index_dicom(archive, catalog, engine=self.engine, **options)
        assert (report.new, report.changed, report.vanished) == (1, 1, 1)
        index_dicom(archive, tmp_path / "here")
        for frame in FRAMES:
            assert content(catalog, frame).equals(content(tmp_path / "here", frame))
        self.check_read(catalog, options)

    def check_read(self, catalog, options):
        frames = read_catalog(catalog, self.engine, **options)
        assert isinstance(frames, DicomFrames)
        backend = get_backend(self.engine)
        opened = Catalog(catalog)
        for frame, found in zip(FRAMES, frames, strict=True):
            rows = backend.to_arrow(found).sort_by("origin")
            expected = opened.to_table(frame).sort_by("origin")
            rows = rows.cast(expected.schema)
            assert rows.num_rows == expected.num_rows
            others = [each for each in rows.column_names if not rows[each].equals(expected[each])]
            assert not others, [(rows[each], expected[each]) for each in others]
            names = ["run", "origin"]
            some = backend.to_arrow(found[names]).sort_by("origin")
            assert some.cast(pa.schema([expected.schema.field(name) for name in names])).equals(
                expected.select(names)
            )

    def test_dead_rows_and_empty_frames_are_read_right(self, tmp_path, archive, options):
        catalog = tmp_path / "catalog"
        shutil.rmtree(archive / "PAT00002")
        for path in archive.rglob("*.dcm"):
            if path.stat().st_size < 2000:
                path.unlink()
        truncated = {row["origin"] for row in _corrupt(archive, tmp_path)}
        for origin in truncated:
            Path(origin.removeprefix("file://")).unlink()
        index_dicom(archive, catalog)
        assert Catalog(catalog).parts("corrupt") == []
        assert Catalog(catalog).gone() == []
        self.check_read(catalog, options)
        os.utime(next(archive.rglob("*.dcm")), (1, 1))
        index_dicom(archive, catalog)
        assert Catalog(catalog).gone() != []
        self.check_read(catalog, options)

    def test_what_the_engine_is_given_shows_no_secret_and_can_travel(self, archive, tmp_path):
        index_dicom(archive, f"memory://{tmp_path.name}")
        catalog = Catalog(f"memory://{tmp_path.name}", {"key": "verysecret"})
        rows = catalog.rows("dicom")
        assert "verysecret" not in f"{catalog!r} {rows!r} {rows.urls}"
        assert pickle.loads(pickle.dumps(rows)) == rows


def _corrupt(archive, tmp_path):
    index_dicom(archive, tmp_path / "first")
    return Catalog(tmp_path / "first").to_table("corrupt", ["origin"]).to_pylist()
