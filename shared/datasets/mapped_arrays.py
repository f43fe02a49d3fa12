"""Arrays in an npz archive that is mapped, not read: all processes of a machine share one copy in memory.

The archive is one of NumPy's, and np.load reads it. Beyond that every array begins at a multiple of 64 bytes
of the file, which the zip format allows for: its header may have fields that nobody knows.
"""

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

ALIGNMENT_BYTES = 64

Array = npt.NDArray[Any]

# PKWARE, APPNOTE.TXT 4.3.7: the fixed part of a local header; its last two numbers are the lengths of the
# name and of the extra fields that follow.
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_SIGNATURE = b"PK\x03\x04"
# A field is a kind and a length before its content. The kind is that of Android's zipalign.
_FIELD = struct.Struct("<HH")
_PADDING_KIND = 0xD935
# What zipfile adds for sizes above 4 GB.
_LARGE_SIZES_BYTES = 20
# The header of an array is a line of some hundred bytes; NumPy itself reads no more than 10,000.
_LARGEST_HEAD_BYTES = 1 << 16
_SUMMED_AT_ONCE = 1 << 24
_EPOCH = (1980, 1, 1, 0, 0, 0)


class DamagedArchive(ValueError):  # noqa: N818  It says what is wrong, and is one of ValueError.
    """The file is no archive of arrays, or was altered or cut short."""


def write_arrays(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """Write as np.savez does, aligned; `file` must be able to seek. Text and numbers only."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array.dtype.hasobject:
                raise ValueError(f"an archive has text and numbers; {name} has Python objects")
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            member.extra = _padding(file.tell() + _LOCAL_HEADER.size + len(member.filename))
            with archive.open(member, "w", force_zip64=True) as target:
                npy.write_array(target, array, allow_pickle=False)


def map_arrays(path: Path) -> dict[str, Array]:
    """Every array by its name, read-only; the bytes of each are checked first, by its CRC-32.

    Arrays that are not aligned, as np.savez leaves them, are copied. Raises FileNotFoundError, other
    OSErrors, and DamagedArchive.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            return {
                member.filename.removesuffix(".npy"): _array_of(archive, member, content)
                for member in members
            }
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, OverflowError) as error:
        # NotImplementedError: a flipped bit of a header asks for what zipfile cannot do.
        raise DamagedArchive(str(error)) from error


def _padding(place: int) -> bytes:
    """A field after which, with that of the sizes behind it, the content is aligned; at least 4 bytes."""
    n_more = -(place + _FIELD.size + _LARGE_SIZES_BYTES) % ALIGNMENT_BYTES
    return _FIELD.pack(_PADDING_KIND, n_more) + bytes(n_more)


def _array_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo, content: mmap.mmap) -> Array:
    start = _start_of(member, content)
    if member.compress_type != zipfile.ZIP_STORED or start % ALIGNMENT_BYTES:
        # zipfile checks the sum.
        return _parse(memoryview(archive.read(member)), member.filename)
    stored = memoryview(content)[start : start + member.file_size]
    if len(stored) < member.file_size or _crc(stored) != member.CRC:
        raise DamagedArchive(f"the bytes of {member.filename} are not those that were written")
    return _parse(stored, member.filename)


def _start_of(member: zipfile.ZipInfo, content: mmap.mmap) -> int:
    """Where the bytes of a member begin: the local header has extra fields of its own."""
    header = content[member.header_offset : member.header_offset + _LOCAL_HEADER.size]
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_SIGNATURE):
        raise DamagedArchive(f"{member.filename} does not begin where the archive says")
    *_, n_name, n_extra = _LOCAL_HEADER.unpack(header)
    return int(member.header_offset + _LOCAL_HEADER.size + n_name + n_extra)


def _crc(stored: memoryview) -> int:
    total = 0
    for first in range(0, len(stored), _SUMMED_AT_ONCE):
        total = zlib.crc32(stored[first : first + _SUMMED_AT_ONCE], total)
    return total


def _parse(stored: memoryview, name: str) -> Array:
    """The array that np.save wrote, as a view that cannot be written to."""
    head = io.BytesIO(stored[:_LARGEST_HEAD_BYTES])
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(
        npy.read_magic(head)
    )
    if read_header is None:
        raise DamagedArchive(f"{name} is of an unknown version of NumPy's format")
    shape, is_fortran, dtype = read_header(head)
    if dtype.hasobject:
        raise DamagedArchive(f"{name} has Python objects; arrays of text and numbers are read")
    count = int(np.prod(shape, dtype=np.int64))
    array: Array = np.empty(0, dtype)
    if count and dtype.itemsize:
        array = np.frombuffer(stored, dtype, count, head.tell())
    elif count:
        # Text of no letters has no bytes.
        array = np.zeros(count, dtype)
    array = array.reshape(shape, order="F" if is_fortran else "C")
    array.flags.writeable = False
    return array
