"""Thrift's compact protocol, as far as the headers of Parquet need it: structs as dicts by field number."""

from typing import Any

MAX_NESTED = 32  # structs and lists inside each other

_STOP, _TRUE, _FALSE, _BYTE = 0, 1, 2, 3
_INTEGERS = (4, 5, 6)
_DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 7, 8, 9, 10, 11, 12


class CutError(ValueError):
    """The bytes end before the value does."""


class Compact:
    """Reads values from bytes, `at` a place that moves on. Raises CutError, and ValueError for nonsense."""

    def __init__(self, data: bytes, at: int = 0):
        self.data, self.at = data, at

    def struct(self, nested: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by number."""
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            delta, kind = kind >> 4, kind & 15
            number = number + delta if delta else self._integer()
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, nested)
        return fields

    def _value(self, kind: int, nested: int) -> Any:
        if nested > MAX_NESTED:
            raise ValueError("values are nested too deeply")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self.take(self.varint())
        if kind == _STRUCT:
            return self.struct(nested + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            size = self.varint() if head >> 4 == 15 else head >> 4
            return self._values(size, head & 15, nested)
        if kind == _MAP:
            size = self.varint()
            kinds = self._byte() if size else 0
            # Keys and values take turns; nothing here needs them as pairs.
            return [self._item(k, nested) for _ in range(self._held(size)) for k in (kinds >> 4, kinds & 15)]
        if kind == _DOUBLE:
            return self.take(8)
        if kind == _BYTE:
            return self._byte()
        raise ValueError(f"there is no type {kind}")

    def _values(self, size: int, kind: int, nested: int) -> list[Any]:
        return [self._item(kind, nested) for _ in range(self._held(size))]

    def _item(self, kind: int, nested: int) -> Any:
        """Return a value in a list, where a truth value has a byte of its own."""
        return self._byte() == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, nested + 1)

    def _held(self, size: int) -> int:
        if size > len(self.data) - self.at:  # each value takes a byte at least
            raise CutError("a list is longer than what is there")
        return size

    def take(self, size: int) -> bytes:
        """Return so many bytes."""
        found = self.data[self.at : self.at + size]
        if len(found) != size:
            raise CutError("the bytes end")
        self.at += size
        return found

    def _byte(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        """Return a number without a sign."""
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")

    def _integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)
