"""Prepared arrays are mapped: shared by processes, read-only, checked, and still an archive of NumPy's."""

import io
import mmap
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.datasets import read_dataset
from shared.datasets.mapped_arrays import ALIGNMENT_BYTES, DamagedArchive, map_arrays, write_arrays
from shared.settings import PROJECT_ROOT

ARRAYS = {
    "name": np.array("modèle"),
    "ids": np.array(["1", "22", "modèle"]),
    "no_text": np.array(["", ""]),
    "none": np.zeros(0, np.int32),
    "index": np.arange(1000, dtype=np.int32),
    "columns": np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    "times": np.array([2**40, -1]),
}
FIXTURE = Path(__file__).parent.parent / "fixtures" / "version_0_1" / "artifacts.tar.gz"


def written(arrays=ARRAYS):
    file = io.BytesIO()
    write_arrays(file, arrays)
    return file.getvalue()


def put(folder, content):
    path = folder / "arrays.npz"
    path.write_bytes(content)
    return path


def memory_of(array):
    """What an array is at last a view of."""
    while isinstance(array, np.ndarray):
        array = array.base
    return array.obj if isinstance(array, memoryview) else array


def assert_are_arrays(found):
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


def test_arrays_are_views_of_the_mapped_file_aligned_and_read_only(tmp_path):
    found = map_arrays(put(tmp_path, written()))

    assert_are_arrays(found)
    assert not any(array.flags.writeable for array in found.values())
    for name in ("index", "ids", "times"):
        assert isinstance(memory_of(found[name]), mmap.mmap)
        assert found[name].ctypes.data % ALIGNMENT_BYTES == 0
    with pytest.raises(ValueError, match="read-only"):
        found["index"][0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        found["index"].flags.writeable = True


def test_numpy_reads_what_is_written(tmp_path):
    with np.load(put(tmp_path, written()), allow_pickle=False) as archive:
        assert_are_arrays({name: archive[name] for name in archive.files})


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives_of_numpy_are_read_by_copying(tmp_path, save):
    save(tmp_path / "arrays.npz", allow_pickle=False, **ARRAYS)
    found = map_arrays(tmp_path / "arrays.npz")

    assert_are_arrays(found)
    assert not any(array.flags.writeable for array in found.values())


def test_a_data_set_of_version_0_1_is_read(tmp_path):
    with tarfile.open(FIXTURE) as archive:
        members = [
            name for name in archive.getnames() if "/datasets/" in f"/{name}" and name.endswith(".npz")
        ]
        for member in members:
            archive.extract(member, tmp_path, filter="data")

    assert members
    for member in members:
        dataset = read_dataset(tmp_path / member)
        assert dataset.fingerprint == Path(member).stem


def test_files_of_one_content_are_equal_whenever_they_are_written():
    assert written() == written()


def test_python_objects_are_neither_written_nor_read(tmp_path):
    objects = np.array([{}], dtype=object)
    with pytest.raises(ValueError, match="found has Python objects"):
        write_arrays(io.BytesIO(), {"found": objects})
    np.savez(tmp_path / "arrays.npz", allow_pickle=True, found=objects)
    with pytest.raises(DamagedArchive, match="Python objects"):
        map_arrays(tmp_path / "arrays.npz")


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        map_arrays(tmp_path / "absent.npz")


def test_a_file_cut_short_at_any_byte_is_damaged(tmp_path):
    content = written()
    path = tmp_path / "arrays.npz"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedArchive):
            map_arrays(path)


@given(place=st.integers(0, len(written()) - 1), flipped=st.integers(1, 255))
def test_a_byte_that_was_altered_is_found_or_changes_nothing(tmp_path_factory, place, flipped):
    content = bytearray(written())
    content[place] ^= flipped
    path = put(tmp_path_factory.mktemp("altered"), bytes(content))

    # Padding, dates and the like mean nothing.
    try:
        found = map_arrays(path)
    except DamagedArchive:
        return
    found = {name: found[name] for name in ARRAYS if name in found}
    if len(found) == len(ARRAYS):
        assert_are_arrays(found)


@given(data=st.data())
def test_an_altered_byte_of_an_array_is_found(tmp_path_factory, data):
    content = bytearray(written())
    array = ARRAYS[data.draw(st.sampled_from(["index", "ids", "columns", "times"]))]
    start = bytes(content).index(array.tobytes("A"))
    content[start + data.draw(st.integers(0, array.nbytes - 1))] ^= data.draw(st.integers(1, 255))

    with pytest.raises(DamagedArchive, match="not those that were written"):
        map_arrays(put(tmp_path_factory.mktemp("altered"), bytes(content)))


_READER = """
import sys
from pathlib import Path
from shared.datasets.mapped_arrays import map_arrays
found = map_arrays(Path(sys.argv[1]))
print(int(found["index"].sum()), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells how pages are shared")
def test_two_processes_share_the_pages_of_the_file(tmp_path):
    n_bytes = 8_000_000
    path = put(tmp_path, written({"index": np.ones(n_bytes // 4, np.int32)}))
    command = [sys.executable, "-c", _READER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": PROJECT_ROOT, "text": True}
    with subprocess.Popen(command, **pipes) as first, subprocess.Popen(command, **pipes) as second:
        assert [reader.stdout.readline() for reader in (first, second)] == [f"{n_bytes // 4}\n"] * 2
        for reader in (first, second):
            (mapping,) = (one for one in psutil.Process(reader.pid).memory_maps() if one.path == str(path))
            assert mapping.rss >= n_bytes
            # Each page counts half, for both have it; none was copied.
            assert mapping.pss <= 0.6 * mapping.rss
            assert mapping.private_dirty == 0
        for reader in (first, second):
            reader.stdin.close()
