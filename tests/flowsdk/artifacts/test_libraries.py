"""Values of well-known libraries are stored from where they lie, and loaded to where they were read."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pytest

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")
sparse = pytest.importorskip("scipy.sparse")

from flowsdk.artifacts import libraries  # noqa: E402
from flowsdk.artifacts.serializer import Payload, deserialize, dump, serialize  # noqa: E402
from flowsdk.exception import UnpicklableArtifact  # noqa: E402

ROWS = 20_000
#: The most that a pickle may hold of values whose memory lies beside it.
HEAD = 8192
#: Buffers of fewer bytes go into the pickle.
BESIDE = 4096


class Case(NamedTuple):
    """A value, the addresses of memory that is its own, and whether another one is equal to it."""

    make: Callable[[], Any]
    memory: Callable[[Any], list[int]]
    equal: Callable[[Any, Any], Any]


def numbers() -> dict[str, Any]:
    return {
        "a": np.arange(ROWS, dtype="float64"),
        "b": np.arange(ROWS),
        "c": np.arange(ROWS) % 2 == 0,
    }


def names() -> list[str]:
    return [f"a name too long to stand in place {n}" for n in range(ROWS)]


def of_arrow(table: Any) -> list[int]:
    chunks = (chunk for column in table.columns for chunk in column.chunks)
    return [
        buffer.address
        for chunk in chunks
        for buffer in chunk.buffers()
        if buffer and buffer.size >= BESIDE
    ]


def of_polars(frame: Any) -> list[int]:
    return of_arrow(frame.to_arrow(compat_level=pl.CompatLevel.newest()))


def polars_frame() -> Any:
    return pl.DataFrame(
        {
            **numbers(),
            "text": names(),
            "gaps": [None, 1] * (ROWS // 2),
            "lists": [[1, 2]] * ROWS,
        }
    )


CASES = {
    "numpy": Case(
        lambda: numbers()["a"].reshape(100, -1),
        lambda array: [array.ctypes.data],
        np.array_equal,
    ),
    "numpy-fortran": Case(
        lambda: np.asfortranarray(numbers()["a"].reshape(100, -1)),
        lambda array: [array.ctypes.data],
        np.array_equal,
    ),
    "dates": Case(
        lambda: np.arange("2026-01", "2080-01", dtype="datetime64[D]")[:19_000].reshape(-1, 2),
        lambda array: [array.ctypes.data],
        lambda a, b: a.dtype == b.dtype and np.array_equal(a, b),
    ),
    "pandas": Case(
        lambda: pd.DataFrame({**numbers(), "time": pd.date_range("2026-01-01", periods=ROWS)}),
        lambda frame: [frame[name].to_numpy(copy=False).ctypes.data for name in frame],
        lambda a, b: a.equals(b),
    ),
    "arrow": Case(
        lambda: pa.table({**numbers(), "text": names()}),
        of_arrow,
        lambda a, b: a.equals(b),
    ),
    "polars": Case(polars_frame, of_polars, lambda a, b: a.equals(b) and a.schema == b.schema),
    "polars-series": Case(
        lambda: pl.Series("text", names()),
        lambda series: of_polars(series.to_frame()),
        lambda a, b: a.equals(b, check_names=True),
    ),
    "scipy": Case(
        lambda: sparse.random(2000, 500, 0.1, format="csr", random_state=1),
        lambda matrix: [part.ctypes.data for part in (matrix.data, matrix.indices, matrix.indptr)],
        lambda a, b: (a != b).nnz == 0,
    ),
}


def span(view: Any) -> range:
    begin = np.frombuffer(view, dtype="uint8").ctypes.data
    return range(begin, begin + memoryview(view).nbytes)


def contiguous(payload: Payload) -> memoryview:
    return memoryview(bytearray(b"".join(bytes(part) for part in payload.parts)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_copy_is_made(case: Case) -> None:
    value = case.make()
    before = case.memory(value)
    payload = serialize({"inside": [value]})
    _, stream, *parts = payload.parts
    assert memoryview(stream).nbytes < HEAD
    own = [span(part) for part in parts if memoryview(part).nbytes > 64]
    assert all(any(address in one for one in own) for address in before)

    content = contiguous(payload)
    (loaded,) = deserialize(content)["inside"]
    assert case.equal(loaded, value)
    assert all(address in span(content) for address in case.memory(loaded))
    again = serialize({"inside": [loaded]})
    assert case.equal(
        deserialize(memoryview(b"".join(bytes(p) for p in again.parts)))["inside"][0], value
    )


def small(frame: Any) -> int:
    return serialize(frame).size


def test_rows_of_a_frame_that_were_cut_off_are_not_stored() -> None:
    rows = 200_000
    frame = pl.DataFrame(
        {"n": range(rows), "text": [f"a text of some length {n}" for n in range(rows)]}
    )
    assert libraries.reduce_frame(frame)[0] is libraries.make_frame
    for part in (frame.head(5), frame.gather_every(40_000), frame.slice(100_000, 5)):
        assert small(part) < 5000
    few = frame.filter(pl.col("n") % 50 == 0)
    assert small(few) < small(frame) / 20
    assert libraries.reduce_frame(frame.head(150_000))[0] is libraries.make_frame


@pytest.mark.parametrize(
    "kind",
    [
        pl.Array(pl.Enum(["b", "a"]), 2),
        pl.List(pl.Array(pl.Enum(["b", "a"]), 2)),
        pl.List(pl.Enum(["b", "a"])),
    ],
    ids=str,
)
def test_types_stay_what_they_are(kind: Any) -> None:
    nested = isinstance(kind, pl.List) and isinstance(kind.inner, pl.Array)
    row: Any = [["a", "b"]] if nested else ["a", "b"]
    frame = pl.DataFrame({"n": [row] * ROWS}, schema={"n": kind})
    assert deserialize(contiguous(serialize(frame))).schema == frame.schema


@pytest.mark.parametrize(
    "frame", [pl.DataFrame({"a": [1, 2, 3]}).drop("a"), pl.DataFrame(), pl.DataFrame({"a": []})]
)
def test_frames_with_little_in_them(frame: Any) -> None:
    loaded = deserialize(contiguous(serialize(frame)))
    assert (loaded.shape, loaded.schema) == (frame.shape, frame.schema)


def test_categories_of_polars_stay_what_they_are() -> None:
    kinds = ["x", "y"] * (ROWS // 2)
    columns = {"category": pl.Categorical, "enum": pl.Enum(["x", "y"])}
    frame = pl.DataFrame({name: pl.Series(kinds, dtype=kind) for name, kind in columns.items()})
    payload = serialize(frame)
    assert len(payload.parts[1]) < HEAD
    loaded = deserialize(contiguous(payload))
    assert loaded.schema == frame.schema
    assert loaded.equals(frame)


def test_what_arrow_would_not_give_back_is_left_to_polars() -> None:
    frame = pl.DataFrame({"objects": pl.Series([{1}, {2}], dtype=pl.Object)})
    assert frame.to_arrow().schema.field("objects").type != pa.null()  # addresses, for numbers
    with pytest.raises(UnpicklableArtifact, match="type Object is not supported"):
        serialize(frame)


def test_a_pickle_for_others_needs_no_flowsdk() -> None:
    assert b"flowsdk" not in dump(polars_frame())


TORCH = """
import torch
from flowsdk.artifacts.serializer import deserialize, serialize

