"""Opening a ZIP that a stranger sent: every size is limited before it is unpacked."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Final

from services.profile.oneroster.columns import FILES, MANIFEST, OTHER_FILES
from services.profile.oneroster.faults import Faults
from shared.errors import MalformedInput, TooLarge

MAX_ARCHIVE_BYTES: Final = 16 * 1024 * 1024
MAX_MEMBERS: Final = 64
MAX_UNPACKED_BYTES: Final = 128 * 1024 * 1024
"""Of all files of the ZIP together."""
MAX_RATIO: Final = 200
"""Unpacked to packed size of one file; rosters reach 30."""
RATIO_FREE_BYTES: Final = 1024 * 1024
"""Files up to this size may have any ratio: they do no harm."""

_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KNOWN: Final = frozenset(FILES) | OTHER_FILES | {MANIFEST}


def members(content: bytes) -> dict[str, bytes]:
    """Return the files of a OneRoster ZIP by name; those that are not read are there, but empty.

    Raises:
        MalformedInput: no whole, plain ZIP; or it holds what is no file of the OneRoster binding at its top.
        TooLarge: it is larger than a limit, packed or unpacked.
    """
    if len(content) > MAX_ARCHIVE_BYTES:
        _too_large("the ZIP", "archive-size", f"{len(content)} bytes, at most {MAX_ARCHIVE_BYTES}")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            _judge(infos)
            return {info.filename: _unpacked(archive, info) if info.filename not in OTHER_FILES else b"" for info in infos}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        faults = Faults()
        faults.add("zip", None, None, "not-a-zip", f"it cannot be unpacked ({type(error).__name__})", "it may be cut short: pack it again")
        faults.check("not a whole ZIP", MalformedInput)
        raise


def _judge(infos: list[zipfile.ZipInfo]) -> None:
    """Raise where what the directory of the ZIP says is reason enough not to unpack it."""
    if len(infos) > MAX_MEMBERS:
        _too_large("zip", "members", f"{len(infos)} files, at most {MAX_MEMBERS}")
    total = sum(info.file_size for info in infos)
    if total > MAX_UNPACKED_BYTES:
        _too_large("zip", "unpacked-size", f"{total} bytes when unpacked, at most {MAX_UNPACKED_BYTES}")
    faults, seen = Faults(), set()
    for number, info in enumerate(infos, 1):
        name, place = info.filename, info.filename if info.filename in _KNOWN else f"zip member {number}"
        if info.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * info.compress_size):
            _too_large(place, "ratio", f"unpacks to more than {MAX_RATIO} times its size")
        if "/" in name or "\\" in name:
            faults.add(place, None, None, "nested", "it lies in a folder", "pack the CSV files themselves, not their folder")
        elif name not in _KNOWN:
            faults.add(place, None, None, "unknown-file", "no file of the OneRoster 1.2 binding", "take it out; names are case-sensitive")
        elif name in seen:
            faults.add(place, None, None, "duplicate-file", "the ZIP holds it twice", "keep one of them")
        if info.flag_bits & _ENCRYPTED:
            faults.add(place, None, None, "encrypted", "it is encrypted", "pack it without a password")
        elif info.compress_type not in _METHODS:
            faults.add(place, None, None, "compression", "neither stored nor deflated", "pack it as a plain ZIP")
        seen.add(name)
    faults.check("the ZIP cannot be taken", MalformedInput)


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the content of a file, never more than the directory announced: `_judge` has limited that."""
    with archive.open(info) as file:
        content = file.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise zipfile.BadZipFile("a file has another size than the directory says")
    return content


def _too_large(place: str, code: str, detail: str) -> None:
    faults = Faults()
    faults.add(place, None, None, code, detail, "send each district or source by itself")
    faults.check("too large", TooLarge)
