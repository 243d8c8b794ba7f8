"""Runs that are killed, or that meet one another, leave a catalogue that is whole."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dicomframe import Catalog, CatalogError, index_dicom
from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import read_state, write_state
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import make_ct

SCRIPT = """
import json, sys
from dicomframe import CatalogError, index_dicom
def tell(progress):
    print(progress.step, progress.done, flush=True)
tell_nothing = sys.argv[3] == "quiet"
print("begun", flush=True)
try:
    report = index_dicom(
        sys.argv[1], sys.argv[2], npartitions=24, progress=None if tell_nothing else tell
    )
except CatalogError as error:
    sys.exit(str(error))
print(json.dumps({"new": report.new, "resumed": report.resumed, "state": report.state}))
"""
FILES = 3000


def start(archive, catalog, mode="quiet"):
    """Return a process that has begun to index; it leads a group of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, archive, catalog, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "begun\n"
    return process


def kill(archive, catalog, step, steps, seconds):
    """Kill a run some seconds after it has told a step so often; return whether it was at work."""
    process = start(archive, catalog, "telling")
    for line in process.stdout:
        steps -= line.startswith(step)
        if steps < 0:
            break
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    was_running = process.poll() is None
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while is_group_there(process.pid):  # its workers end by themselves
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    return was_running


def is_group_there(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def finish(archive, catalog):
    process = start(archive, catalog)
    out, err = process.communicate()
    assert process.returncode == 0, err
    return json.loads(out)


def change_some(archive):
    """Let a fifth of the files change, some vanish, others come."""
    paths = sorted(archive.rglob("*.dcm"))
    for number, path in enumerate(paths[::5]):
        path.write_bytes(make_ct(number))
    for path in paths[1:200:2]:
        path.unlink()
    for number in range(150):
        (archive / f"new{number}.dcm").write_bytes(make_ct(number, series=2))


def content(catalog, frame):
    return Catalog(catalog).to_table(frame).drop_columns(["run"]).sort_by("origin")


class Reader(threading.Thread):
    """Read a catalogue again and again, and note whatever is not as it must be."""

    def __init__(self, catalog):
        super().__init__(daemon=True)
        self.catalog = catalog
        self.counts = set()
        self.reads = 0
        self.faults = []
        self._stop_it = threading.Event()

    def run(self):
        last = 0
        while not self._stop_it.wait(0.02):
            try:
                catalog = Catalog(self.catalog)
            except FileNotFoundError:
                continue
            try:
                tables = [catalog.to_table(frame, ["origin", "run"]) for frame in FRAMES]
            except Exception as error:
                self.faults.append(error)
                continue
            origins = [origin for table in tables for origin in table["origin"].to_pylist()]
            self.counts.add(len(origins))
            self.reads += 1
            if len(set(origins)) != len(origins) or catalog.number < last:
                self.faults.append((catalog.number, last, len(origins)))
            last = catalog.number

    def stop(self):
        self._stop_it.set()
        self.join()


# What a run tells last before it is killed, and how often it has told it before.
MOMENTS = [
    *(("listing", 0), ("reading", 0), ("reading", 1), ("reading", 5), ("reading", 12)),
    *(("reading", 0), ("reading", 3), ("reading", 9), ("reading", 20), ("merging", 0)),
]


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
def test_ten_kills_at_random_moments_change_nothing_in_the_end(tmp_path):
    seed = random.SystemRandom().randrange(10**6)
    choose = random.Random(seed)
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=FILES)
    reader = Reader(catalog)
    reader.start()
    kills = resumed = 0
    counts = set()
    for moments in (MOMENTS[:5], MOMENTS[5:]):
        for step, steps in moments:
            kills += kill(archive, catalog, step, steps, choose.random() * 0.1)
        last = finish(archive, catalog)
        resumed += last["resumed"]
        finish(archive, tmp_path / "undisturbed")
        for frame in FRAMES:
            assert content(catalog, frame).equals(content(tmp_path / "undisturbed", frame)), seed
        assert Catalog(catalog).counts == Catalog(tmp_path / "undisturbed").counts
        counts.add(sum(content(catalog, frame).num_rows for frame in FRAMES))
        change_some(archive)
    reader.stop()
    assert kills >= 9, seed  # the last one may come too late
    assert resumed > 0
    assert reader.faults == []
    assert reader.reads > 0
    assert reader.counts <= counts
    assert not list(catalog.glob("runs/*/*.json"))


def test_an_interrupted_run_is_taken_up(tmp_path):
    """The process is not killed at random but after some partitions, so that there is a rest."""
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=600)

    class Interruption(BaseException):
        pass

    def interrupt(progress):
        if progress.step == "reading" and progress.done >= 250:
            raise Interruption

    def interrupted_run(**options):
        with pytest.raises(Interruption):
            index_dicom(archive, catalog, npartitions=6, progress=interrupt, **options)

    interrupted_run()
    with pytest.raises(FileNotFoundError, match="run dicomframe index again"):
        Catalog(catalog)
    paths = sorted(archive.rglob("*.dcm"))
    paths[0].unlink()
    paths[1].write_bytes(make_ct())
    interrupted_run()  # reads some more
    report = index_dicom(archive, catalog)
    assert report.resumed >= 500
    assert report.new < 200
    assert (report.changed, report.vanished) == (0, 1)
    index_dicom(archive, tmp_path / "anew")
    for frame in FRAMES:
        assert content(catalog, frame).equals(content(tmp_path / "anew", frame))
    assert Catalog(catalog).counts == Catalog(tmp_path / "anew").counts
    assert index_dicom(archive, catalog).unchanged == 599