def stored(value):
    payload = serialize(value)
    stream = payload.parts[1]
    content = memoryview(bytearray(b"".join(bytes(part) for part in payload.parts)))
    return stream, payload.parts[2:], content, deserialize(content)

def address(part):
    import numpy
    return numpy.frombuffer(part, dtype="uint8").ctypes.data

for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.complex64):
    tensor = torch.arange(20_000).reshape(100, 200).to(dtype)
    stream, parts, content, loaded = stored({"t": tensor, "row": tensor[3], "turned": tensor.T})
    assert len(stream) < 2048, len(stream)
    assert tensor.data_ptr() in {address(part) for part in parts if memoryview(part).nbytes > 64}
    for name, expected in (("t", tensor), ("row", tensor[3]), ("turned", tensor.T)):
        found = loaded[name]
        assert found.dtype == dtype and torch.equal(found, expected), name
        assert found.stride() == expected.stride()
        assert address(content) <= found.data_ptr() < address(content) + content.nbytes
    if hasattr(tensor, "untyped_storage"):  # torch 2: a storage is one object
        assert loaded["row"].data_ptr() == loaded["t"][3].data_ptr()
        assert sum(memoryview(p).nbytes for p in parts) < 1.1 * tensor.nbytes + 1024

tiny = stored(torch.ones(5))[-1]
tiny.resize_(1000)  # in memory of its own

layer = torch.nn.Linear(200, 100)
stream, parts, content, loaded = stored(layer)
assert len(stream) < 4096, len(stream)
x = torch.ones(1, 200)
assert torch.equal(layer(x), loaded(x))
assert all(parameter.requires_grad for parameter in loaded.parameters())
loaded(x).sum().backward()

if hasattr(torch, "set_default_device"):
    torch.set_default_device("meta")
    assert torch.equal(stored(x)[-1], x)
    torch.set_default_device("cpu")

for special in (
    torch.empty(0),
    torch.ones(3, requires_grad=True),
    torch.eye(3).to_sparse(),
    torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    torch.ones(3, dtype=torch.complex64).conj(),
):
    found = stored(special)[-1]
    assert found.requires_grad == special.requires_grad
    dense = (lambda t: t.dequantize() if t.is_quantized else t.to_dense() if t.is_sparse else t)
    assert torch.equal(dense(found), dense(special))
"""


def torch_python() -> str | None:
    """A Python that has torch: Debian's is for its own one, and PyPI's wants CUDA."""
    if find_spec("torch"):
        return sys.executable
    for python in filter(None, map(shutil.which, ("/usr/bin/python3",))):
        if (
            subprocess.run(
                [python, "-c", "import torch"], capture_output=True, check=False
            ).returncode
            == 0
        ):
            return python
    return None


def test_tensors_of_torch() -> None:
    python = torch_python()
    if python is None:
        pytest.skip("needs torch")
    root = Path(libraries.__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    found = subprocess.run(
        [python, "-c", TORCH], env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
