"""How bytes are read and written where a protocol of fsspec is not enough: on a local disk, on the web."""
