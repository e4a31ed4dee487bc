"""Reads tensors out of a file that `torch.save` wrote, without unpickling it.

Such a file is a zip archive in which `data.pkl` names the tensors and `data/KEY` holds the numbers of each storage. A
pickle is a program: unpickling one runs what it names (peft #2888), and torch's ``weights_only`` calls functions of
torch. Here a small machine walks the instructions (https://docs.python.org/3/library/pickletools.html). It knows those
that a dictionary of tensors is made of, imports and calls nothing, and refuses all others by their name.
"""

import io
import pickletools
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import torch

from promptbank.errors import InputError

__all__ = ["read_tensors"]

STORAGES = {
    "torch.FloatStorage": torch.float32,
    "torch.DoubleStorage": torch.float64,
    "torch.HalfStorage": torch.float16,
    "torch.BFloat16Storage": torch.bfloat16,
    "torch.LongStorage": torch.int64,
    "torch.IntStorage": torch.int32,
    "torch.BoolStorage": torch.bool,
    "torch.ByteStorage": torch.uint8,
}
CALLED = {"collections.OrderedDict", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"}
ALLOWED = {*STORAGES, *CALLED}
"""All that a file may name. The names stand for themselves; nothing is looked up under them."""

LARGEST_INDEX = 16 * 2**20
LARGEST_TENSOR = 64 * 2**20
MOST_VALUES = 100_000
DEEPEST = 8
MOST_ENTRIES = 100_000


UNSOUND = (InputError, zipfile.BadZipFile, ValueError, IndexError, KeyError, EOFError, OSError, RuntimeError)
"""What reading a damaged or a made file raises."""


@dataclass(frozen=True)
class _Name:
    """One of `ALLOWED`, as the pickle names it."""

    text: str


@dataclass(frozen=True)
class _Storage:
    """Where the numbers of tensors lie: the entry ``data/KEY`` of the archive."""

    dtype: torch.dtype
    key: str
    size: int


@dataclass(frozen=True)
class _TensorPlace:
    """A tensor as the pickle describes it; its numbers are not read yet."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_tensors(data: bytes, source: str, wanted: Callable[[str], bool]) -> dict[str, torch.Tensor]:
    """Return tensors of a file by their dotted names; keys of dictionaries in dictionaries are joined by ".".

    Args:
        data: the file's bytes.
        source: what it is called in an error.
        wanted: whether a tensor of this name is to be read; the numbers of others are not looked at.

    Raises:
        InputError: it is no such file, is damaged, names anything but tensors, or a tensor is larger than 64 MiB.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if len(archive.infolist()) > MOST_ENTRIES:
                raise InputError(f"it has over {MOST_ENTRIES} entries")
            index = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
            if index is None:
                raise InputError("it is a zip archive without data.pkl")
            root = index.removesuffix("data.pkl")
            places = dict(_flat(_Machine().run(_entry(archive, index, LARGEST_INDEX))))
            if f"{root}byteorder" in archive.namelist() and _entry(archive, f"{root}byteorder", 16) != b"little":
                raise InputError("its numbers are not little-endian")
            return {name: _tensor(archive, root, name, place) for name, place in places.items() if wanted(name)}
    except UNSOUND as exc:
        raise InputError(
            f"{source} is not read: {exc or type(exc).__name__}; it must be a dictionary of tensors that torch.save "
            f"wrote (`torch.save(model.state_dict(), FILE)`), since nothing else of such a file is safe to read"
        ) from exc


def _entry(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    """Return an entry of the archive, which torch stores as it is: a compressed one may grow a thousandfold."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
        raise InputError(f"its entry {name!r:.80} is compressed or encrypted, which torch.save does not do")
    if info.file_size > largest:
        raise InputError(f"its entry {name!r:.80} has {info.file_size:,} bytes; {largest:,} are the most")
    return archive.read(info)


def _flat(found: object, name: str = "") -> Iterator[tuple[str, _TensorPlace]]:
    """Yield the tensors of dictionaries in dictionaries, at most `MOST_VALUES` values in all."""
    waiting: list[tuple[str, object, int]] = [(name, found, 0)]
    left = MOST_VALUES
    while waiting:
        name, value, depth = waiting.pop()
        left -= 1
        if left < 0 or depth > DEEPEST:
            raise InputError(f"it has over {MOST_VALUES} values, or dictionaries in over {DEEPEST} others")
        if isinstance(value, _TensorPlace):
            yield name, value
        elif isinstance(value, dict):
            waiting += [(f"{name}.{key}" if name else str(key), one, depth + 1) for key, one in value.items()]


def _tensor(archive: zipfile.ZipFile, root: str, name: str, place: _TensorPlace) -> torch.Tensor:
    storage, count = place.storage, prod(place.shape)
    if place.stride != _contiguous(place.shape) or place.offset + count > storage.size:
        raise InputError(f"the tensor {name!r:.80} of shape {place.shape} is not in one piece in its storage")
    data = _entry(archive, f"{root}data/{storage.key}", LARGEST_TENSOR)
    width = storage.dtype.itemsize
    if len(data) != storage.size * width:
        raise InputError(f"the storage of {name!r:.80} has {len(data)} bytes, not {storage.size * width}")
    if count == 0:
        return torch.zeros(place.shape, dtype=storage.dtype)
    numbers = torch.frombuffer(bytearray(data), dtype=storage.dtype, count=count, offset=place.offset * width)
    return numbers.view(place.shape)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


class _Machine:
    """The instructions of a pickle that a dictionary of tensors needs; every other one is refused by its name."""

    def __init__(self) -> None:
        self._stack: list[object] = []
        self._marks: list[int] = []
        self._memo: dict[int, object] = {}

    def run(self, data: bytes) -> object:
        """Walk a pickle and return what it describes, of dictionaries, lists, numbers, texts and tensor places."""
        for instruction, argument, _ in pickletools.genops(data):
            if instruction.name == "STOP":
                return self.last(1)[0]
            if instruction.name not in _ACTIONS:
                raise InputError(f"its pickle has the instruction {instruction.name}")
            _ACTIONS[instruction.name](self, argument)
        raise InputError("its pickle has no end")

    def push(self, value: object) -> None:
        self._stack.append(value)

    def mark(self, _: object) -> None:
        self._marks.append(len(self._stack))

    def tuple_of(self, items: list[object]) -> None:
        self._stack.append(tuple(items))

    def since_mark(self) -> list[object]:
        taken = self._stack[self._marks[-1] :]
        del self._stack[self._marks.pop() :]
        return taken

    def last(self, count: int) -> list[object]:
        if count > len(self._stack) - (self._marks[-1] if self._marks else 0):
            raise InputError("its pickle takes more values than it has")
        return [self._stack.pop() for _ in range(count)][::-1]

    def put(self, place: object) -> None:
        self._memo[len(self._memo) if place is None else _count(place)] = self._stack[-1]

    def get(self, place: object) -> None:
        self._stack.append(self._memo[_count(place)])

    def name(self, argument: object) -> None:
        parts = str(argument).split(" ") if argument is not None else [_shown(part) for part in self.last(2)]
        text = ".".join(part.strip("'") for part in parts)
        if text not in ALLOWED:
            raise InputError(f"its pickle names {text:.120}, which is neither a tensor nor a dictionary of them")
        self._stack.append(_Name(text))

    def call(self, _: object) -> None:
        match self.last(2):
            case [_Name(text="collections.OrderedDict"), ()]:
                self._stack.append({})
            case [_Name(text="torch._utils._rebuild_parameter"), (_TensorPlace() as place, *_)]:
                self._stack.append(place)
            case [_Name(text="torch._utils._rebuild_tensor_v2"), (_Storage() as storage, offset, shape, stride, *_)]:
                self._stack.append(_TensorPlace(storage, _count(offset), _counts(shape), _counts(stride)))
            case [called, _]:
                raise InputError(f"its pickle calls {_shown(called)} in a way that is not known")

    def storage(self, _: object) -> None:
        match self.last(1):
            case [("storage", _Name(text=text), str(key), _, size)] if text in STORAGES:
                self._stack.append(_Storage(STORAGES[text], key, _count(size)))
            case _:
                raise InputError("its pickle refers to something that is no storage of a tensor")

    def set_items(self, pairs: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(pairs) % 2:
            raise InputError("its pickle sets an item of what is no dictionary")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) not in (str, int):
                raise InputError(f"its pickle has a key that is neither text nor whole number: {_shown(key)}")
            target[key] = value

    def append(self, items: list[object]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise InputError("its pickle appends to what is no list")
        target.extend(items)

    def attributes(self, _: object) -> None:
        """Leave out what is to be set on a dictionary, such as the ``_metadata`` of a module's state."""
        target, _left_out = self.last(2)
        if not isinstance(target, dict):
            raise InputError("its pickle sets attributes of what is no dictionary")
        self._stack.append(target)


_Action: TypeAlias = Callable[[_Machine, object], None]
_SKIP: dict[str, _Action] = dict.fromkeys(("PROTO", "FRAME"), lambda _machine, _argument: None)
_VALUES: dict[str, _Action] = dict.fromkeys(
    ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "NONE"), _Machine.push
)
_NAMES: dict[str, _Action] = dict.fromkeys(("GLOBAL", "STACK_GLOBAL"), _Machine.name)
_MEMO: dict[str, _Action] = {
    **dict.fromkeys(("BINPUT", "LONG_BINPUT", "MEMOIZE"), _Machine.put),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
}
_ACTIONS: dict[str, _Action] = {
    **_SKIP,
    **_VALUES,
    **_NAMES,
    **_MEMO,
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.tuple_of(machine.since_mark()),
    "TUPLE1": lambda machine, _: machine.tuple_of(machine.last(1)),
    "TUPLE2": lambda machine, _: machine.tuple_of(machine.last(2)),
    "TUPLE3": lambda machine, _: machine.tuple_of(machine.last(3)),
    "SETITEM": lambda machine, _: machine.set_items(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "APPEND": lambda machine, _: machine.append(machine.last(1)),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "REDUCE": _Machine.call,
    "BUILD": _Machine.attributes,
    "BINPERSID": _Machine.storage,
}
"""What each instruction does; its argument comes with it."""


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**40:
        raise InputError(f"its pickle has {_shown(value)} where a number from 0 is needed")
    return value


def _counts(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > DEEPEST:
        raise InputError(f"its pickle has {_shown(value)} where a shape is needed")
    return tuple(_count(one) for one in value)


def _shown(value: object) -> str:
    """Return a value for a message; of a nested one only its type, since its text could be endless."""
    return f"{value!r:.80}" if isinstance(value, (str, int, float, _Name)) else type(value).__name__
