"""How values of well-known libraries are pickled without a copy, where the libraries do not do so.

numpy, pandas, Arrow and scipy hand pickle their memory as it is, except for dates. torch and polars write
it into bytes first, and those into the pickle. None of them is imported before one of its values is met.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pickle import PickleBuffer
from typing import Any

#: What a value's ``__reduce_ex__`` gives.
Reduced = Any
_PROTOCOL = 5
#: Smaller frames are left to polars.
_WORTH_ARROW = 64 * 1024
#: Bytes of a text's view. https://arrow.apache.org/docs/format/Columnar.html
_VIEW = 16


def reduce_array(array: Any) -> Reduced:
    """A ``numpy.ndarray``: dates and durations as the numbers that they are, which have a buffer."""
    if array.dtype.kind not in "mM":
        return array.__reduce_ex__(_PROTOCOL)
    return make_dates, (array.view("int64"), array.dtype)


def make_dates(numbers: Any, dtype: Any) -> Any:
    """The ``numpy.ndarray`` of dates or durations."""
    return numbers.view(dtype)


def reduce_tensor(tensor: Any) -> Reduced:
    """A ``torch.Tensor`` as a view of its storage, which several tensors may share."""
    import torch

    plain = (
        tensor.device.type == "cpu"
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
        and not (tensor.__dict__ or tensor._backward_hooks or tensor.has_names())
        and hasattr(torch, "UntypedStorage")
    )
    if not plain:
        return tensor.__reduce_ex__(_PROTOCOL)
    storage = _storage_of(tensor)
    view = (tensor.storage_offset(), tuple(tensor.size()), tensor.stride())
    return make_tensor, (storage, tensor.dtype, *view, tensor.requires_grad)


def make_tensor(
    storage: Any,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
) -> Any:
    """What :func:`reduce_tensor` took apart."""
    import torch

    # Which device is named because another one may be the default.
    made = torch.empty(0, dtype=dtype, device="cpu").set_(storage, offset, size, stride)
    return made.requires_grad_(requires_grad)


def reduce_storage(storage: Any) -> Reduced:
    """A ``torch.UntypedStorage`` as its memory."""
    import torch

    if storage.device.type != "cpu":
        return storage.__reduce_ex__(_PROTOCOL)
    content = torch.empty(0, dtype=torch.uint8, device="cpu").set_(storage)
    return make_storage, (PickleBuffer(content.numpy()),)


def make_storage(content: bytearray | memoryview) -> Any:
    """A ``torch.UntypedStorage`` in the memory of ``content``."""
    import torch

    if not len(content):
        return torch.UntypedStorage(0)
    whole = torch.frombuffer(content, dtype=torch.uint8)
    # What was pickled need not stay where it is: a storage of its own can grow.
    return _storage_of(whole if isinstance(content, memoryview) else whole.clone())


def _storage_of(tensor: Any) -> Any:
    """Of torch 2 the same object for all tensors that share it, so that it is stored once."""
    if hasattr(tensor, "untyped_storage"):
        return tensor.untyped_storage()
    return tensor.storage().untyped()


def reduce_frame(frame: Any) -> Reduced:
    """A ``polars.DataFrame`` as an Arrow table, which shares its memory."""
    table = _as_table(frame)
    return frame.__reduce_ex__(_PROTOCOL) if table is None else (make_frame, (table,))


def make_frame(table: Any) -> Any:
    """The ``polars.DataFrame`` of an Arrow table."""
    import polars as pl

    return pl.from_arrow(table, rechunk=False)


def reduce_series(series: Any) -> Reduced:
    """A ``polars.Series`` as an Arrow table of one column."""
    table = _as_table(series.to_frame())
    return series.__reduce_ex__(_PROTOCOL) if table is None else (make_series, (table,))


def make_series(table: Any) -> Any:
    """The ``polars.Series`` of an Arrow table's only column."""
    return make_frame(table).to_series()


def _as_table(frame: Any) -> Any:
    """None where polars stores it better, or Arrow is not here or would not give back what it is given."""
    import polars as pl

    size = frame.estimated_size()
    if frame.width == 0 or size < _WORTH_ARROW:
        return None
    try:
        table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
        # A slice refers to the memory of the whole. What a view of a text takes is not in the estimate.
        texts = sum(kind in (pl.String, pl.Binary) for kind in frame.schema.values())
        fits = table.get_total_buffer_size() <= 2 * (size + _VIEW * frame.height * texts)
        empty = pickle.loads(pickle.dumps(table.schema.empty_table(), _PROTOCOL))
        same = make_frame(empty).schema == frame.schema
    except Exception:  # noqa: BLE001  # an older version, no pyarrow, foreign types
        return None
    except pl.exceptions.PanicException:
        return None
    return table if fits and same else None


#: Qualified name of a type → how its values are pickled.
REDUCERS: dict[str, Callable[[Any], Reduced]] = {
    "numpy.ndarray": reduce_array,
    "polars.dataframe.frame.DataFrame": reduce_frame,
    "polars.series.series.Series": reduce_series,
    "torch.Tensor": reduce_tensor,
    "torch.storage.UntypedStorage": reduce_storage,
}
