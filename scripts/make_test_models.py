#!/usr/bin/env python3
"""Writes the small models, with PyTorch's answers for them, that the tests read: Tests/Fixtures/oracles/NAME/.

    pip install -r scripts/requirements.txt
    python scripts/make_test_models.py

Two groups. `resnet-*` come out of PyTorch's exporters; metadata `names` maps PyTorch's names to those in the file where
they differ. The others are one network (conv1 -> relu -> conv2 -> relu -> average pooling -> fc) written by hand in the
forms that exporters are known for. Tensors are named as the file stores them, so that `grad/fc.weight_t` is the
gradient in the stored layout. File format: see oracle.py.
"""

import argparse
import json
import pathlib
from collections.abc import Callable

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

import oracle
from small_resnet import SmallResNet

CLASSES, STEPS, BATCH, SIZE = 5, 3, 4, 8
UNFREEZE = ["conv2", "fc"]


# MARK: the hand-written network


class Plain(nn.Module):
    """What every hand-written model computes. The two convolutions start with equal biases."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 1, 1)
        self.conv2 = nn.Conv2d(8, 8, 3, 2, 1)
        self.fc = nn.Linear(8, CLASSES)
        with torch.no_grad():
            self.conv2.bias.copy_(self.conv1.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        return self.fc(x.mean((2, 3)))


class Opset9(nn.Module):
    """The reference of `opset9-attributes`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, 2)
        self.fc = nn.Linear(8, CLASSES)
        oracle.randomise_batch_norm(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn1(self.conv1(functional.pad(x, (2, 1, 0, 1)))).clamp(0, 0.6)
        x = functional.leaky_relu(self.conv2(x[:, :, 1:, :-1]), 0.1)
        x = x * functional.softmax(x.flatten(1), 1).view_as(x)
        return self.fc(x.sum((2, 3)))


class Builder:
    """Collects nodes and initializers of a model with one input and one output."""

    def __init__(self, opset: int = 17, ir: int = 8, batch: int | str = "N", element: int = TensorProto.FLOAT) -> None:
        self.nodes, self.initializers, self.values = [], [], []
        self.opset, self.ir, self.batch, self.element = opset, ir, batch, element

    def weight(self, name: str, value: torch.Tensor | np.ndarray) -> str:
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, operator: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=f"{operator}_{output}", **attributes))
        return output

    def model(self, input_shape: tuple[int, ...] = (3, SIZE, SIZE), inputs_too: bool = False) -> onnx.ModelProto:
        inputs = [helper.make_tensor_value_info("input", self.element, [self.batch, *input_shape])]
        if inputs_too:
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in self.initializers]
        output = helper.make_tensor_value_info("logits", self.element, [self.batch, CLASSES])
        graph = helper.make_graph(self.nodes, "main", inputs, [output], self.initializers, value_info=self.values)
        return helper.make_model(
            graph, producer_name="make_test_models.py", ir_version=self.ir,
            opset_imports=[helper.make_opsetid("", self.opset)],
        )


def convolutions(b: Builder, weights: dict[str, str], x: str = "input") -> str:
    """conv1 -> relu -> conv2 -> relu -> GlobalAveragePool; `weights` maps parameters to the values that hold them."""
    for name, stride in (("conv1", 1), ("conv2", 2)):
        inputs = [x, weights[f"{name}.weight"], weights[f"{name}.bias"]]
        b.node("Conv", inputs, name, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[stride, stride])
        x = b.node("Relu", [name], f"{name}_relu")
    return b.node("GlobalAveragePool", [x], "pooled")


def initializers(b: Builder, net: nn.Module, skip: tuple[str, ...] = ()) -> dict[str, str]:
    """One initializer per parameter of `net`, under the parameter's name, but for those in `skip`."""
    return {name: b.weight(name, p) for name, p in net.named_parameters() if name not in skip}


def head(b: Builder, x: str, weights: dict[str, str]) -> None:
    b.node("Flatten", [x], "flat")
    b.node("Gemm", ["flat", weights["fc.weight"], weights["fc.bias"]], "logits", transB=1)


# MARK: forms of the same network


def external_data(net: Plain) -> onnx.ModelProto:
    """Nothing unusual; every tensor is written to `weights.bin` beside the model."""
    b = Builder()
    weights = initializers(b, net)
    head(b, convolutions(b, weights), weights)
    return b.model()


def shared_initializer(net: Plain) -> onnx.ModelProto:
    """Equal tensors merged: one initializer is the bias of both convolutions."""
    b = Builder()
    weights = initializers(b, net, ("conv2.bias",)) | {"conv2.bias": "conv1.bias"}
    head(b, convolutions(b, weights), weights)
    return b.model()


