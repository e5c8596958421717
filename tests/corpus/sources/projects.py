"""Source code in small: files, licences, and what they come packed in."""

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import zstandard
from corpus.helpers import documents_of

from llama_core.artifact import Artifact
from llama_core.corpus.document import read_batches
from llama_core.corpus.recipe import GitHub

CODE = """def area(width, height):
    # What a rectangle of these sides covers, in the square of their unit.
    return width * height


def perimeter(width, height):
    return 2 * (width + height)
"""
C_CODE = "int area(int width, int height)\n{\n    return width * height; /* of a rectangle */\n}\n"
HEADER = "# Copyright 2020 A. Person\n# Licensed under the MIT license.\n\n"
TITLE = "Copyright (c) 2020 A. Person\n\n"
MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of it. The above copyright notice and this permission notice shall be included in all copies.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.
"""
BSD = """Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice.
"""
BSD3 = BSD + "3. Neither the name of the holder nor those of its contributors may be used to endorse it."
APACHE = (
    "Apache License\nVersion 2.0, January 2004\n\n"
    "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION\n\n" + "1. Definitions. " * 200
)
GPL = "GNU GENERAL PUBLIC LICENSE\nVersion 3, 29 June 2007\n" + "Everyone is permitted to copy. " * 20


def github(*urls: object, **fields: object) -> GitHub:
    return GitHub(kind="github", urls=[str(u) for u in urls], **{"min_chars": 20} | fields)


def pack(path: Path, files: dict[str, str | bytes]) -> Path:
    """Return an archive of the form that its name says."""
    data = {n: t.encode() if isinstance(t, str) else t for n, t in files.items()}
    packed = io.BytesIO()
    if path.suffix == ".zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in data.items():
                archive.writestr(name, content)
        path.write_bytes(packed.getvalue())
        return path
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in data.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    raw = packed.getvalue()
    if path.name.endswith((".tar.gz", ".tgz")):
        raw = gzip.compress(raw)
    elif path.name.endswith(".zst"):
        raw = zstandard.ZstdCompressor().compress(raw)
    path.write_bytes(raw)
    return path


def texts(artifact: Artifact) -> dict[str, str]:
    return {json.loads(d.meta)["path"]: d.text for d in documents_of(artifact)}


def quarantine(artifact: Artifact) -> list[dict[str, object]]:
    [shard] = artifact.shards
    return [row for b in read_batches(artifact, shard.name, "quarantine.parquet") for row in b.to_pylist()]
