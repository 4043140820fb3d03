#!/usr/bin/env python3
"""Trains `models/resnet-tiny.onnx` on the handwritten digits 0 to 4; writes 5 to 9 as the bundled dataset.

    pip install -r scripts/requirements.txt
    python scripts/make_resnet_tiny.py

Writes models/resnet-tiny.onnx, models/resnet-tiny-data/{train,val}/{5..9}/*.png and the model card
models/resnet-tiny.md, whose figures are measured here: the accuracy on held-out digits 0 to 4, and what the transfer
to 5 to 9 reaches when only a fresh `fc` is trained with the settings of PyTorch's transfer-learning tutorial.
"""

import argparse
import hashlib
import json
import pathlib
import shutil

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional
from torchvision.transforms import v2 as transforms

import oracle
from small_resnet import SmallResNet

SIZE, MEAN, STD = 32, 0.305, 0.327
BASE, TRANSFER = range(0, 5), range(5, 10)
EPOCHS, BATCH, LR, WEIGHT_DECAY = 30, 32, 0.05, 5e-4
PREPROCESSING = {
    "channels": 1, "image_size": SIZE, "resize": SIZE, "mean": [MEAN], "std": [STD], "augment": "none",
}


# MARK: pictures


def digits() -> tuple[list[Image.Image], np.ndarray]:
    """The 1,797 digits as 8x8 greyscale pictures (16 levels spread over 0 to 255) and their labels."""
    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype(np.uint8)
    return [Image.fromarray(picture) for picture in pixels], data.target


def split(labels: np.ndarray, classes: range, seed: int = 0) -> tuple[list[int], list[int]]:
    """Indices for training and validation: of each class a fifth, drawn with `seed`, is for validation."""
    rng = np.random.default_rng(seed)
    train, val = [], []
    for digit in classes:
        members = rng.permutation(np.flatnonzero(labels == digit)).tolist()
        count = round(len(members) / 5)
        val += members[:count]
        train += members[count:]
    return sorted(train), sorted(val)


def tensors(pictures: list[Image.Image]) -> torch.Tensor:
    """Resized (PIL, bilinear) and scaled to 0..1: [N, 1, SIZE, SIZE]."""
    resized = [np.asarray(p.resize((SIZE, SIZE), Image.Resampling.BILINEAR)) for p in pictures]
    return torch.from_numpy(np.stack(resized)[:, None]).float() / 255


def normalised(x: torch.Tensor) -> torch.Tensor:
    return (x - MEAN) / STD


def write_dataset(folder: pathlib.Path, pictures: list[Image.Image], labels: np.ndarray) -> dict[str, int]:
    """One PNG per digit, named by its index in scikit-learn's array; the number of pictures per part."""
    shutil.rmtree(folder, ignore_errors=True)
    parts = dict(zip(("train", "val"), split(labels, TRANSFER)))
    for part, indices in parts.items():
        for index in indices:
            path = folder / part / str(labels[index]) / f"{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pictures[index].save(path, optimize=True)
    return {part: len(indices) for part, indices in parts.items()}


# MARK: training on 0 to 4


def distorted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Small random rotations, shears, scalings and shifts."""
    def within(limit: float) -> torch.Tensor:
        return (torch.rand(len(x), generator=generator) * 2 - 1) * limit

    angle, scale, shear = within(0.21), 1 + within(0.15), within(0.15)
    rows = [
        torch.stack([scale * angle.cos(), shear - scale * angle.sin(), within(0.12)], 1),
        torch.stack([scale * angle.sin(), scale * angle.cos(), within(0.12)], 1),
    ]
    grid = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def initialised(seed: int) -> SmallResNet:
    """He initialisation. The last block's batch norms start at 2, which makes features large enough for lr 0.001."""
    torch.manual_seed(seed)
    model = SmallResNet(1, (16, 32, 64), 1, len(BASE))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    block = model.get_submodule("layer3.0")
    nn.init.constant_(block.bn2.weight, 2.0)
    nn.init.constant_(block.downsample[1].weight, 2.0)
    return model