def test_what_was_read_with_other_options_is_not_taken_up(tmp_path):
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=300)

    def interrupt(progress):
        if progress.step == "reading" and progress.done:
            raise KeyboardInterrupt

    for options in ({"tags": ["Modality"]}, {"limits": {"nesting_depth": 1}}, {"archives": False}):
        with pytest.raises(KeyboardInterrupt):
            index_dicom(archive, catalog, npartitions=4, progress=interrupt, **options)
    report = index_dicom(archive, catalog)
    assert (report.resumed, report.new) == (0, 300)
    assert not list(catalog.glob("runs/*/*"))


def test_of_two_runs_one_wins_and_the_other_says_so(tmp_path):
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=1500)
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(start(archive, catalog)) for _ in range(2)]
        outcomes = [process.communicate() for process in both]
    codes = sorted(process.returncode for process in both)
    if codes == [0, 0]:  # one had ended before the other began
        assert sorted(json.loads(out)["new"] for out, _ in outcomes) == [0, 1500]
    else:
        assert codes == [0, 1]
        (err,) = [err for _, err in outcomes if err]
        assert "is writing the catalogue" in err
    assert Catalog(catalog).counts["files"] == 1500
    assert index_dicom(archive, catalog).unchanged == 1500


def test_without_a_lock_the_slower_run_changes_nothing(tmp_path, request, monkeypatch):
    """No lock reaches across machines: the name of the next state is there only once."""
    archive = tmp_path / "archive"
    write_archive(archive, files=100)
    for catalog in (f"memory://{request.node.name}", tmp_path / "catalog"):
        monkeypatch.setattr(CatalogPlace, "lock", lambda _: contextlib.nullcontext())
        index_dicom(archive, catalog)

        def meanwhile(progress, catalog=catalog):
            if progress.step == "reading" and progress.done == 0:
                (archive / "second.dcm").write_bytes(make_ct(2))
                index_dicom(archive, catalog)

        (archive / "first.dcm").write_bytes(make_ct(1))
        with pytest.raises(CatalogError, match="another run has written"):
            index_dicom(archive, catalog, progress=meanwhile)
        assert Catalog(catalog).counts["files"] == 102
        assert index_dicom(archive, catalog).unchanged == 102
        (archive / "second.dcm").unlink()
        (archive / "first.dcm").unlink()


def test_a_state_is_never_written_over_another(tmp_path):
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=20)
    index_dicom(archive, catalog)
    place = CatalogPlace.at(catalog)
    before = (catalog / "states" / "00000001.json").read_bytes()
    with pytest.raises(CatalogError, match="another run has written"):
        write_state(place, read_state(place, 1))
    assert (catalog / "states" / "00000001.json").read_bytes() == before
    assert [path.name for path in (catalog / "states").iterdir()] == ["00000001.json"]


def make_older(catalog, seconds):
    for path in Path(catalog).rglob("*.*"):
        moment = path.stat().st_mtime - seconds
        os.utime(path, (moment, moment))


def test_files_that_no_state_of_the_last_hour_names_are_deleted(tmp_path):
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=200)
    index_dicom(archive, catalog)
    old = Catalog(catalog)
    shutil.copy(old.parts("dicom")[0], catalog / "dicom" / "part-00000001-00000000aaaa.parquet")
    (catalog / "dicom" / ".new-1").touch()
    paths = sorted(archive.rglob("*.dcm"))
    make_older(catalog, 7200)
    for path in paths[:100]:
        path.write_bytes(make_ct())
    index_dicom(archive, catalog)  # half of the first part is dead: it is written anew
    new = Catalog(catalog)
    assert not set(old.parts("dicom")) & set(new.parts("dicom"))
    assert old.to_table("dicom").num_rows == new.to_table("dicom").num_rows
    assert set(map(Path, [*old.parts("dicom"), *new.parts("dicom")])) == set(
        (catalog / "dicom").iterdir()
    )
    make_older(catalog, 7200)
    paths[0].unlink()
    index_dicom(archive, catalog)
    with pytest.raises(CatalogError, match="open the catalogue again"):
        old.to_table("dicom")
    assert set(map(Path, Catalog(catalog).parts("dicom"))) == set((catalog / "dicom").iterdir())
    assert sorted(path.name for path in (catalog / "states").iterdir()) == [
        "00000002.json",
        "00000003.json",
    ]


def test_a_damaged_catalogue_is_told(tmp_path):
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=20)
    index_dicom(archive, catalog)
    opened = Catalog(catalog)
    part = Path(opened.parts("dicom")[0])
    part.write_bytes(part.read_bytes()[:-100])
    with pytest.raises(CatalogError, match="it is damaged"):
        opened.to_table("dicom")
    with pytest.raises(CatalogError, match="index into a new folder"):
        index_dicom(archive, catalog)
    state = catalog / "states" / "00000001.json"
    state.write_text(state.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(CatalogError, match="has the format 99"):
        Catalog(catalog)
    state.write_text("{")
    with pytest.raises(CatalogError, match="cannot be read"):
        Catalog(catalog)
