"""The operations of the autograd goldens: how PyTorch computes each, and when it is far from a kink or a pole."""

from dataclasses import dataclass, field

import torch
from torch.nn import functional

MARGIN = 0.03


@dataclass
class Op:
    op: str
    args: list[int]
    attrs: dict = field(default_factory=dict)

    def encoded(self) -> dict:
        return {"op": self.op, "args": self.args} | ({"attrs": self.attrs} if self.attrs else {})


# MARK: what each op computes


def scalar_or_tensor(function, args, scalar=None, reverse=False):
    if scalar is None:
        return function(args[0], args[1])
    number = torch.tensor(scalar, dtype=args[0].dtype)
    return function(number, args[0]) if reverse else function(args[0], number)


def reduce(function, args, dim=None, keepdim=False, **more):
    return function(args[0], **more) if dim is None else function(args[0], dim=dim, keepdim=keepdim, **more)


def batch_norm(x, weight, bias, mean, var, training, eps):
    return functional.batch_norm(x, mean.clone(), var.clone(), weight, bias, training, 0.1, eps)


BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow}
UNARY = {
    "neg": torch.neg, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "abs": torch.abs, "relu": torch.relu,
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "gelu": functional.gelu,
}
REDUCTIONS = {"sum": torch.sum, "mean": torch.mean, "var": torch.var, "max": torch.amax, "min": torch.amin}
OTHER = {
    "matmul": lambda v: torch.matmul(*v),
    "clamp": lambda v, min=None, max=None: v[0].clamp(min, max),
    "softmax": lambda v, dim: functional.softmax(v[0], dim),
    "logSoftmax": lambda v, dim: functional.log_softmax(v[0], dim),
    "reshape": lambda v, shape: v[0].reshape(shape),
    "expand": lambda v, shape: v[0].expand(shape),
    "transpose": lambda v, dim0, dim1: v[0].transpose(dim0, dim1),
    "permute": lambda v, dims: v[0].permute(dims),
    "unsqueeze": lambda v, dim: v[0].unsqueeze(dim),
    "squeeze": lambda v, dim: v[0].squeeze(dim),
    "slice": lambda v, dim, start, end: v[0].narrow(dim, start, end - start),
    "split": lambda v, dim, size, index: v[0].split(size, dim)[index],
    "cat": lambda v, dim: torch.cat(v, dim),
    "stack": lambda v, dim: torch.stack(v, dim),
    "linear": lambda v: functional.linear(*v),
    "conv2d": lambda v, **a: functional.conv2d(*v, **a),
    "maxPool2d": lambda v, kernelSize, stride, padding: functional.max_pool2d(v[0], kernelSize, stride, padding),
    "avgPool2d": lambda v, kernelSize, stride, padding, countIncludePad: functional.avg_pool2d(
        v[0], kernelSize, stride, padding, count_include_pad=countIncludePad
    ),
    "batchNorm": lambda v, training, eps: batch_norm(*v, training, eps),
    "crossEntropy": lambda v, target, labelSmoothing: functional.cross_entropy(
        v[0], torch.tensor(target), label_smoothing=labelSmoothing
    ),
}


def apply(op: Op, values: list[torch.Tensor]) -> torch.Tensor:
    args = [values[i] for i in op.args]
    if op.op in BINARY:
        return scalar_or_tensor(BINARY[op.op], args, **op.attrs)
    if op.op in UNARY:
        return UNARY[op.op](args[0])
    if op.op in REDUCTIONS:
        return reduce(REDUCTIONS[op.op], args, **op.attrs)
    return OTHER[op.op](args, **op.attrs)


# MARK: which ops suit a value


def decided(x: torch.Tensor, dim: int | None, sign: float) -> bool:
    """True if the largest entry (of sign * x) along `dim` leads the next by the margin."""
    x = sign * (x.flatten() if dim is None else x.movedim(dim, -1))
    if x.shape[-1] < 2:
        return True
    top = x.topk(2, -1).values
    return bool((top[..., 0] - top[..., 1]).min() > MARGIN)


def safe(op: Op, values: list[torch.Tensor]) -> bool:
    """True if the op is far from every kink, pole and overflow at these values."""
    a = values[op.args[0]]
    low, high, magnitude = a.min().item(), a.max().item(), a.abs()
    match op.op:
        case "relu" | "abs":
            return magnitude.min().item() > MARGIN
        case "log" | "sqrt":
            return low > 0.25
        case "exp":
            return high < 2.5 and low > -6
        case "clamp":
            bounds = [b for b in (op.attrs.get("min"), op.attrs.get("max")) if b is not None]
            return all((a - b).abs().min().item() > MARGIN for b in bounds)
        case "div":
            below = a if op.attrs.get("reverse") else values[op.args[1]] if len(op.args) == 2 else None
            return below is None or below.abs().min().item() > 0.4
        case "pow":
            if len(op.args) == 2:
                return low > 0.3 and high < 4 and values[op.args[1]].abs().max().item() < 2.5
            if op.attrs.get("reverse"):
                return high < 3 and low > -3
            exponent = op.attrs["scalar"]
            return (low > 0.3 or (exponent > 1 and exponent == int(exponent))) and magnitude.max().item() < 4
        case "max" | "min":
            return decided(a, op.attrs.get("dim"), 1 if op.op == "max" else -1)
        case "maxPool2d":
            kernel, stride, padding = op.attrs["kernelSize"], op.attrs["stride"], op.attrs["padding"]
            padded = functional.pad(a, (padding[1], padding[1], padding[0], padding[0]), value=-1e9)
            windows = functional.unfold(padded.flatten(0, 1)[:, None], kernel, stride=stride)
            return decided(windows, 1, 1)
        case "batchNorm" if op.attrs["training"]:
            return a.transpose(0, 1).flatten(1).var(1).min().item() > 0.05
        case "var":
            return True
    return True