def train(x: torch.Tensor, y: torch.Tensor, seed: int) -> SmallResNet:
    model, generator = initialised(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(model.parameters(), LR, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True)
    steps = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LR, total_steps=EPOCHS * steps)
    for epoch in range(EPOCHS):
        model.train()
        order, total = torch.randperm(len(x), generator=generator), 0.0
        for batch in order[: steps * BATCH].split(BATCH):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(normalised(distorted(x[batch], generator))), y[batch])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2d}/{EPOCHS}  train loss {total / steps:.4f}", flush=True)
    return model.eval()


def accuracy(logits: torch.Tensor, y: torch.Tensor) -> float:
    return (logits.argmax(-1) == y).float().mean().item()


def export(model: SmallResNet, path: pathlib.Path) -> None:
    """PyTorch's default exporter, then class names and preprocessing into the metadata."""
    oracle.export(model, path, torch.randn(2, 1, SIZE, SIZE), "dynamo")
    proto = onnx.load(path)
    metadata = {"finetune.classes": [str(d) for d in BASE], "finetune.preprocessing": PREPROCESSING}
    onnx.helper.set_model_props(proto, {key: json.dumps(value) for key, value in metadata.items()})
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


# MARK: the transfer to 5 to 9


def tutorial(
    train: list[torch.Tensor], train_y: torch.Tensor, val: torch.Tensor, val_y: torch.Tensor, lr: float, seed: int
) -> float:
    """Best validation accuracy of a fresh `fc` over 25 epochs on features, one tensor of them per epoch."""
    torch.manual_seed(seed)
    fc = nn.Linear(val.shape[1], len(TRANSFER))
    optimizer = torch.optim.SGD(fc.parameters(), lr, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.1)
    best = 0.0
    for x in train:
        for batch in torch.randperm(len(x)).split(4):
            optimizer.zero_grad()
            functional.cross_entropy(fc(x[batch]), train_y[batch]).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            best = max(best, accuracy(fc(val), val_y))
    return best


@torch.no_grad()
def transfer_features(
    model: SmallResNet, pictures: list[Image.Image], augment: bool
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of the training pictures for each of 25 epochs, and of the validation pictures."""
    parts = [[pictures[i] for i in indices] for indices in split(digits()[1], TRANSFER)]
    val = model.features(normalised(tensors(parts[1])))
    if not augment:
        return [model.features(normalised(tensors(parts[0])))] * 25, val
    torch.manual_seed(0)
    crop = transforms.Compose([
        transforms.RandomResizedCrop(SIZE), transforms.RandomHorizontalFlip(),
        transforms.ToImage(), transforms.ToDtype(torch.float32, scale=True),
    ])
    return [model.features(normalised(torch.stack([crop(p) for p in parts[0]]))) for _ in range(25)], val


def transfer_table(model: SmallResNet, pictures: list[Image.Image], labels: np.ndarray) -> list[str]:
    """Markdown rows: backbone, augmentation, mean and lowest validation accuracy over five seeds for both rates."""
    train_y, val_y = (torch.from_numpy(labels[i]) - TRANSFER[0] for i in split(labels, TRANSFER))
    rows = []
    for name, backbone, augment in [
        ("trained", model, False), ("trained", model, True), ("random", initialised(1).eval(), False),
    ]:
        features, val = transfer_features(backbone, pictures, augment)
        cells = []
        for lr in (0.001, 0.1):
            best = [tutorial(features, train_y, val, val_y, lr, seed) for seed in range(5)]
            cells.append(f"{np.mean(best):.3f} ({min(best):.3f} to {max(best):.3f})")
        rows.append(f"| {name} | {'tutorial' if augment else 'none'} | {cells[0]} | {cells[1]} |")
        print(rows[-1], flush=True)
    return rows


CARD = """# resnet-tiny

A ResNet of {parameters:,} parameters for 32x32 greyscale pictures, trained on the handwritten digits 0 to 4. It is there to be
fine-tuned: `models/resnet-tiny-data` beside it holds the digits 5 to 9, which it has never seen.

| | |
|---|---|
| file | `resnet-tiny.onnx`, {bytes:,} bytes, SHA-256 `{sha256}` |
| network | conv1 (3x3, 16) - layer1 (16) - layer2 (32) - layer3 (64), one basic block each - average pooling - `fc` [5, 64] |
| input | `input` [N, 1, 32, 32]: 8x8 pictures resized to 32 (bilinear), / 255, mean {mean}, std {std} |
| output | `logits` [N, 5], the digits 0 to 4 |
| metadata | `finetune.classes`, `finetune.preprocessing` |
| trained on | {base_train} pictures of 0 to 4, {epochs} epochs of SGD (one-cycle, lr {lr}, momentum 0.9, weight decay {weight_decay}), small random distortions |
| accuracy | {accuracy:.4f} on {base_val} held-out pictures of 0 to 4 (ONNX Runtime, the exported file) |
| exported with | `torch.onnx.export(..., dynamo=True)`, batch norm folded by the exporter, source locations removed |
| versions | {versions} |

## Transfer to the digits 5 to 9
`fc` replaced by a fresh one for five classes and trained as in PyTorch's transfer-learning tutorial (25 epochs, batch 4, SGD
with momentum 0.9, StepLR 7 x 0.1), everything else frozen: {transfer_train} training and {transfer_val} validation pictures. Best validation accuracy, mean
(lowest to highest) over five seeds, in PyTorch. *Random* is the same network with its initial weights.

