#!/usr/bin/env python3
"""Writes PyTorch's values and gradients of losses, layers, tensor functions and optimizers: Tests/Fixtures/library/torch.safetensors.

    pip install -r scripts/requirements.txt
    python scripts/make_library_goldens.py

Tensors: NAME/input/I, NAME/value, and NAME/grad/I, the gradient of the sum of value * value. Optimizers: optimizer/NAME/I is the
parameter after step I of ten. Measured with PyTorch 2.15.
"""

import pathlib

import torch
from safetensors.torch import save_file
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
tensors = {}


def case(name, function, *inputs, fixed=()):
    leaves = [x.clone().requires_grad_(x.is_floating_point() and i not in fixed) for i, x in enumerate(inputs)]
    value = function(*leaves)
    (value * value).sum().backward()
    tensors[f"{name}/value"] = value.detach().contiguous()
    for i, x in enumerate(leaves):
        tensors[f"{name}/input/{i}"] = x.detach()
        if x.grad is not None:
            tensors[f"{name}/grad/{i}"] = x.grad


r = torch.randn
p = torch.rand(4, 5) * 0.9 + 0.05
case("l1", F.l1_loss, r(4, 5), r(4, 5))
case("smoothL1", lambda a, b: F.smooth_l1_loss(a, b, beta=0.7), r(4, 5), r(4, 5))
case("huber", lambda a, b: F.huber_loss(a, b, delta=0.7, reduction="sum"), r(4, 5), r(4, 5))
case("bce", F.binary_cross_entropy, p, torch.rand(4, 5), fixed=(1,))
case("bceLogits", lambda a, b, w: F.binary_cross_entropy_with_logits(a, b, pos_weight=w), r(4, 5), torch.rand(4, 5),
     torch.rand(5) + 0.5, fixed=(1, 2))
case("kl", lambda a, b: F.kl_div(a.log_softmax(1), b.softmax(1), reduction="batchmean"), r(4, 5), r(4, 5))
case("cosineEmbedding", lambda a, b, y: F.cosine_embedding_loss(a, b, y, margin=0.1), r(4, 5), r(4, 5),
     torch.tensor([1.0, -1, 1, -1]), fixed=(2,))
case("triplet", lambda a, b, c: F.triplet_margin_loss(a, b, c, swap=True), r(4, 5), r(4, 5), r(4, 5))
case("nearest", lambda x: F.interpolate(x, size=(7, 3)), r(2, 3, 4, 5))
case("bilinear", lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), r(2, 3, 4, 5))
case("bilinearCorners", lambda x: F.interpolate(x, size=(7, 3), mode="bilinear", align_corners=True), r(2, 3, 4, 5))
case("einsum", lambda a, b: torch.einsum("bij,bjk->bki", a, b), r(2, 3, 4), r(2, 4, 5))
case("einsumTrace", lambda a: torch.einsum("bii->i", a), r(2, 3, 3))
case("einsumEllipsis", lambda a, b: torch.einsum("...ij,jk->...ik", a, b), r(2, 3, 4), r(4, 5))
case("outer", torch.outer, r(3), r(4))
case("roll", lambda x: x.roll(-2, 1).flip(0), r(3, 5))
case("embedding", lambda w, i: F.embedding(i, w, padding_idx=1), r(5, 3), torch.tensor([[0, 1], [4, 4]]))
case("batchNorm1d", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), r(6, 3), r(3), r(3))


def attention(x, y, w, b, ow, ob):
    layer = torch.nn.MultiheadAttention(6, 2, batch_first=True)
    return torch.func.functional_call(
        layer, {"in_proj_weight": w, "in_proj_bias": b, "out_proj.weight": ow, "out_proj.bias": ob}, (x, y, y))[0]


case("attention", attention, r(2, 3, 6), r(2, 4, 6), r(18, 6), r(18), r(6, 6), r(6))

start = r(6)
factor = r(6)
for name, make in {
    "rmsprop": lambda q: torch.optim.RMSprop(q, lr=0.05, weight_decay=0.1),
    "rmspropCentered": lambda q: torch.optim.RMSprop(q, lr=0.05, momentum=0.9, centered=True),
    "adagrad": lambda q: torch.optim.Adagrad(q, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.1),
    "maximize": lambda q: torch.optim.SGD(q, lr=0.05, momentum=0.9, maximize=True),
    "adamMaximize": lambda q: torch.optim.Adam(q, lr=0.05, maximize=True),
}.items():
    q = torch.nn.Parameter(start.clone())
    optimizer = make([q])
    for step in range(10):
        optimizer.zero_grad()
        (torch.sin(q) * factor).sum().backward()
        optimizer.step()
        tensors[f"optimizer/{name}/{step}"] = q.detach().clone()
tensors["optimizer/start"], tensors["optimizer/factor"] = start, factor

folder = pathlib.Path(__file__).parent.parent / "Tests/Fixtures/library"
folder.mkdir(exist_ok=True)
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, folder / "torch.safetensors")
print(len(tensors), "tensors")