def constant_weights(net: Plain) -> onnx.ModelProto:
    """No initializers at all: every weight is the output of a Constant node."""
    b = Builder()
    weights = {}
    for name, p in net.named_parameters():
        weights[name] = b.node("Constant", [], name, value=numpy_helper.from_array(p.detach().numpy(), f"{name}_value"))
    head(b, convolutions(b, weights), weights)
    return b.model()


def identity_weights(net: Plain) -> onnx.ModelProto:
    """Weights reach their layers through Identity nodes, one of them through two."""
    b = Builder()
    weights = initializers(b, net)
    for name in ("conv2.weight", "conv2.bias", "fc.weight", "fc.bias"):
        weights[name] = b.node("Identity", [weights[name]], f"{name}_alias")
    weights["fc.weight"] = b.node("Identity", [weights["fc.weight"]], "fc.weight_alias_2")
    head(b, convolutions(b, weights), weights)
    return b.model()


def transposed_weight(net: Plain) -> onnx.ModelProto:
    """fc's weight is stored [in, out] and reaches a Gemm with transB through a Transpose."""
    b = Builder()
    weights = initializers(b, net, ("fc.weight",))
    stored = b.weight("fc.weight_t", net.fc.weight.T)
    weights["fc.weight"] = b.node("Transpose", [stored], "fc.weight", perm=[1, 0])
    head(b, convolutions(b, weights), weights)
    return b.model()


def matmul_add_head(net: Plain) -> onnx.ModelProto:
    """The dense layer as MatMul and Add, the bias first."""
    b = Builder()
    weights = initializers(b, net, ("fc.weight",))
    b.weight("fc.weight_t", net.fc.weight.T)
    b.node("Flatten", [convolutions(b, weights)], "flat")
    b.node("MatMul", ["flat", "fc.weight_t"], "fc_matmul")
    b.node("Add", ["fc.bias", "fc_matmul"], "logits")
    return b.model()


def conv1x1_head(net: Plain) -> onnx.ModelProto:
    """The classifier is a 1x1 convolution before the pooling."""
    b = Builder()
    weights = initializers(b, net, ("fc.weight",))
    b.weight("fc.weight", net.fc.weight[:, :, None, None])
    convolutions(b, weights)
    b.nodes.pop()
    b.node("Conv", ["conv2_relu", "fc.weight", "fc.bias"], "fc", kernel_shape=[1, 1])
    b.node("GlobalAveragePool", ["fc"], "pooled")
    b.node("Flatten", ["pooled"], "logits")
    return b.model()


def fixed_batch(net: Plain) -> onnx.ModelProto:
    """Batch 1 is written into the input, the inner shapes and the target of a Reshape."""
    b = Builder(batch=1)
    weights = initializers(b, net)
    b.initializers.append(numpy_helper.from_array(np.array([1, -1], dtype=np.int64), "flat_shape"))
    b.node("Reshape", [convolutions(b, weights), "flat_shape"], "flat")
    b.node("Gemm", ["flat", "fc.weight", "fc.bias"], "logits", transB=1)
    b.values = [
        helper.make_tensor_value_info("pooled", TensorProto.FLOAT, [1, 8, 1, 1]),
        helper.make_tensor_value_info("flat", TensorProto.FLOAT, [1, 8]),
    ]
    return b.model()


def initializers_as_inputs(net: Plain) -> onnx.ModelProto:
    """IR version 3, where every initializer is a graph input as well."""
    b = Builder(opset=8, ir=3)
    weights = initializers(b, net)
    head(b, convolutions(b, weights), weights)
    return b.model(inputs_too=True)


def nhwc_input(net: Plain) -> onnx.ModelProto:
    """Channels last outside and the names of a TensorFlow export."""
    b = Builder(opset=13)
    weights = initializers(b, net, ("fc.weight",))
    b.weight("dense/MatMul/ReadVariableOp:0", net.fc.weight.T)
    b.node("Transpose", ["input"], "input_nchw:0", perm=[0, 3, 1, 2])
    convolutions(b, weights, "input_nchw:0")
    b.nodes.pop()
    b.node("Transpose", ["conv2_relu"], "conv2_nhwc:0", perm=[0, 2, 3, 1])
    b.node("ReduceMean", ["conv2_nhwc:0"], "mean:0", axes=[1, 2], keepdims=0)
    b.node("MatMul", ["mean:0", "dense/MatMul/ReadVariableOp:0"], "dense/MatMul:0")
    b.node("Add", ["dense/MatMul:0", "fc.bias"], "logits")
    return b.model((SIZE, SIZE, 3))