| backbone | augmentation | lr 0.001 | lr 0.1 |
|---|---|---|---|
{rows}

The learning rate and the scale of the features were chosen with these figures in view, so they are a little optimistic; random
weights of another scale do better or worse than those above. Random crops and mirror images make other digits out of digits, so the file's preprocessing says `"augment": "none"`.

## Data
Both parts come from scikit-learn's `load_digits`: the test part of *Optical Recognition of Handwritten Digits*, E. Alpaydin and
C. Kaynak, 1998, UCI Machine Learning Repository, <https://doi.org/10.24432/C50P49>, licensed
[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/). Changed: 17 grey levels spread over 0 to 255 and written as PNG files,
each named by its index in scikit-learn's array; a fifth of each class, drawn with a fixed seed, is for validation.

## To make it again
```
pip install -r scripts/requirements.txt
python scripts/make_resnet_tiny.py
```
Another machine may round differently and arrive at other weights; the figures stay close.
"""


def main() -> None:
    root = pathlib.Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=root / "models")
    parser.add_argument("--seed", type=int, default=0)
    a = parser.parse_args()
    torch.set_num_threads(1)
    pictures, labels = digits()
    transfer = write_dataset(a.out / "resnet-tiny-data", pictures, labels)
    x, y = tensors(pictures), torch.from_numpy(labels)
    base_train, base_val = split(labels, BASE)
    model = train(x[base_train], y[base_train], a.seed)
    path = a.out / "resnet-tiny.onnx"
    export(model, path)
    held_out = normalised(x[base_val])
    logits = oracle.runtime_logits(path, held_out.numpy())
    np.testing.assert_allclose(logits, oracle.logits(model, held_out.numpy()), rtol=1e-3, atol=1e-4)
    versions = oracle.versions("torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "scikit-learn")
    card = CARD.format(
        parameters=sum(numpy_helper.to_array(t).size for t in onnx.load(path).graph.initializer if t.data_type == 1),
        bytes=path.stat().st_size, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), mean=MEAN, std=STD,
        base_train=len(base_train), base_val=len(base_val), epochs=EPOCHS, lr=LR, weight_decay=WEIGHT_DECAY,
        accuracy=accuracy(torch.from_numpy(logits), y[base_val]),
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
        transfer_train=transfer["train"], transfer_val=transfer["val"],
        rows="\n".join(transfer_table(model, pictures, labels)),
    )
    (a.out / "resnet-tiny.md").write_text(card)


if __name__ == "__main__":
    main()
