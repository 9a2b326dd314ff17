# SPDX-License-Identifier: Apache-2.0
"""Read compiled lookup tables of Postfix, where its programs cannot, or cost too much."""

from __future__ import annotations

import struct


def has_rows(kind: str, data: bytes) -> bool | None:
    """Tell from a compiled file whether it has rows; None when it is not of this type.

    Read from the file, because asking postmap(1) costs a process for each table of each run. Formats:
    db_page.h of Berkeley DB 5.3 (meta page: magic at 12, page size at 20; each page: number of entries at 20,
    type at 25), lmdb's mdb.c (two meta pages on 64-bit machines: magic at 16, page size at 40, rows at 120,
    transaction at 144), cdb(5) (a table of 256 pairs, the first position in it ends the rows).
    """
    try:
        if kind in ("hash", "btree"):
            magic, size = struct.unpack_from("=I4xI", data, 12)
            if magic != {"hash": 0x061561, "btree": 0x053162}[kind] or size < 512:
                return None
            # Types 2 and 13 are pages of a hash table, 5 are leaves of a btree.
            return any(
                data[p + 25] in (2, 5, 13) and any(data[p + 20 : p + 22])
                for p in range(size, len(data), size)
            )
        if kind == "lmdb":
            (size,) = struct.unpack_from("=I", data, 40)
            metas = [struct.unpack_from("=I100xQ16xQ", data, page + 16) for page in (0, size)]
            if any(magic != 0xBEEFC0DE for magic, _, _ in metas):
                return None
            return max((transaction, rows) for _, rows, transaction in metas)[1] > 0
        (end,) = struct.unpack_from("<I", data)
        return None if not 2048 <= end <= len(data) else end > 2048
    except (struct.error, IndexError):
        return None


def cdb_keys(path: str) -> list[bytes]:
    """Read the keys of a cdb file: postmap(1) cannot list them. Format: cdb(5)."""
    with open(path, "rb") as reader:
        data = reader.read()
    (end,) = struct.unpack_from("<I", data)
    position, found = 2048, []
    while position < end:
        key, value = struct.unpack_from("<II", data, position)
        found.append(data[position + 8 : position + 8 + key])
        position += 8 + key + value
    return found
