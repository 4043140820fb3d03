#!/usr/bin/env python3
"""Writes PyTorch's values and gradients of single operators: Tests/Fixtures/operators/torch.{json,safetensors}.

    pip install -r scripts/requirements.txt
    python scripts/make_operator_goldens.py

The text FORMAT below travels in the JSON file.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

import oracle

FORMAT = """
cases[i] = {name, op, opset, attributes, inputs, differentiable}
  op, opset, attributes   an ONNX node; an attribute is {"i": 1}, {"f": 1.5}, {"s": "..."} or {"ints": [1]}, as in ONNX
  inputs                  for every input whether it is given
  differentiable          inputs with a gradient
Tensors in torch.safetensors, float32 but integer ones:
  NAME/input/I   NAME/output   NAME/gradOutput   NAME/grad/I
Only the first output is compared. gradOutput is random; grad/I is the gradient of the sum of output * gradOutput.
"""


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape)


def encoded(value) -> dict:
    return {{int: "i", float: "f", str: "s", list: "ints"}[type(value)]: value}


def same_padding(x, kernel, stride, upper):
    """Padding in the order of F.pad for auto_pad SAME."""
    pads = []
    for size, k, s in reversed(list(zip(x.shape[2:], kernel, stride))):
        total = max(0, (-(-size // s) - 1) * s + k - size)
        pads += [total // 2, total - total // 2] if upper else [total - total // 2, total // 2]
    return F.pad(x, pads)


def softmax_cases():
    for op, function in [("Softmax", F.softmax), ("LogSoftmax", F.log_softmax)]:
        yield op, 13, {"axis": 1}, [random(2, 5, 3)], lambda x, f=function: f(x, 1)
        yield op, 11, {}, [random(2, 5, 3)], lambda x, f=function: f(x.flatten(1), 1).view(2, 5, 3)


def convolution_cases():
    one = {"strides": [2, 1], "pads": [1, 0, 1, 0], "dilations": [1, 2], "group": 2}
    yield "Conv", 11, one, [random(2, 4, 9, 8), random(6, 2, 3, 3), random(6)], (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), (1, 2), 2))
    yield "Conv", 11, {"pads": [1, 0, 2, 3]}, [random(2, 3, 6, 7), random(4, 3, 3, 3)], (
        lambda x, w: F.conv2d(F.pad(x, (0, 3, 1, 2)), w))
    yield "Conv", 11, {"pads": [1, 1, 1, 1]}, [random(3, 16, 14, 14), random(24, 16, 3, 3), random(24)], (
        lambda x, w, b: F.conv2d(x, w, b, 1, 1))
    yield "Conv", 11, {"strides": [2, 2], "pads": [3, 3, 3, 3]}, [random(2, 3, 20, 20), random(8, 3, 7, 7)], (
        lambda x, w: F.conv2d(x, w, None, 2, 3))
    yield "Conv", 11, {"pads": [1, 1, 1, 1], "group": 8}, [random(2, 8, 7, 7), random(8, 1, 3, 3)], (
        lambda x, w: F.conv2d(x, w, None, 1, 1, 1, 8))
    for mode in ["SAME_UPPER", "SAME_LOWER"]:
        yield "Conv", 11, {"auto_pad": mode, "strides": [2, 2]}, [random(1, 2, 6, 7), random(3, 2, 3, 4)], (
            lambda x, w, m=mode: F.conv2d(same_padding(x, (3, 4), (2, 2), m == "SAME_UPPER"), w, None, 2))
    yield "Conv", 11, {"strides": [2], "pads": [1, 1]}, [random(2, 3, 9), random(4, 3, 3), random(4)], (
        lambda x, w, b: F.conv1d(x, w, b, 2, 1))
    yield "Conv", 11, {"pads": [1, 0, 1, 1, 0, 1]}, [random(1, 2, 4, 5, 4), random(3, 2, 3, 2, 3)], (
        lambda x, w: F.conv3d(x, w, None, 1, (1, 0, 1)))
    transpose = {"strides": [3, 2], "pads": [1, 0, 1, 0], "output_padding": [1, 1], "group": 2}
    yield "ConvTranspose", 11, transpose, [random(2, 4, 3, 4), random(4, 3, 3, 2), random(6)], (
        lambda x, w, b: F.conv_transpose2d(x, w, b, (3, 2), (1, 0), (1, 1), 2))


def pool_cases():
    yield "MaxPool", 12, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, [random(2, 3, 9, 8)], (
        lambda x: F.max_pool2d(x, 3, 2, 1))
    yield "MaxPool", 12, {"kernel_shape": [2, 3], "strides": [2, 2], "ceil_mode": 1}, [random(2, 2, 7, 8)], (
        lambda x: F.max_pool2d(x, (2, 3), 2, ceil_mode=True))
    yield "MaxPool", 12, {"kernel_shape": [2, 2], "dilations": [2, 3]}, [random(1, 2, 6, 7)], (
        lambda x: F.max_pool2d(x, 2, 1, 0, (2, 3)))
    yield "MaxPool", 12, {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}, [random(2, 2, 9)], (
        lambda x: F.max_pool1d(x, 3, 2, 1))
    yield "MaxPool", 12, {"kernel_shape": [2, 3, 2]}, [random(1, 2, 4, 5, 4)], lambda x: F.max_pool3d(x, (2, 3, 2), 1)
    ties = torch.arange(64).view(1, 1, 8, 8) % 3
    yield "MaxPool", 12, {"kernel_shape": [3, 3], "strides": [1, 2]}, [ties.float()], (
        lambda x: F.max_pool2d(x, 3, (1, 2)))
    for count in [0, 1]:
        attributes = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": count}
        yield "AveragePool", 11, attributes, [random(2, 3, 9, 8)], (
            lambda x, c=count: F.avg_pool2d(x, 3, 2, 1, count_include_pad=bool(c)))
        yield "AveragePool", 19, attributes | {"ceil_mode": 1}, [random(1, 2, 8, 10)], (
            lambda x, c=count: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=bool(c)))
    yield "GlobalAveragePool", 1, {}, [random(2, 3, 7, 5)], lambda x: F.adaptive_avg_pool2d(x, 1)
    yield "GlobalMaxPool", 1, {}, [random(2, 3, 7, 5)], lambda x: F.adaptive_max_pool2d(x, 1)


def product_cases():
    yield "Gemm", 13, {"transB": 1}, [random(4, 6), random(5, 6), random(5)], lambda a, b, c: F.linear(a, b, c)
    yield "Gemm", 13, {"transA": 1, "alpha": 0.5, "beta": 2.0}, [random(6, 4), random(6, 5), random(4, 1)], (
        lambda a, b, c: 0.5 * a.T @ b + 2 * c)
    yield "Gemm", 6, {"broadcast": 1}, [random(4, 6), random(6, 5), random(5)], lambda a, b, c: a @ b + c
    yield "Gemm", 11, {"transA": 1, "transB": 1}, [random(6, 4), random(5, 6)], lambda a, b: a.T @ b.T
    for a, b in [((4,), (4,)), ((4,), (3, 4, 2)), ((3, 2, 4), (4,)), ((3, 2, 4), (4, 5)), ((2, 1, 3, 4), (5, 4, 2))]:
        yield "MatMul", 13, {}, [random(*a), random(*b)], lambda a, b: a @ b


def normalisation_cases():
    statistics = [random(4), random(4), random(4), torch.rand(4) + 0.5]
    yield "BatchNormalization", 15, {"epsilon": 0.01}, [random(3, 4, 5, 2), *statistics], (
        lambda x, s, b, m, v: F.batch_norm(x, m.clone(), v.clone(), s, b, False, 0, 0.01))
    yield "BatchNormalization", 6, {"is_test": 1, "spatial": 1}, [random(3, 4), *statistics], (
        lambda x, s, b, m, v: F.batch_norm(x, m.clone(), v.clone(), s, b, False))
    for shape in [(3, 4, 5, 2), (6, 4)]:
        yield "BatchNormalization", 15, {"training_mode": 1}, [random(*shape) + 3, *statistics], (
            lambda x, s, b, m, v: F.batch_norm(x, m.clone(), v.clone(), s, b, True))
    yield "InstanceNormalization", 6, {}, [random(2, 3, 4, 5), random(3), random(3)], (
        lambda x, s, b: F.instance_norm(x, weight=s, bias=b))
    yield "GroupNormalization", 21, {"num_groups": 2}, [random(2, 6, 4, 3), random(6), random(6)], (
        lambda x, s, b: F.group_norm(x, 2, s, b))
    lrn = {"size": 5, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    yield "LRN", 13, lrn, [random(2, 7, 3, 3)], lambda x: F.local_response_norm(x, 5, 0.3, 0.6, 1.5)


def activation_cases():
    def x():
        return torch.cat([random(40) * 3, torch.tensor([0.0, -0.0, 3.0, -3.0, 1.0, -1.0, 30.0, -30.0, 0.5])])

    yield "Sigmoid", 13, {}, [x()], torch.sigmoid
    yield "Tanh", 13, {}, [x()], torch.tanh
    yield "Relu", 14, {}, [x()], F.relu
    yield "HardSigmoid", 6, {"alpha": 1 / 6}, [x()], F.hardsigmoid
    yield "HardSwish", 14, {}, [torch.cat([random(40) * 3, torch.tensor([0.0, 30.0, -30.0])])], F.hardswish
    yield "LeakyRelu", 16, {"alpha": 0.1}, [x()], lambda x: F.leaky_relu(x, 0.1)
    yield "PRelu", 16, {}, [torch.cat([random(2, 3, 4), torch.zeros(2, 3, 1)], 2), random(3, 1)], (
        lambda x, w: F.prelu(x, w.view(3)))
    yield "Elu", 6, {"alpha": 1.5}, [x()], lambda x: F.elu(x, 1.5)
    yield "Selu", 6, {}, [x()], F.selu
    yield "Celu", 12, {"alpha": 2.0}, [x()], lambda x: F.celu(x, 2.0)
    yield "ThresholdedRelu", 10, {"alpha": 0.5}, [x()], lambda x: F.threshold(x, 0.5, 0)
    yield "Softplus", 1, {}, [x()], F.softplus
    yield "Softsign", 1, {}, [x()], F.softsign
    yield "Mish", 18, {}, [x()], F.mish
    yield "Clip", 6, {"min": -1.0, "max": 0.5}, [x()], lambda x: torch.clamp(x, -1, 0.5)
    yield "Clip", 13, {}, [x(), None, torch.tensor(1.0)], lambda x, low, high: torch.clamp(x, max=1.0)


def loss_cases():
    weight = torch.rand(5) + 0.5
    labels = torch.tensor([4, 0, 2, 0])
    planes = torch.tensor([[1, 0, 3], [4, 0, 2]])
    for reduction in ["mean", "sum", "none"]:
        yield "SoftmaxCrossEntropyLoss", 13, {"reduction": reduction}, [random(4, 5), labels], (
            lambda x, y, r=reduction: F.cross_entropy(x, y, reduction=r))
        ignoring = {"reduction": reduction, "ignore_index": 0}
        yield "SoftmaxCrossEntropyLoss", 13, ignoring, [random(2, 5, 3), planes, weight], (
            lambda x, y, w, r=reduction: F.cross_entropy(x, y, w.detach(), ignore_index=0, reduction=r))
        yield "NegativeLogLikelihoodLoss", 13, ignoring, [random(4, 5), labels, weight], (
            lambda x, y, w, r=reduction: F.nll_loss(x, y, w.detach(), ignore_index=0, reduction=r))


def other_cases():
    yield "Sum", 13, {}, [random(2, 3), random(3), random(2, 1)], lambda a, b, c: a + b + c
    yield "Mean", 13, {}, [random(2, 3), random(3), random(2, 1)], lambda a, b, c: (a + b + c) / 3
    yield "Concat", 13, {"axis": -2}, [random(2, 1, 3), random(2, 4, 3)], lambda a, b: torch.cat([a, b], -2)
    yield "Flatten", 13, {"axis": 2}, [random(2, 3, 4)], lambda x: x.reshape(6, 4)


# Inputs that are statistics, limits or class weights have no gradient.
CONSTANT_INPUTS = {"BatchNormalization": [3, 4], "Clip": [1, 2], "SoftmaxCrossEntropyLoss": [1, 2],
                   "NegativeLogLikelihoodLoss": [1, 2]}


def main() -> None:
    torch.manual_seed(7)
    groups = [convolution_cases, pool_cases, product_cases, normalisation_cases, softmax_cases, activation_cases,
              loss_cases, other_cases]
    cases, tensors = [], {}
    for op, opset, attributes, inputs, function in (case for group in groups for case in group()):
        name = f"{op}-{sum(case['op'] == op for case in cases)}"
        constant = CONSTANT_INPUTS.get(op, [])
        differentiable = [i for i, x in enumerate(inputs) if x is not None and i not in constant]
        leaves = [x if x is None or i in constant else x.clone().requires_grad_() for i, x in enumerate(inputs)]
        output = function(*leaves)
        grad_output = torch.randn(output.shape)
        output.backward(grad_output)
        cases.append({"name": name, "op": op, "opset": opset,
                      "attributes": {key: encoded(value) for key, value in attributes.items()},
                      "inputs": [x is not None for x in inputs], "differentiable": differentiable})
        tensors |= {f"{name}/input/{i}": x.clone() for i, x in enumerate(inputs) if x is not None}
        tensors |= {f"{name}/output": output.detach().clone(), f"{name}/gradOutput": grad_output}
        tensors |= {f"{name}/grad/{i}": leaves[i].grad.clone() for i in differentiable}
    folder = pathlib.Path(__file__).parents[1] / "Tests/Fixtures/operators"
    folder.mkdir(parents=True, exist_ok=True)
    document = {"format": FORMAT.strip().split("\n"), "versions": oracle.versions("torch"), "cases": cases}
    (folder / "torch.json").write_text(json.dumps(document, indent=1) + "\n")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "torch.safetensors")
    print(f"{len(cases)} cases, {sum(t.numel() for t in tensors.values())} numbers")


if __name__ == "__main__":
    main()
