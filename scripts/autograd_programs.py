"""Random expression graphs on small tensors, grown op by op so that every value stays in range."""

import math
import random

import torch

from autograd_ops import UNARY, Op, apply, safe


class Program:
    """Grows one graph, op by op, on values in float64."""

    def __init__(self, rng: random.Random, order: int) -> None:
        self.rng, self.order = rng, order
        self.generator = torch.Generator().manual_seed(rng.getrandbits(31))
        self.inputs: list[torch.Tensor] = []
        self.grad: list[bool] = []
        self.pending: list[tuple[Op, torch.Tensor]] = []
        self.values: list[torch.Tensor] = []
        self.depths: list[int] = []
        self.ops: list[Op] = []

    # Operands that are inputs must be numbered before the first op, so ops refer to inputs by negative numbers
    # (-1 - index) while the program grows.
    def input(self, shape: list[int], grad: bool = True, low: float | None = None, high: float = 2.0) -> int:
        if low is None:
            value = torch.randn(shape, generator=self.generator)
        else:
            value = torch.rand(shape, generator=self.generator) * (high - low) + low
        self.inputs.append(value.float().double())
        self.grad.append(grad)
        return -len(self.inputs)

    def value(self, index: int) -> torch.Tensor:
        return self.inputs[-1 - index] if index < 0 else self.values[index]

    def depth(self, index: int) -> int:
        return 0 if index < 0 else self.depths[index]

    def add(self, name: str, args: list[int], **attrs) -> int | None:
        """Appends the op if it is safe here; its value number, or nil."""
        view = [self.value(i) for i in args]
        op = Op(name, list(range(len(args))), attrs)
        if not safe(op, view):
            return None
        result = apply(op, view)
        if not torch.isfinite(result).all() or result.abs().max() > 50 or result.numel() > 300:
            return None
        op.args = args
        self.ops.append(op)
        self.values.append(result)
        self.depths.append(1 + max(self.depth(i) for i in args))
        return len(self.values) - 1

    # MARK: one random step from value `x`

    def step(self, x: int) -> int | None:
        a = self.value(x)
        choices = ["unary", "unary", "scalar", "binary", "binary", "reduce", "shape", "softmax", "join"]
        if a.dim() >= 1:
            choices += ["matmul", "linear"]
        if a.dim() == 4:
            choices += ["conv", "conv", "conv", "pool", "pool", "norm", "norm"]
        if a.dim() == 2 and a.shape[1] > 1:
            choices += ["entropy"]
        return getattr(self, self.rng.choice(choices))(x, a)

    def dim(self, rank: int) -> int:
        return self.rng.randrange(-rank, rank)

    def unary(self, x, a):
        name = self.rng.choice([*UNARY, "clamp"])
        if name == "clamp":
            bounds = {"min": round(self.rng.uniform(-1.5, -0.2), 2), "max": round(self.rng.uniform(0.2, 1.5), 2)}
            bounds.pop(self.rng.choice(["min", "max", "neither"]), None)
            return self.add("clamp", [x], **bounds)
        if name in ("log", "sqrt") and a.min() <= 0.25:
            x = self.add("abs", [x]) if self.rng.random() < 0.5 else self.add("mul", [x, x])
            x = None if x is None else self.add("add", [x], scalar=0.5)
        return None if x is None else self.add(name, [x])

    def scalar(self, x, a):
        name = self.rng.choice(["add", "sub", "mul", "div", "pow", "pow"])
        reverse = name != "add" and self.rng.random() < 0.4
        number = round(self.rng.choice([-1, 1]) * self.rng.uniform(0.5, 2.0), 2)
        if name == "pow":
            number = round(abs(number), 2) if reverse else self.rng.choice([2.0, 3.0, 0.5, -1.0, 1.5, -2.0])
        return self.add(name, [x], scalar=number, **({"reverse": True} if reverse else {}))

    def binary(self, x, a):
        name = self.rng.choice(["add", "sub", "mul", "mul", "div", "pow"])
        others = [i for i in self.known() if i != x and self.broadcasts(self.value(i), a)]
        if others and self.rng.random() < 0.6:
            y = self.rng.choice(others)
        else:
            shape = [1 if self.rng.random() < 0.3 else d for d in a.shape]
            shape = shape[self.rng.randrange(len(shape) + 1) if self.rng.random() < 0.4 else 0 :]
            y = self.input(shape, self.rng.random() < 0.85, low=0.5 if name in ("div", "pow") else None)
        pair = [x, y] if name in ("div", "pow") or self.rng.random() < 0.7 else [y, x]
        return self.add(name, pair)

    @staticmethod
    def broadcasts(a: torch.Tensor, b: torch.Tensor) -> bool:
        pairs = zip(reversed(a.shape), reversed(b.shape))
        return all(m == n or 1 in (m, n) for m, n in pairs) and max(a.numel(), b.numel()) <= 200

    def known(self) -> list[int]:
        return [-1 - i for i in range(len(self.inputs))] + list(range(len(self.values)))

    def reduce(self, x, a):
        if a.dim() == 0:
            return None
        name = self.rng.choice(["sum", "mean", "max", "min", "var"])
        attrs = {"keepdim": self.rng.random() < 0.5}
        if name in ("max", "min"):
            attrs["dim"] = self.dim(a.dim())
        else:
            count = 1 if a.dim() == 1 or self.rng.random() < 0.6 else 2
            attrs["dim"] = sorted(self.rng.sample(range(a.dim()), count))
            if self.rng.random() < 0.3:
                attrs["dim"] = [d - a.dim() for d in attrs["dim"]]
            if name == "var":
                attrs["correction"] = self.rng.choice([0, 1])
                if math.prod(a.shape[d] for d in attrs["dim"]) < 2:
                    return None
        return self.add(name, [x], **attrs)

    def shape(self, x, a):
        rank, shape = a.dim(), list(a.shape)
        name = self.rng.choice(
            ["reshape", "transpose", "permute", "unsqueeze", "squeeze", "expand", "slice", "slice", "split"]
        )
        if name == "unsqueeze" and rank < 4:
            return self.add(name, [x], dim=self.rng.randrange(-rank - 1, rank + 1))
        if rank == 0:
            return None
        if name == "reshape":
            new = self.rng.choice([[-1], [shape[0], -1], [-1, shape[-1]], [1, -1, shape[0]], list(reversed(shape))])
            return self.add(name, [x], shape=new)
        if name == "transpose" and rank > 1:
            return self.add(name, [x], dim0=self.dim(rank), dim1=self.dim(rank))
        if name == "permute" and rank > 1:
            return self.add(name, [x], dims=self.rng.sample(range(rank), rank))
        ones = [d for d in range(rank) if shape[d] == 1]
        if ones and (name == "squeeze" or self.rng.random() < 0.3):
            return self.add("squeeze", [x], dim=self.rng.choice(ones))
        if name == "expand":
            target = [self.rng.randint(2, 3) if d == 1 else d for d in shape]
            return self.add(name, [x], shape=[2, *target] if rank < 4 and self.rng.random() < 0.4 else target)
        d = self.dim(rank)
        if name == "slice" and shape[d] > 1:
            start = self.rng.randrange(shape[d] - 1)
            return self.add(name, [x], dim=d, start=start, end=self.rng.randint(start + 1, shape[d]))
        if name == "split" and shape[d] > 1:
            size = self.rng.randint(1, shape[d] - 1)
            return self.add(name, [x], dim=d, size=size, index=self.rng.randrange(math.ceil(shape[d] / size)))
        return None

    def softmax(self, x, a):
        if a.dim() == 0:
            return None
        d = self.dim(a.dim())
        return None if a.shape[d] == 1 else self.add(self.rng.choice(["softmax", "logSoftmax"]), [x], dim=d)

    def join(self, x, a):
        same = [i for i in self.known() if self.value(i).shape == a.shape]
        parts = [x, *self.rng.sample(same, min(len(same), self.rng.randint(1, 2)))]
        if len(parts) == 1:
            parts.append(self.input(list(a.shape)))
        self.rng.shuffle(parts)
        if a.dim() == 0 or (a.dim() < 4 and self.rng.random() < 0.4):
            return self.add("stack", parts, dim=self.rng.randrange(-a.dim() - 1, a.dim() + 1))
        return self.add("cat", parts, dim=self.dim(a.dim()))

    def matmul(self, x, a):
        inner, wide = a.shape[-1], self.rng.randint(1, 4)
        shape = self.rng.choice([[inner, wide], [inner, wide], [inner], [2, inner, wide]])
        if len(shape) == 3 and a.dim() > 2:
            shape = [*a.shape[:-2], inner, wide] if self.rng.random() < 0.5 else [1, inner, wide]
        return self.add("matmul", [x, self.input(shape)])

    def linear(self, x, a):
        out = self.rng.randint(1, 4)
        args = [x, self.input([out, a.shape[-1]])]
        return self.add("linear", args + ([self.input([out])] if self.rng.random() < 0.7 else []))

    def conv(self, x, a):
        channels = a.shape[1]
        groups = self.rng.choice([g for g in (1, 1, 2, channels) if channels % g == 0])
        out = groups * self.rng.randint(1, 2)
        kernel = [self.rng.randint(1, 3), self.rng.randint(1, 3)]
        attrs = {
            "stride": [self.rng.randint(1, 2), self.rng.randint(1, 2)],
            "padding": [self.rng.randint(0, 1), self.rng.randint(0, 1)],
            "dilation": [self.rng.choice([1, 1, 2]), self.rng.choice([1, 1, 2])],
            "groups": groups,
        }
        for i in range(2):
            if a.shape[2 + i] + 2 * attrs["padding"][i] < attrs["dilation"][i] * (kernel[i] - 1) + 1:
                return None
        args = [x, self.input([out, channels // groups, *kernel])]
        return self.add("conv2d", args + ([self.input([out])] if self.rng.random() < 0.6 else []), **attrs)

    def pool(self, x, a):
        if min(a.shape[2:]) < 2:
            return None
        kernel = [self.rng.randint(1, min(3, a.shape[2])), self.rng.randint(2, min(3, a.shape[3]))]
        attrs = {"kernelSize": kernel, "stride": [self.rng.randint(1, 2), self.rng.randint(1, 2)]}
        attrs["padding"] = [min(k // 2, self.rng.randint(0, 1)) for k in kernel]
        if self.rng.random() < 0.7:
            return self.add("maxPool2d", [x], **attrs)
        return self.add("avgPool2d", [x], **attrs, countIncludePad=self.rng.random() < 0.5)

    def norm(self, x, a):
        c = a.shape[1]
        if a.numel() // c < 4:
            return None
        args = [x, self.input([c]), self.input([c]), self.input([c], False), self.input([c], False, low=0.5)]
        return self.add("batchNorm", args, training=self.rng.random() < 0.6, eps=1e-5)

    def entropy(self, x, a):
        target = [self.rng.randrange(a.shape[1]) for _ in range(a.shape[0])]
        return self.add("crossEntropy", [x], target=target, labelSmoothing=self.rng.choice([0.0, 0.1]))

    # MARK: a whole program

    def grow(self, target: int) -> bool:
        """Random steps, mostly from the newest value, until the depth is `target`; then a weighted sum as output."""
        shapes = [[3], [2, 3], [4, 2], [2, 3, 2], [1, 4], [2, 2, 4, 4], [1, 4, 5, 4], [2, 3, 5, 5], []]
        x = self.input(self.rng.choice(shapes))
        for _ in range(12 * target):
            if self.depth(x) >= target - 2:
                break
            base = x if self.rng.random() < 0.9 else self.rng.choice(self.known())
            result = self.step(base)
            if result is not None:
                x = result
        if self.depth(x) != target - 2:
            return False
        self.watch = x
        weights = self.input(list(self.value(x).shape), False)
        product = self.add("mul", [x, weights])
        return product is not None and self.add("sum", [product]) is not None

    def finish(self) -> None:
        """Drops what the output does not need and renumbers: inputs first, then ops."""
        needed = {len(self.ops) - 1}
        for i in reversed(range(len(self.ops))):
            if i in needed:
                needed.update(self.ops[i].args)
        inputs = sorted((i for i in needed if i < 0), reverse=True)
        ops = sorted(i for i in needed if i >= 0)
        number = {old: new for new, old in enumerate(inputs + ops)}
        self.grad = [self.grad[-1 - i] for i in inputs]
        self.inputs = [self.inputs[-1 - i] for i in inputs]
        self.ops = [Op(self.ops[i].op, [number[j] for j in self.ops[i].args], self.ops[i].attrs) for i in ops]
        self.watch = number[self.watch]

    def run(self, dtype: torch.dtype, directions: dict[int, torch.Tensor]) -> dict[str, torch.Tensor]:
        values = [x.to(dtype, copy=True).requires_grad_(g) for x, g in zip(self.inputs, self.grad)]
        leaves = {i: values[i] for i, g in enumerate(self.grad) if g}
        for op in self.ops:
            values.append(apply(op, values))
        second = self.order == 2
        grads = torch.autograd.grad(values[-1], leaves.values(), create_graph=second)
        results = {"watch": values[self.watch], "value": values[-1]}
        results |= {f"grad/{i}": g for i, g in zip(leaves, grads)}
        if second:
            s = sum((g * directions[i].to(dtype)).sum() for i, g in zip(leaves, grads))
            if not s.requires_grad:
                return {}
            products = torch.autograd.grad(s, leaves.values(), allow_unused=True)
            results |= {
                f"hvp/{i}": torch.zeros_like(leaves[i]) if p is None else p for i, p in zip(leaves, products)
            }
        return {name: value.detach() for name, value in results.items()}
