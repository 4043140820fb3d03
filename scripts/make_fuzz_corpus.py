"""Writes the seed corpora of Fuzz: tiny models and safetensors files, one per feature of the formats.

Needs onnx and safetensors, see requirements.txt. Usage: python scripts/make_fuzz_corpus.py
"""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save

CORPUS = pathlib.Path(__file__).parent.parent / "Fuzz" / "Corpus"


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def model(nodes, initializers=(), inputs=(("x", ["N", 2]),), outputs=(("y", ["N", 2]),), **extra):
    graph = helper.make_graph(
        list(nodes),
        "g",
        [value(*pair) for pair in inputs],
        [value(*pair) for pair in outputs],
        list(initializers),
        value_info=[value("h", ["N", 2])],
        doc_string="d",
    )
    result = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("l", 1)], ir_version=9, **extra
    )
    helper.set_model_props(result, {"k": "v"})
    return result


def tensor(name, dtype, values, raw):
    array = np.asarray(values)
    if raw:
        return numpy_helper.from_array(array.astype(helper.tensor_dtype_to_np_dtype(dtype)), name)
    return helper.make_tensor(name, dtype, array.shape, array.flatten().tolist())


def models():
    relu = helper.make_node("Relu", ["x"], ["y"], name="r", doc_string="d")
    yield "relu", model([relu])
    types = ["FLOAT", "DOUBLE", "FLOAT16", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"]
    for raw in (False, True):
        tensors = [tensor(name, getattr(TensorProto, name), [[0, 1], [1, 0]], raw) for name in types]
        yield f"types-{'raw' if raw else 'typed'}", model([relu], tensors)
    yield "bfloat16", model([relu], [helper.make_tensor("b", TensorProto.BFLOAT16, [2], [1.0, -2.0])])
    yield "strings", model([relu], [helper.make_tensor("s", TensorProto.STRING, [2], [b"a", b"bc"])])
    external = tensor("e", TensorProto.FLOAT, [1, 2], True)
    external.ClearField("raw_data")
    external.data_location = TensorProto.EXTERNAL
    for key, text in (("location", "w.bin"), ("offset", "4"), ("length", "8")):
        external.external_data.add(key=key, value=text)
    yield "external", model([relu], [external])
    attributes = helper.make_node(
        "Conv", ["x"], ["y"], f=0.5, i=3, s="SAME_UPPER", fs=[1.0, 2.0], ints=[1, -2], ss=["a", "b"],
        t=tensor("t", TensorProto.FLOAT, [1, 2], True),
    )
    yield "attributes", model([attributes])
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["b"])], "b", [], [value("b", ["N", 2])])
    inner = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    yield "subgraph", model([inner], inputs=(("x", ["N", 2]), ("c", [1], TensorProto.BOOL)))
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("l", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    yield "function", model([helper.make_node("F", ["x"], ["y"], domain="l")], functions=[function])
    constant = helper.make_node("Constant", [], ["w"], value=tensor("", TensorProto.FLOAT, [[1, 2], [3, 4]], True))
    gemm = helper.make_node("Gemm", ["x", "w", ""], ["y"], transB=1)
    yield "gemm", model([constant, gemm])


def main():
    folder = CORPUS / "FuzzModel"
    folder.mkdir(parents=True, exist_ok=True)
    for name, proto in models():
        (folder / f"{name}.onnx").write_bytes(proto.SerializeToString())
    unknown = model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString()
    (folder / "unknown-fields.onnx").write_bytes(unknown + b"\xea\x3f\x03abc\xf0\x3f\x05")

    folder = CORPUS / "FuzzSafetensors"
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"t.{t}": np.zeros((2, 1), t) for t in ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")}
    (folder / "types.safetensors").write_bytes(save(arrays, {"k": "v"}))
    (folder / "empty.safetensors").write_bytes(save({}))
    (folder / "shapes.safetensors").write_bytes(
        save({"scalar": np.array(1, "f4"), "none": np.zeros((0, 3), "f4"), "w": np.ones((1, 2, 3), "f4")})
    )


if __name__ == "__main__":
    main()
