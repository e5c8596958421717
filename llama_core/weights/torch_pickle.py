"""What `data.pkl` of a torch file says of its tensors, found without unpickling: no code of a file is run.

torch writes a dictionary of tensors as a pickle, whose opcodes are read here one by one. Only those that a
dictionary of tensors needs are known, and a name of Python's stands for itself: nothing is imported.
"""

import pickletools
from typing import Any, NamedTuple

from llama_core.errors import DamagedError
from llama_core.parse import damaged, shown

MOST = 2 << 20  # bytes: a model of 1,024 layers has fewer, and a byte can make an object of a hundred
TENSOR = "torch._utils _rebuild_tensor_v2"
PARAMETER = "torch._utils _rebuild_parameter"
EMPTY = "collections OrderedDict"
_MARK = object()
_PLAIN = {"NONE", "NEWTRUE", "NEWFALSE", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"}
_NOTHING = {"PROTO", "FRAME"}
_NUMBERS = {"BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "INT", "LONG"}
_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Global(NamedTuple):
    """A name of Python's, as `module name`."""

    name: str


class Storage(NamedTuple):
    """The `numel` elements of one or several tensors: a member of the file."""

    kind: str
    """The name of torch's class, such as HalfStorage."""
    key: str
    numel: int


class View(NamedTuple):
    """A tensor: a view of a storage. `offset` and `strides` are counted in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def tensors_of(data: bytes, what: str) -> dict[str, Any]:
    """Return what lies in the dictionary of a `data.pkl`, by name: a View for each tensor.

    Raises DamagedError, which calls the file `what`, for anything but a dictionary of tensors and numbers.
    """
    if len(data) > MOST:
        raise damaged(what, f"its list of tensors has {len(data):,} bytes, where {MOST:,} is the most")
    try:
        value = _Machine().run(data)
    except DamagedError:
        raise
    except Exception as error:
        raise damaged(what, f"it is no dictionary of tensors: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise damaged(what, f"it holds {type(value).__name__}, and not tensors by name")
    return value


class _Machine:
    """The stack on which a pickle makes its value. It raises whatever Python does for what makes no sense."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        """Return the value."""
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self._stack.pop()
            self._do(opcode.name, argument)
        raise ValueError("it is cut short")

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _NOTHING:
            return
        if name in _PLAIN:
            values = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
            stack.append({} if name == "EMPTY_DICT" else [] if name == "EMPTY_LIST" else values[name])
        elif name in _NUMBERS or name in _TEXTS:
            stack.append(argument)
        elif name == "MARK":
            stack.append(_MARK)
        elif name in _TUPLES:
            stack[-_TUPLES[name] :] = [tuple(stack[-_TUPLES[name] :])]
        elif name == "TUPLE":
            stack.append(tuple(self._from_mark()))
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name == "GLOBAL":
            stack.append(Global(argument))
        elif name == "STACK_GLOBAL":
            module, inner = stack[-2:]
            if not isinstance(module, str) or not isinstance(inner, str):
                raise ValueError("it names what is no name")
            stack[-2:] = [Global(f"{module} {inner}")]
        else:
            self._build(name)

    def _build(self, name: str) -> None:
        """Do what puts values together."""
        stack = self._stack
        if name == "BINPERSID":
            stack.append(_storage(stack.pop()))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":
            stack.pop()  # what a state_dict says of its modules
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _set(stack[-1], key, value)
        elif name == "SETITEMS":
            items = self._from_mark()
            for key, value in zip(items[::2], items[1::2], strict=True):
                _set(stack[-1], key, value)
        elif name == "APPEND":
            stack[-2].append(stack.pop())
        elif name == "APPENDS":
            items = self._from_mark()
            stack[-1].extend(items)
        else:
            raise ValueError(f"it needs {name}")

    def _from_mark(self) -> list[Any]:
        """Take everything from the stack that was put there after the last mark."""
        items: list[Any] = []
        while (item := self._stack.pop()) is not _MARK:
            items.append(item)
        return items[::-1]


def _set(target: Any, key: Any, value: Any) -> None:
    if not isinstance(target, dict) or not isinstance(key, str):
        raise ValueError("it sets what is no key of a dictionary")
    if isinstance(value, View) and key in target:
        raise ValueError(f"it holds {shown(key)} twice")
    target[key] = value


def _storage(persistent: Any) -> Storage:
    kind, of, key, _, count = persistent
    if kind != "storage" or not isinstance(of, Global) or not isinstance(key, str) or not _is_count(count):
        raise ValueError("it refers to what is no storage")
    module, _, name = of.name.partition(" ")
    if module != "torch":
        raise ValueError(f"it refers to a {shown(of.name)}")
    return Storage(name, key, count)


def _made(function: Any, arguments: Any) -> Any:
    """Return what a call gives, of the three that a dictionary of tensors needs. Raises ValueError."""
    name = function.name if isinstance(function, Global) else type(function).__name__
    if name == EMPTY and not arguments:
        return {}
    if name == PARAMETER:
        return arguments[0]
    if name != TENSOR:
        raise ValueError(f"it calls {shown(name)}")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or len(shape) != len(strides) or len(shape) > 8:
        raise ValueError("it makes a tensor of something else than a storage")
    if not all(_is_count(n) for n in (offset, *shape, *strides)):
        raise ValueError("it makes a tensor of no size")
    return View(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62