def half_weights(net: Plain) -> onnx.ModelProto:
    """Weights stored in float16, each followed by a Cast; the arithmetic is float32."""
    b = Builder()
    weights = {}
    for name, p in net.named_parameters():
        stored = b.weight(name, p.detach().half())
        weights[name] = b.node("Cast", [stored], f"{name}_float", to=TensorProto.FLOAT)
    head(b, convolutions(b, weights), weights)
    return b.model()


def half_model(net: Plain) -> onnx.ModelProto:
    """Everything in float16: input, weights, output."""
    b = Builder(element=TensorProto.FLOAT16)
    weights = {name: b.weight(name, p.detach().half()) for name, p in net.named_parameters()}
    head(b, convolutions(b, weights), weights)
    return b.model()


def opset9_attributes(net: Opset9) -> onnx.ModelProto:
    """Operators whose attributes later became inputs, Softmax over all trailing axes, Dropout left in."""
    b = Builder(opset=9, ir=4)
    weights = initializers(b, net)
    for name in ("bn1.running_mean", "bn1.running_var"):
        weights[name] = b.weight(name, net.get_buffer(name))
    b.node("Pad", ["input"], "padded", mode="constant", pads=[0, 0, 0, 2, 0, 0, 1, 1], value=0.0)
    b.node("Conv", ["padded", "conv1.weight", "conv1.bias"], "conv1", kernel_shape=[3, 3])
    statistics = ["bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var"]
    b.node("BatchNormalization", ["conv1", *statistics], "bn1", epsilon=1e-5, momentum=0.9)
    b.node("Clip", ["bn1"], "clipped", min=0.0, max=0.6)
    b.node("Slice", ["clipped"], "cut", axes=[2, 3], starts=[1, 0], ends=[2**31 - 1, -1])
    b.node("Conv", ["cut", "conv2.weight", "conv2.bias"], "conv2", kernel_shape=[3, 3], strides=[2, 2])
    b.node("LeakyRelu", ["conv2"], "leaky", alpha=0.1)
    b.node("Softmax", ["leaky"], "attention", axis=1)
    b.node("Mul", ["leaky", "attention"], "attended")
    b.node("ReduceSum", ["attended"], "pooled", axes=[2, 3], keepdims=1)
    b.node("Dropout", ["pooled"], "dropped", ratio=0.5)
    b.node("Squeeze", ["dropped"], "squeezed", axes=[2, 3])
    b.node("Unsqueeze", ["squeezed"], "unsqueezed", axes=[0])
    b.node("Squeeze", ["unsqueezed"], "flat", axes=[0])
    b.node("Gemm", ["flat", "fc.weight", "fc.bias"], "logits", transB=1)
    return b.model()


# MARK: oracles


