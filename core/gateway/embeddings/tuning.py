"""An ONNX model file with some of its weights replaced, as bytes.

onnxruntime can replace weights when it opens a session, but then it folds no constants and recomputes them on every
call, which takes three times as long. So the weights are replaced in the file. That requires parsing only these three
protobuf messages; everything else is copied. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from numpy.typing import NDArray

_Field = descriptor_pb2.FieldDescriptorProto
_GRAPH, _INITIALIZER, _NAME, _RAW_DATA = 7, 5, 8, 9


def with_weights(model: Path, weights: Mapping[str, NDArray[np.generic]]) -> bytes:
    """The ONNX file `model` with the named initializers replaced by `weights` of the same shapes and types.

    Raises ValueError for a name that the file lacks, and for weights of another size.
    """
    read = _model_type()()
    read.ParseFromString(model.read_bytes())
    missing = dict(weights)
    for tensor in read.graph.initializer:
        given = missing.pop(tensor.name, None)
        if given is not None:
            if given.nbytes != len(tensor.raw_data):
                raise ValueError(f"{tensor.name} has {len(tensor.raw_data)} bytes, and {given.nbytes} are given")
            tensor.raw_data = np.ascontiguousarray(given).tobytes()
    if missing:
        raise ValueError(f"{model.name} has no weights called {', '.join(sorted(missing))[:200]}")
    written: bytes = read.SerializeToString()
    return written


def _model_type() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="waybill/onnx.proto", package="waybill.onnx", syntax="proto2")
    for message, number, field, kind in (
        ("Tensor", _NAME, "name", _Field.TYPE_STRING),
        ("Graph", _INITIALIZER, "initializer", _Field.TYPE_MESSAGE),
        ("Model", _GRAPH, "graph", _Field.TYPE_MESSAGE),
    ):
        made = file.message_type.add(name=message).field.add(name=field, number=number, type=kind)
        made.label = _Field.LABEL_REPEATED if message == "Graph" else _Field.LABEL_OPTIONAL
        if kind == _Field.TYPE_MESSAGE:
            made.type_name = ".waybill.onnx.Tensor" if message == "Graph" else ".waybill.onnx.Graph"
    tensor = next(each for each in file.message_type if each.name == "Tensor")
    tensor.field.add(name="raw_data", number=_RAW_DATA, type=_Field.TYPE_BYTES, label=_Field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("waybill.onnx.Model"))
