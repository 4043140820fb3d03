"""Writes the seed corpora of Fuzz: tiny models, safetensors files and pictures, one per feature of the formats.

Needs onnx, safetensors and Pillow, see requirements.txt. Usage: python scripts/make_fuzz_corpus.py
"""

import pathlib

import numpy as np
import onnx
from PIL import Image
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save

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
    yield "classifier", classifier()


def classifier():
    """A convolutional network with a bit of everything: normalisation, pooling, shape arithmetic, slices, a residual."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["c", "s", "s", "s", "s"], ["n"]),
        helper.make_node("Relu", ["n"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], ceil_mode=1),
        helper.make_node("AveragePool", ["r"], ["q"], kernel_shape=[3, 3], auto_pad="SAME_UPPER"),
        helper.make_node("Slice", ["p", "from", "to", "axes"], ["t"]),
        helper.make_node("Pad", ["t", "pads"], ["u"]),
        helper.make_node("Add", ["u", "q"], ["a"]),
        helper.make_node("Transpose", ["a"], ["v"], perm=[0, 2, 3, 1]),
        helper.make_node("ReduceMean", ["v"], ["m"], axes=[1, 2], keepdims=0),
        helper.make_node("Shape", ["m"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["target"], axis=0),
        helper.make_node("Reshape", ["m", "target"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["h"]),
        helper.make_node("Softmax", ["h"], ["y"], axis=1),
    ]
    numbers = {"from": [0], "to": [2], "axes": [2], "pads": [0, 0, 0, 0, 0, 0, 2, 0], "zero": [0], "rest": [-1]}
    initializers = [tensor(name, TensorProto.INT64, values, True) for name, values in numbers.items()]
    initializers += [
        numpy_helper.from_array(np.full(shape, 0.5, np.float32), name)
        for name, shape in (("k", (2, 1, 3, 3)), ("s", (2,)), ("w", (2, 2)))
    ]
    return model(nodes, initializers, inputs=(("x", ["N", 1, 8, 8]),))


def pictures():
    values = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    rgb = Image.fromarray(values)
    yield "FuzzJPEG/baseline.jpg", rgb, {"quality": 50}
    yield "FuzzJPEG/progressive.jpg", rgb, {"progressive": True, "subsampling": 2}
    yield "FuzzJPEG/gray.jpg", rgb.convert("L"), {"restart_marker_blocks": 1}
    yield "FuzzJPEG/cmyk.jpg", rgb.convert("CMYK"), {}
    yield "FuzzPNG/rgba.png", rgb.convert("RGBA"), {}
    yield "FuzzPNG/palette.png", rgb.quantize(5), {"bits": 4, "transparency": 1}
    yield "FuzzPNG/bit.png", rgb.convert("1"), {}
    yield "FuzzPNG/gray16.png", Image.fromarray(values[:, :, 0].astype(np.uint16) * 257), {}


def formats():
    """The tests' pictures of the other formats, as scripts/make_format_fixtures.py wrote them: a few of each."""
    arrays = load_file(CORPUS.parent.parent / "Tests/Fixtures/pictures/formats.safetensors")
    targets = {"webp": "WebP", "gif": "GIF", "tif": "TIFF", "bmp": "BMP", "pnm": "PNM", "avif": "AVIF"}
    for suffix, target in targets.items():
        names = sorted(name for name in arrays if name.startswith("file/") and name.endswith("." + suffix))
        for name in names[:: max(1, len(names) // 24)]:
            yield f"Fuzz{target}/{name[5:]}", arrays[name].tobytes()


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

    for name, picture, options in pictures():
        (CORPUS / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(CORPUS / name, **options)

    for name, data in formats():
        (CORPUS / name).parent.mkdir(parents=True, exist_ok=True)
        (CORPUS / name).write_bytes(data)


if __name__ == "__main__":
    main()