def data(seed: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    pictures = rng.standard_normal((STEPS, BATCH, 3, size, size), dtype=np.float32)
    return pictures, rng.integers(0, CLASSES, (STEPS, BATCH))


def metadata(unfreeze: list[str], **settings: object) -> dict[str, str]:
    text = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    text["unfreeze"] = ",".join(unfreeze)
    versions = oracle.versions("torch", "onnx", "onnxscript", "onnxruntime")
    return text | {"script": "scripts/make_test_models.py", **versions}


def stored_as(answers: dict[str, np.ndarray], name: str, stored: str, form: Callable[[np.ndarray], np.ndarray]) -> None:
    """Renames and reshapes the gradient and final value of parameter `name` to what the file stores."""
    for kind in ("grad", "final"):
        answers[f"{kind}/{stored}"] = form(answers.pop(f"{kind}/{name}"))


def hand_written(folder: pathlib.Path) -> None:
    transposed = ("fc.weight_t", np.transpose)
    forms: list[tuple[Callable, tuple[str, Callable] | None]] = [
        (external_data, None),
        (shared_initializer, None),
        (constant_weights, None),
        (identity_weights, None),
        (transposed_weight, transposed),
        (matmul_add_head, transposed),
        (conv1x1_head, ("fc.weight", lambda w: w[:, :, None, None])),
        (fixed_batch, None),
        (initializers_as_inputs, None),
        (nhwc_input, ("dense/MatMul/ReadVariableOp:0", np.transpose)),
        (half_weights, None),
        (half_model, None),
        (opset9_attributes, None),
    ]
    for seed, (form, stored) in enumerate(forms):
        torch.manual_seed(seed)
        net = (Opset9 if form is opset9_attributes else Plain)()
        half = form in (half_weights, half_model)
        if half:
            with torch.no_grad():
                for p in net.parameters():
                    p.copy_(p.half().float())
        name = form.__name__.replace("_", "-")
        write(folder / name, form(net), net, seed, stored, external=form is external_data)


def write(
    folder: pathlib.Path, model: onnx.ModelProto, net: nn.Module, seed: int, stored: tuple[str, Callable] | None,
    external: bool = False,
) -> None:
    """Saves model and answers after checking that ONNX Runtime and PyTorch agree on it."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.checker.check_model(model, full_check=True)
    path = folder / "model.onnx"
    for leftover in folder.iterdir():
        leftover.unlink()
    location = "weights.bin" if external else None
    onnx.save(model, path, save_as_external_data=external, location=location, size_threshold=0)
    pictures, labels = data(seed, SIZE)
    answers = oracle.training_run(net, UNFREEZE, pictures, labels)
    shape = model.graph.input[0].type.tensor_type.shape
    x = pictures[0]
    if shape.dim[3].dim_value == 3:
        answers["input"] = np.moveaxis(pictures, 2, 4)
        x = answers["input"][0]
    half = model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT16
    if half:
        answers["input"] = pictures.astype(np.float16)
        x = answers["input"][0]
    if shape.dim[0].dim_value == 1:
        got = np.concatenate([oracle.runtime_logits(path, row[None]) for row in x])
    else:
        got = oracle.runtime_logits(path, x)
    tolerance = 5e-3 if half else 1e-5
    np.testing.assert_allclose(got, answers["logits_eval"], rtol=tolerance, atol=tolerance, err_msg=str(folder))
    answers["logits_eval"] = got
    if stored is not None:
        stored_as(answers, "fc.weight", *stored)
    settings = metadata(UNFREEZE, seed=seed, lr=1e-2, momentum=0.9, weight_decay=0.0, bn_mode="eval")
    oracle.save(folder / "oracle.safetensors", answers, settings)


def exported(folder: pathlib.Path) -> None:
    """`resnet-*`: batch norm kept, folded in PyTorch (names survive), folded by the exporter (names may be lost)."""
    cases = [
        ("resnet-bn-eval", "torchscript", "keep", False, ["all"]),
        ("resnet-bn-train", "torchscript", "keep", True, ["all"]),
        ("resnet-fused-dynamo", "dynamo", "fuse", False, ["layer2", "fc"]),
        ("resnet-fused-torchscript", "torchscript", "fuse", False, ["layer2.0.conv2", "fc"]),
        ("resnet-folded-torchscript", "torchscript", "fold", False, ["layer2", "fc"]),
        ("resnet-folded-dynamo", "dynamo", "fold", False, ["layer1", "layer2", "fc"]),
    ]
    for seed, (name, exporter, batch_norm, batch_statistics, unfreeze) in enumerate(cases, start=100):
        torch.manual_seed(seed)
        net = oracle.randomise_batch_norm(SmallResNet(3, (4, 8), 1, CLASSES)).eval()
        folded = net if batch_norm == "keep" else oracle.fold_batch_norm(net)
        path = folder / name / "model.onnx"
        oracle.export(
            folded if batch_norm == "fuse" else net, path, torch.randn(2, 3, 16, 16), exporter, batch_norm == "keep"
        )
        start = {name: value.numpy().copy() for name, value in folded.state_dict().items()}
        pictures, labels = data(seed, 16)
        answers = oracle.training_run(
            folded, unfreeze, pictures, labels, weight_decay=1e-3, batch_statistics=batch_statistics
        )
        got = oracle.runtime_logits(path, pictures[0])
        np.testing.assert_allclose(got, answers["logits_eval"], rtol=1e-4, atol=1e-5, err_msg=name)
        answers, names = oracle.as_stored(path, start, answers)
        settings = metadata(
            unfreeze, seed=seed, lr=1e-2, momentum=0.9, weight_decay=1e-3, names=names, exporter=exporter,
            bn=batch_norm, bn_mode="train" if batch_statistics else "eval",
        )
        oracle.save(folder / name / "oracle.safetensors", answers, settings)


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "Tests" / "Fixtures" / "oracles")
    folder = parser.parse_args().out
    hand_written(folder)
    exported(folder)
    for path in sorted(folder.glob("*/*")):
        path.chmod(0o644)
        print(f"{path.stat().st_size:8d}  {path.relative_to(folder)}")


if __name__ == "__main__":
    main()
