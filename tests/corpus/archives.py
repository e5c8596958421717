"""Archives as seeds: small, and with what the formats have."""

import io
import stat
import tarfile
import zipfile

MIT = """Copyright (c) 2020 A. Person

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction, including
without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of it. The above copyright notice and this permission notice shall be included in all copies.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED.
"""
FILES = {
    "p/LICENSE": MIT,
    "p/a.py": "# Copyright A. Person\n\ndef area(width, height):\n    return width * height\n",
    "p/" + "long/" * 30 + "b.c": "/* All rights reserved. */\nint main(void) { return 0; }\n",
}


def tar(format: int = tarfile.PAX_FORMAT) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=format, pax_headers={"comment": "0" * 40}) as archive:
        for name, text in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
        info = tarfile.TarInfo("link.py")
        info.type, info.linkname = tarfile.SYMTYPE, "a.py"
        archive.addfile(info)
    return packed.getvalue()


def zipped(files: dict[str, str] = FILES) -> bytes:
    packed = io.BytesIO()
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]
    with zipfile.ZipFile(packed, "w") as archive:
        archive.comment = b"0" * 40
        for number, (name, text) in enumerate(files.items()):
            archive.writestr(name, text, methods[number % 3])
        info = zipfile.ZipInfo("link.py")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "a.py")
    return packed.getvalue()


def zip_stream() -> bytes:
    """A zip written to a pipe: the sizes of a member stand behind it."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    packed = Pipe()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in FILES.items():
            archive.writestr(name, text)
    return packed.getvalue()
