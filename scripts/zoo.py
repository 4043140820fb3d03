#!/usr/bin/env python3
"""A zoo of image classifiers with seeded random weights, and what finetune makes of every layer of theirs.

    pip install -r scripts/requirements.txt
    python scripts/zoo.py make --out DIR [--only NAME,...]
    python scripts/zoo.py oracles --out DIR [--only NAME,...]
    python scripts/zoo.py names --models DIR [--only NAME,...]
    python scripts/zoo.py check --models DIR [--only NAME,...] [--layers N]

The models are small ones of torchvision's, timm's and Hugging Face's families (`torchvision.NAME`, `timm.NAME`,
`hf.NAME`): few blocks, few channels, small pictures, every parameter and statistic random and different from all others.

`make` writes DIR/LIBRARY.NAME.EXPORTER.BATCH.onnx with both of PyTorch's exporters and their defaults; BATCH is `any`
(a symbolic axis) or `one` (what an exporter does unless told otherwise). What cannot be exported goes to DIR/failed.txt.

`oracles` writes folders as those of oracle.py, one step of SGD each, DIR/LIBRARY.NAME.EXPORTER.PLACE.STATISTICS: PLACE is
what is unfrozen, `head`, `block` (head and last block), `middle` (head and a layer inside of a block) or `all`;
STATISTICS is `frozen` (batch norm folded by the exporter), `kept` (frozen, not folded) or `batch`. They are run by OracleTests with FINETUNE_ORACLES=DIR.

`names` lists PyTorch's parameters that are not in a file or that `finetune inspect` does not offer, and what it offers
beyond them.

`check` trains one epoch with a learning rate of 1e-12 with every layer of `finetune inspect` as the place of the cut, and
compares the validation loss with `finetune evaluate`'s of the written model: what crosses the cut must be right. Batch sizes
and augmentation take turns over the layers. It prints one line for each failure and a count.
"""

import argparse
import concurrent.futures
import copy
import csv
import importlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXPORTERS, BATCHES, CLASSES = ("dynamo", "torchscript"), ("any", "one"), 5
PLACES = ("head", "block", "middle", "all")


# MARK: Models


def torchvision_models() -> dict:
    """Small ones of each family, by constructors that leave widths and depths open."""
    from functools import partial

    from torch import nn
    from torchvision import models as tv
    from torchvision.models import convnext, efficientnet, inception, maxvit, mobilenetv3, regnet, resnet, swin_transformer, vgg

    def narrow_resnet(block, **more):
        return lambda: resnet.ResNet(block, [1, 1, 1, 1], num_classes=CLASSES, **more)

    def small_vgg():
        features = vgg.make_layers([8, "M", 16, "M", 16, 16, "M"], batch_norm=True)
        model = vgg.VGG(features, num_classes=CLASSES)
        model.avgpool = nn.AdaptiveAvgPool2d(2)
        model.classifier = nn.Sequential(
            nn.Linear(16 * 4, 32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, CLASSES))
        return model

    def small_alexnet():
        model = tv.alexnet(num_classes=CLASSES)
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(256, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, CLASSES))
        return model

    def small_efficientnet(kinds):
        return lambda: efficientnet.EfficientNet(kinds, dropout=0.1, last_channel=64, num_classes=CLASSES)

    mb, fused = efficientnet.MBConvConfig, efficientnet.FusedMBConvConfig
    v1 = [mb(1, 3, 1, 16, 8, 1, 1, 1), mb(4, 3, 2, 8, 16, 2, 1, 1), mb(4, 5, 2, 16, 16, 1, 1, 1)]
    v2 = [fused(1, 3, 1, 16, 16, 1), fused(2, 3, 2, 16, 24, 2), mb(4, 3, 2, 24, 32, 2)]

    def small_mobilenet_v3(kind):
        def build():
            settings, last = mobilenetv3._mobilenet_v3_conf(kind, width_mult=0.25)
            return mobilenetv3.MobileNetV3(settings, 64, num_classes=CLASSES)
        return build

    def small_regnet(se):
        parameters = regnet.BlockParams.from_init_params(
            depth=5, w_0=16, w_a=16, w_m=2.0, group_width=8, se_ratio=se)
        return lambda: regnet.RegNet(parameters, num_classes=CLASSES)

    def small_swin(**more):
        return lambda: swin_transformer.SwinTransformer(
            patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=CLASSES,
            **more)

    def small_vit():
        return tv.VisionTransformer(
            image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=CLASSES)

    settings = [convnext.CNBlockConfig(16, 32, 1), convnext.CNBlockConfig(32, 48, 2), convnext.CNBlockConfig(48, None, 1)]
    v2_block = partial(
        swin_transformer.SwinTransformer, block=swin_transformer.SwinTransformerBlockV2,
        downsample_layer=swin_transformer.PatchMergingV2)
    return {
        "resnet18": (narrow_resnet(resnet.BasicBlock), 32),
        "resnet50": (narrow_resnet(resnet.Bottleneck, width_per_group=8), 32),
        "resnext": (narrow_resnet(resnet.Bottleneck, groups=4, width_per_group=4), 32),
        "vgg11_bn": (small_vgg, 32),
        "alexnet": (small_alexnet, 64),
        "squeezenet1_1": (lambda: tv.squeezenet1_1(num_classes=CLASSES), 64),
        "densenet": (lambda: tv.DenseNet(8, (2, 2, 2), 16, num_classes=CLASSES), 32),
        "googlenet": (lambda: tv.googlenet(num_classes=CLASSES, aux_logits=False, init_weights=False), 64),
        "inception_v3": (lambda: tv.inception_v3(num_classes=CLASSES, aux_logits=False, init_weights=False), 96),
        "mobilenet_v2": (lambda: tv.mobilenet_v2(num_classes=CLASSES, width_mult=0.25), 32),
        "mobilenet_v3_small": (small_mobilenet_v3("mobilenet_v3_small"), 32),
        "mobilenet_v3_large": (small_mobilenet_v3("mobilenet_v3_large"), 32),
        "mnasnet": (lambda: tv.MNASNet(0.35, num_classes=CLASSES), 32),
        "shufflenet_v2": (lambda: tv.ShuffleNetV2([2, 2, 2], [8, 16, 32, 48, 64], num_classes=CLASSES), 32),
        "efficientnet_b0": (small_efficientnet(v1), 32),
        "efficientnet_v2_s": (small_efficientnet(v2), 32),
        "regnet_y": (small_regnet(0.25), 32),
        "regnet_x": (small_regnet(None), 32),
        "convnext": (lambda: convnext.ConvNeXt(settings, num_classes=CLASSES), 32),
        "vit_b_32": (small_vit, 32),
        "swin_t": (small_swin(), 32),
        "swin_v2_t": (lambda: v2_block(
            patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4],
            num_classes=CLASSES), 32),
        "maxvit_t": (lambda: maxvit.MaxVit(
            input_size=(64, 64), stem_channels=16, partition_size=4, block_channels=[16, 32], block_layers=[1, 1],
            head_dim=8, stochastic_depth_prob=0.0, num_classes=CLASSES), 64),
    }


# The smallest of each family, with what makes it smaller still.
TIMM = {
    "test_resnet": ({}, 32), "test_byobnet": ({}, 32), "test_efficientnet": ({}, 32), "test_efficientnet_gn": ({}, 32),
    "test_efficientnet_evos": ({}, 32), "test_nfnet": ({}, 32), "test_convnext": ({}, 32), "test_convnext3": ({}, 32),
    "test_mambaout": ({}, 32), "test_vit": ({"img_size": 32}, 32), "test_vit3": ({"img_size": 32}, 32),
    "test_vit_relpos": ({"img_size": 32}, 32), "test_coatnet": ({"img_size": 64}, 64),
    "test_maxvit": ({"img_size": 64}, 64),
    "resnetv2_50": ({"layers": (1, 1, 1, 1), "channels": (16, 32, 32, 64)}, 32),
    "resnetv2_50d_gn": ({"layers": (1, 1, 1, 1), "channels": (128, 128, 128, 128), "stem_chs": 64}, 32),
    "ecaresnet26t": ({"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}, 32),
    "skresnet18": ({"layers": (1, 1, 1, 1), "channels": (64, 64, 64, 64)}, 32),
    "resnest14d": ({"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}, 32),
    "res2net50_26w_4s": ({"layers": (1, 1, 1, 1), "channels": (16, 16, 32, 32)}, 32),
    "ghostnet_050": ({}, 32), "ghostnetv2_100": ({}, 32),
    "lcnet_035": ({}, 32), "tinynet_e": ({}, 32), "mobilenetv4_conv_small_035": ({}, 32),
    "rexnet_100": ({"width_mult": 0.25}, 32), "repghostnet_050": ({}, 32),
    "mobileone_s0": ({}, 32), "repvgg_a0": ({}, 32), "regnetz_005": ({}, 32),
    "ese_vovnet19b_slim_dw": ({}, 32), "cspresnet50": ({}, 32), "dla46_c": ({}, 32), "hardcorenas_a": ({}, 32),
    "hrnet_w18_small": ({}, 64), "hgnetv2_b0": ({}, 32), "selecsls42": ({}, 64), "dpn48b": ({}, 32),
    "densenet121": ({"growth_rate": 8, "block_config": (2, 2, 2)}, 32),
    "fastvit_t8": ({"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 32, 64)}, 64),
    "mobilevit_xxs": ({}, 64), "mobilevitv2_050": ({}, 64),
    "edgenext_xx_small": ({"depths": (1, 1, 2, 1), "dims": (16, 32, 32, 64)}, 64),
    "efficientformer_l1": ({"depths": (1, 1, 1, 2), "embed_dims": (16, 16, 32, 32)}, 224),
    "efficientformerv2_s0": ({"depths": (1, 1, 2, 2), "embed_dims": (16, 16, 32, 32), "img_size": 64}, 64),
    "poolformer_s12": ({}, 32),
    "cait_xxs24_224": ({"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}, 32),
    "coat_lite_tiny": ({"img_size": 64, "embed_dims": (16, 32, 32, 32), "serial_depths": (1, 1, 1, 1)}, 64),
    "convit_tiny": ({"img_size": 32, "embed_dim": 32, "depth": 3, "num_heads": 4, "local_up_to_layer": 2}, 32),
    "deit_tiny_distilled_patch16_224": ({"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}, 32),
    "deit3_small_patch16_224": ({"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}, 32),
    "beit_base_patch16_224": ({"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}, 32),
    "eva02_tiny_patch14_224": ({"img_size": 28, "embed_dim": 32, "depth": 2, "num_heads": 2}, 28),
    "xcit_nano_12_p16_224": ({"img_size": 32, "embed_dim": 32, "depth": 2, "num_heads": 2}, 32),
    "swin_tiny_patch4_window7_224": ({"img_size": 32, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}, 32),
    "swinv2_tiny_window8_256": ({"img_size": 32, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}, 32),
    "swinv2_cr_tiny_ns_224": ({"img_size": 64, "embed_dim": 16, "depths": (2, 2), "num_heads": (2, 4), "window_size": 4}, 64),
    "tnt_s_patch16_224": ({"img_size": 32, "embed_dim": 64, "depth": 2}, 32),
    "twins_pcpvt_small": ({"img_size": 64, "embed_dims": (16, 16, 32, 32), "num_heads": (1, 1, 2, 2), "depths": (1, 1, 1, 1)}, 64),
    "twins_svt_small": ({"img_size": 64, "embed_dims": (16, 16, 32, 32), "num_heads": (1, 1, 2, 2), "depths": (2, 2, 2, 2), "wss": (4, 4, 4, 2)}, 64),
    "pvt_v2_b0": ({}, 64),
    "pit_ti_224": ({"img_size": 64}, 64),
    "levit_128s": ({"img_size": 64, "embed_dim": (32, 48, 64), "depth": (1, 1, 1)}, 64),
    "mixer_s32_224": ({"img_size": 64}, 64),
    "gmlp_ti16_224": ({"img_size": 32}, 32),
    "resmlp_12_224": ({"img_size": 32}, 32),
    "focalnet_tiny_srf": ({}, 64),
    "davit_tiny": ({"depths": (1, 1), "embed_dims": (16, 32), "num_heads": (2, 4), "window_size": 4}, 64),
    "gcvit_xxtiny": ({"img_size": 224}, 224),
    "nest_tiny": ({"img_size": 64}, 64),
    "visformer_tiny": ({"img_size": 64, "embed_dim": 32, "depth": (1, 1, 1)}, 64),
    "sequencer2d_s": ({"layers": (1, 1, 1, 1), "embed_dims": (16, 16, 16, 16), "hidden_sizes": (8, 8, 8, 8)}, 56),
    "inception_next_atto": ({"depths": (1, 1, 1, 1), "dims": (16, 32, 32, 64)}, 32),
    "starnet_s1": ({"base_dim": 8, "depths": (1, 1, 1, 1)}, 32),
    "repvit_m0_9": ({"embed_dim": (16, 16, 32, 32), "depth": (1, 1, 1, 1)}, 32),
    "swiftformer_xs": ({"layers": (1, 1, 1, 1), "embed_dims": (16, 16, 32, 32)}, 64),
    "hiera_tiny_224": ({"img_size": (64, 64), "embed_dim": 16, "stages": (1, 1, 1, 1)}, 64),
    "lambda_resnet26t": ({}, 64), "botnet26t_256": ({"img_size": 64}, 64),
}


def hugging_face_models() -> dict:
    """Configurations by hand: two layers, hidden 32, pictures of 32."""
    import transformers as tf

    plain = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
             "image_size": 32, "patch_size": 8}
    siglip = {"vision_config": plain}
    table = {
        "ViT": (plain, 32), "DeiT": (plain, 32), "Beit": (plain | {"use_relative_position_bias": True}, 32),
        "Data2VecVision": (plain | {"use_relative_position_bias": True}, 32), "ViTMSN": (plain, 32),
        "Dinov2": (plain, 32), "Dinov2WithRegisters": (plain, 32), "IJepa": (plain, 32),
        "Siglip": (siglip, 32), "CLIP": (siglip, 32),
        "Swin": ({"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4],
                  "window_size": 4}, 32),
        "Swinv2": ({"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4],
                    "window_size": 4}, 32),
        "ConvNext": ({"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2}, 32),
        "ConvNextV2": ({"hidden_sizes": [16, 32], "depths": [1, 1], "num_stages": 2}, 32),
        "Pvt": ({"image_size": 64, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1],
                 "num_attention_heads": [1, 1, 2, 2]}, 64),
        "PvtV2": ({"image_size": 64, "hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1],
                   "num_attention_heads": [1, 1, 2, 2]}, 64),
        "Segformer": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]}, 64),
        "PoolFormer": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}, 64),
        "Levit": ({"image_size": 64, "hidden_sizes": [32, 48, 64], "depths": [1, 1, 1], "num_attention_heads": [2, 2, 2]}, 64),
        "Cvt": ({"embed_dim": [16, 32, 32], "depth": [1, 1, 1], "num_heads": [1, 2, 2]}, 64),
        "MobileViT": ({"image_size": 64, "hidden_sizes": [24, 32, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 32, 64]}, 64),
        "MobileNetV2": ({"image_size": 32, "depth_multiplier": 0.25}, 32),
        "ResNet": ({"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1]}, 32),
        "RegNet": ({"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "groups_width": 8}, 32),
        "Bit": ({"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1]}, 32),
        "FocalNet": ({"image_size": 32, "embed_dim": 16, "depths": [1, 1], "focal_levels": [2, 2],
                      "focal_windows": [3, 3], "hidden_sizes": [16, 32]}, 32),
        "SwiftFormer": ({"image_size": 64, "depths": [1, 1, 1, 1], "embed_dims": [16, 16, 32, 32]}, 64),
        "Hiera": ({"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}, 64),
    }

    def builder(name: str, settings: dict):
        def build():
            kind = getattr(tf, name + "ForImageClassification")
            config = kind.config_class(**settings, num_labels=CLASSES)
            config._attn_implementation = "eager"
            return Logits(kind(config))
        return build

    from torch import nn

    class Logits(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, x):
            return self.model(x).logits

    return {name: (builder(name, settings), size) for name, (settings, size) in table.items()}


def timm_models() -> dict:
    import timm

    return {
        name: (lambda name=name, more=more: timm.create_model(name, num_classes=CLASSES, exportable=True, **more), size)
        for name, (more, size) in TIMM.items()
    }


LIBRARIES = {"torchvision": torchvision_models, "timm": timm_models, "hf": hugging_face_models}


def build(name: str):
    """The model called `LIBRARY.NAME`, in eval mode without dropout, and the size of its pictures."""
    import torch
    from torch import nn

    library, name = name.split(".", 1)
    torch.manual_seed(0)
    make, size = LIBRARIES[library]()[name]
    model = make().eval()
    for module in model.modules():
        if type(module).__name__ in ("StochasticDepth", "DropPath") or isinstance(module, nn.Dropout):
            for key in ("p", "drop_prob"):
                if hasattr(module, key):
                    setattr(module, key, 0.0)
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
        for key in ("attn_drop_prob", "attention_dropout", "dropout_prob"):
            if isinstance(getattr(module, key, None), float):
                setattr(module, key, 0.0)
    with torch.no_grad():
        for key, value in model.named_parameters():
            # Equal tensors are merged by exporters, zeros hide mistakes.
            if value.std() == 0 if value.numel() > 1 else True:
                value.copy_(torch.empty_like(value).uniform_(0.6, 1.4) if value.flatten()[0] > 0.5 else torch.randn_like(value) * 0.1)
        for key, value in model.named_buffers():
            if key.endswith("running_mean"):
                value.normal_(std=0.2)
            elif key.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return model, size


def all_names(only: str) -> list[str]:
    wanted = [name for name in only.split(",") if name]
    names = [f"{library}.{name}" for library, models in LIBRARIES.items() for name in models()]
    return [name for name in names if not wanted or any(name == w or name.startswith(w + ".") for w in wanted)]


# MARK: Export


def export(model, path: pathlib.Path, size: int, exporter: str, batch: str, keep_batch_norm: bool = False) -> None:
    import torch

    import oracle

    warnings.filterwarnings("ignore")
    torch.manual_seed(1)
    example = torch.randn(1 if batch == "one" else 2, 3, size, size)
    more = {"input_names": ["input"], "output_names": ["logits"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    if exporter == "dynamo":
        if batch == "any":
            more["dynamic_shapes"] = ({0: torch.export.Dim("N")},)
        if keep_batch_norm:
            # The optimizer folds them.
            more["optimize"] = False
        torch.onnx.export(model, (example,), str(path), dynamo=True, external_data=False, verbose=False, **more)
    else:
        if batch == "any":
            more["dynamic_axes"] = {"input": {0: "N"}, "logits": {0: "N"}}
        if keep_batch_norm:
            more |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(model, (example,), str(path), dynamo=False, opset_version=17, **more)
    oracle.remove_stack_traces(path)


def make_one(name: str, exporter: str, batch: str, out: pathlib.Path) -> None:
    import torch

    import oracle

    model, size = build(name)
    path = out / f"{name}.{exporter}.{batch}.onnx"
    # An export may change what it reads.
    export(copy.deepcopy(model), path, size, exporter, batch)
    x = torch.randn(1 if batch == "one" else 3, 3, size, size, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = model(x).numpy()
    difference = np.abs(oracle.runtime_logits(path, x.numpy()) - expected).max() / np.abs(expected).max()
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, PyTorch against ONNX Runtime {difference:.0e}", flush=True)


def in_processes(calls: list[tuple], out: pathlib.Path, jobs: int) -> int:
    """One fork for each (name, function, arguments): what fails or keeps memory does not touch the rest."""
    import multiprocessing

    import torch

    torch.set_num_threads(1)
    for exporter in EXPORTERS:
        # What exporters import and make once is there in all forks.
        export(torch.nn.Conv2d(3, 1, 1).eval(), out / "warm.onnx", 4, exporter, "any")
    (out / "warm.onnx").unlink()
    forks = multiprocessing.get_context("fork")

    def body(name: str, action, arguments: tuple, errors: str) -> None:
        try:
            with open(os.devnull, "w") as nothing:
                os.dup2(nothing.fileno(), 2)
            action(*arguments)
            os._exit(0)
        except BaseException as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [""]
            pathlib.Path(errors).write_text(f"{type(error).__name__}: {lines[0][:300]}")
            os._exit(1)

    def start(call: tuple) -> str | None:
        with tempfile.NamedTemporaryFile() as errors:
            process = forks.Process(target=body, args=(*call, errors.name))
            process.start()
            process.join(400)
            if process.exitcode == 0:
                return None
            process.kill()
            reason = pathlib.Path(errors.name).read_text() or f"ended with {process.exitcode}"
        with (out / "failed.txt").open("a") as file:
            file.write(f"{call[0]}: {reason}\n")
        return call[0]

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        failed = [name for name in pool.map(start, calls) if name]
    print(f"{len(calls) - len(failed)} of {len(calls)} made; the others are in failed.txt", flush=True)
    return 0


def make(a: argparse.Namespace) -> int:
    a.out.mkdir(parents=True, exist_ok=True)
    calls = [
        (f"{name}.{exporter}.{batch}", make_one, (name, exporter, batch, a.out.resolve()))
        for exporter, batch in itertools.product(a.exporters.split(","), a.batches.split(","))
        for name in all_names(a.only)
    ]
    calls = [c for c in calls if a.again or not (a.out / f"{c[0]}.onnx").exists()]
    return in_processes(calls, a.out, a.jobs)


# MARK: Names


def fold_batch_norms(model, x):
    """A copy with every batch norm that follows a convolution folded into it, as both exporters do; names stay.

    The batch norm stays too and does nothing. Returns the copy and the names of the parameters that are gone.
    """
    import torch
    from torch import nn

    model, made, pairs, kept = copy.deepcopy(model), {}, [], []

    def after(module, _, output):
        made[id(output)] = module
        kept.append(output)

    def before(module, inputs):
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])], module))

    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    handles = [m.register_forward_hook(after) for m in model.modules() if isinstance(m, nn.Conv2d)]
    handles += [m.register_forward_pre_hook(before) for m in norms]
    with torch.no_grad():
        model(x)
        for handle in handles:
            handle.remove()
        gone = set()
        for conv, norm in pairs:
            standardises = "Std" in type(conv).__name__
            if sum(c is conv for c, _ in pairs) > 1 or not norm.affine or standardises:
                continue
            factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            bias = 0 if conv.bias is None else conv.bias
            conv.weight.copy_(conv.weight * factor.reshape(-1, 1, 1, 1))
            conv.bias = nn.Parameter((bias - norm.running_mean) * factor + norm.bias)
            norm.running_mean.zero_()
            norm.running_var.fill_(1)
            norm.weight.fill_((1 + norm.eps) ** 0.5)
            norm.bias.zero_()
            gone |= {id(norm.weight), id(norm.bias)}
    return model, {name for name, parameter in model.named_parameters() if id(parameter) in gone}


def stored_names(path: pathlib.Path, start: dict[str, np.ndarray]) -> tuple[dict[str, tuple], list[str]]:
    """For each of PyTorch's parameters its name in the file, the order of axes there and the shape; and those not found."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    stored = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    by_count: dict[int, list] = {}
    for name, value in stored.items():
        if value.dtype == np.float32:
            by_count.setdefault(value.size, []).append((name, value, float(np.abs(value).sum())))
    found, lost = {}, []
    for name, value in start.items():
        total = float(np.abs(value).sum())
        near = [c for c in by_count.get(value.size, []) if abs(c[2] - total) <= 1e-3 * total + 1e-6]
        near.sort(key=lambda c: c[0] != name)
        orders = sorted(itertools.permutations(range(value.ndim)), key=lambda o: o != tuple(range(value.ndim)))
        for (key, other, _), order in itertools.product(near, orders):
            if np.allclose(value.transpose(order).ravel(), other.ravel(), rtol=1e-3, atol=1e-5):
                found[name] = (key, order, other.shape)
                break
        else:
            lost.append(name)
    return found, lost


# MARK: Oracles


def places(model, names: list[str]) -> dict[str, list[str]]:
    """Which of the parameters `names` are unfrozen for each of PLACES."""
    from torch import nn

    heads = [
        name for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == CLASSES
        or isinstance(module, nn.Conv2d) and module.out_channels == CLASSES
    ]
    def below(name: str, scopes: list[str]) -> bool:
        return any(name.startswith(scope + ".") for scope in scopes)

    head = [name for name in names if below(name, heads)]
    # The innermost scope that is counted, of the last parameters and of those half-way.
    def scope(name: str) -> str:
        parts = name.split(".")
        last = max((i for i, part in enumerate(parts[:-1]) if part.isdigit()), default=0)
        return ".".join(parts[:last + 1])

    rest = [name for name in names if name not in head]
    counted = [name for name in rest if any(part.isdigit() for part in name.split(".")[:-1])] or rest
    block = [name for name in rest if below(name, [scope(counted[-1])])]
    inner = [name for name in counted if name.endswith("weight")]
    middle = inner[len(inner) * 2 // 3].rsplit(".", 1)[0]
    return {"head": head, "block": head + block, "middle": head + [n for n in rest if below(n, [middle])], "all": names}


def oracle_one(name: str, exporter: str, out: pathlib.Path) -> None:
    import torch
    from torch import nn

    import oracle

    model, size = build(name)
    x = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(3))
    labels = torch.tensor([0, 3, 1, 4])
    norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    for kind, statistics in [(False, ["frozen"])] + ([(True, ["kept", "batch"])] if norms else []):
        shared = out / f"{name}.{exporter}{'.norms' if kind else ''}.onnx"
        try:
            export(copy.deepcopy(model), shared, size, exporter, "any", keep_batch_norm=kind)
        except Exception as error:
            with (out / "failed.txt").open("a") as file:
                file.write(f"{shared.name}: {type(error).__name__}: {str(error).splitlines()[0][:200]}\n")
            continue
        folded, gone = (copy.deepcopy(model), set()) if kind else fold_batch_norms(model, x[:2])
        start = {n: p.detach().numpy().copy() for n, p in folded.named_parameters() if n not in gone}
        found, lost = stored_names(shared, start)
        for place, chosen in places(folded, list(found)).items():
            for mode in statistics:
                step(folded, x, labels, chosen, mode, shared, out / f"{name}.{exporter}.{place}.{mode}", found, lost)
        shared.unlink()


def step(model, x, labels, chosen, mode, shared, folder, found, lost) -> None:
    """One step of SGD from `model` as it is."""
    import torch
    from torch import nn

    import oracle

    model = copy.deepcopy(model).eval()
    answers = {"input": x.numpy()[None], "labels": labels.numpy()[None], "logits_eval": oracle.logits(model, x.numpy())}
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name in chosen
    if mode == "batch":
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.train()
    loss = nn.functional.cross_entropy(model(x), labels)
    loss.backward()
    parameters = dict(model.named_parameters())
    chosen = [name for name in chosen if parameters[name].grad is not None]
    torch.optim.SGD([parameters[name] for name in chosen], lr=1e-2).step()

    def laid_out(name: str, tensor) -> np.ndarray:
        _, order, shape = found[name]
        return tensor.detach().numpy().transpose(order).reshape(shape).copy()

    for name in chosen:
        answers[f"grad/{found[name][0]}"] = laid_out(name, parameters[name].grad)
        answers[f"final/{found[name][0]}"] = laid_out(name, parameters[name])
    answers["loss"] = np.array([loss.item()], dtype=np.float32)
    settings = {
        "bn": "fold", "bn_mode": "train" if mode == "batch" else "eval", "lr": "0.01", "momentum": "0.0",
        "weight_decay": "0.0", "unfreeze": ",".join(found[name][0] for name in chosen), "lost": ",".join(lost),
        "names": json.dumps({name: found[name][0] for name in chosen if found[name][0] != name}),
        **oracle.versions("torch", "torchvision", "timm", "transformers", "onnx", "onnxscript", "onnxruntime"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    oracle.save(folder / "oracle.safetensors", answers, settings)
    (folder / "model.onnx").unlink(missing_ok=True)
    os.link(shared, folder / "model.onnx")


def oracles(a: argparse.Namespace) -> int:
    a.out.mkdir(parents=True, exist_ok=True)
    calls = [
        (f"{name}.{exporter}", oracle_one, (name, exporter, a.out.resolve()))
        for exporter in a.exporters.split(",") for name in all_names(a.only)
    ]
    calls = [c for c in calls if a.again or not (a.out / f"{c[0]}.head.frozen").exists()]
    return in_processes(calls, a.out, a.jobs)


def names(a: argparse.Namespace) -> int:
    """Compares the parameters that `finetune inspect` offers with PyTorch's."""
    import torch

    torch.set_num_threads(1)
    wrong = 0
    for name in all_names(a.only):
        paths = sorted(a.models.glob(f"{name}.*.onnx"))
        if not paths:
            continue
        model, size = build(name)
        folded, gone = fold_batch_norms(model, torch.randn(2, 3, size, size))
        start = {n: p.detach().numpy().copy() for n, p in folded.named_parameters() if n not in gone}
        for path in paths:
            done = subprocess.run([a.program, "inspect", path, "--json", "-q"], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"{path.name}: inspect {done.returncode}: {message(done)}", flush=True)
                wrong += 1
                continue
            layers = json.loads(done.stdout.splitlines()[-1])["layers"]
            found, lost = stored_names(path, start)
            offered = {p["name"] for layer in layers for p in layer["parameters"]}
            stored = {entry[0] for entry in found.values()} | set(found)
            missing = sorted(n for n, entry in found.items() if not offered & {entry[0], n})
            more = sorted(offered - stored)
            for what, list_ in (("not in the file", lost), ("not offered", missing), ("no parameter", more)):
                if list_:
                    wrong += 1
                    print(f"{path.name}: {what} {len(list_)}: {', '.join(list_[:6])}", flush=True)
    print(f"{wrong} differences", flush=True)
    return 1 if wrong else 0


# MARK: Check


def pictures(folder: pathlib.Path) -> None:
    """Two classes, seven and five pictures, with a val/ of its own."""
    from PIL import Image

    rng = np.random.default_rng(7)
    for part, counts in (("train", (7, 5)), ("val", (5, 4))):
        for index, count in enumerate(counts):
            for number in range(count):
                path = folder / part / f"class{index}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                small = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
                Image.fromarray(small).resize((80, 80), Image.BILINEAR).save(path)


class Checker:
    """Runs of one program on one data set in one scratch folder."""

    # Batch size, augmentation, whether the run reads kept features.
    turns = [
        (batch, *how) for batch, how in itertools.product(
            (3, 1, 4, 7), (("none", False), ("tutorial", False), ("none", True)))
    ]

    def __init__(self, program: pathlib.Path, scratch: pathlib.Path) -> None:
        self.program, self.scratch = program, scratch
        pictures(scratch / "data")

    def call(self, *arguments: object) -> subprocess.CompletedProcess:
        return subprocess.run(
            [self.program, *map(str, arguments)], capture_output=True, text=True, timeout=300,
            env=os.environ | {"FINETUNE_CACHE": str(self.scratch / "cache"), "XDG_CACHE_HOME": str(self.scratch / "cache")})

    def layers(self, model: pathlib.Path) -> list[str]:
        done = self.call("inspect", model, "--json")
        if done.returncode != 0:
            raise RuntimeError(f"inspect {done.returncode}: {message(done)}")
        found = json.loads(done.stdout.splitlines()[-1])
        if not found["layers"]:
            raise RuntimeError("inspect: no layers" + "".join(f"; {k}: {v}" for k, v in found.items() if "support" in k))
        return [layer["path"] for layer in found["layers"]]

    def run(self, model: pathlib.Path, layer: str, batch: int, augment: str, cached: bool) -> str | None:
        """What is wrong, or nothing."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        try:
            for turn in range(2 if cached else 1):
                run = folder / f"run{turn}"
                done = self.call(
                    "--model", model, "--unfreeze", layer, "--data", self.scratch / "data", "--lr", "1e-12", "--epochs", 1,
                    "--batch-size", batch, "--augment", augment, "--output", run, "--threads", 1, "--quiet",
                    "--keep-head" if False else "--seed", 1)
                if done.returncode != 0:
                    return f"training {done.returncode}: {message(done)}"
                with (run / "history.csv").open() as file:
                    trained = float(list(csv.DictReader(file))[-1]["val_loss"])
                done = self.call("evaluate", "--model", run / "best.onnx", "--data", self.scratch / "data", "--json", "--threads", 1)
                if done.returncode != 0:
                    return f"evaluate {done.returncode}: {message(done)}"
                loss = float(json.loads(done.stdout.splitlines()[-1])["loss"])
                if not abs(trained - loss) <= 1e-5 * abs(loss):
                    return f"val loss {trained}, evaluate {loss}" + (" from the cache" if turn else "")
        except subprocess.TimeoutExpired:
            return "takes too long"
        finally:
            shutil.rmtree(folder)
        return None


def message(done: subprocess.CompletedProcess) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return next((line for line in lines if "rror" in line), lines[-1] if lines else "no message")[:400]


def check(a: argparse.Namespace) -> int:
    models = sorted(a.models.glob("*.onnx"), key=lambda path: path.stat().st_size)
    wanted = [name for name in a.only.split(",") if name]
    models = [m for m in models if not wanted or any(m.name.startswith(w) for w in wanted)]
    models = [m for m in models if m.stat().st_size <= a.largest * 1e6]
    counts = {"models": 0, "layers": 0, "failures": 0}
    with tempfile.TemporaryDirectory(prefix="finetune-zoo-") as scratch:
        checker = Checker(a.program.resolve(), pathlib.Path(scratch))

        def one(model: pathlib.Path) -> tuple[int, list[str]]:
            try:
                layers = checker.layers(model)
            except (RuntimeError, subprocess.TimeoutExpired, ValueError) as error:
                return 0, [f"{model.name}: {error}"]
            step = max(1, -(-len(layers) // a.layers)) if a.layers else 1
            found = []
            # Those of the end first, from another turn in every model.
            chosen = layers[::-1][::step]
            first = sum(model.name.encode()) % len(checker.turns)
            for index, layer in enumerate(chosen):
                turn = checker.turns[(first + index) % len(checker.turns)]
                wrong = checker.run(model, layer, *turn)
                if wrong:
                    how = f"batch {turn[0]}, augment {turn[1]}{', cached' if turn[2] else ''}"
                    found.append(f"{model.name} at {layer} ({how}): {wrong}")
                    if len(found) > a.stop_after:
                        break
            return len(chosen), found

        with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
            for model, (layers, found) in zip(models, pool.map(one, models)):
                counts["models"] += 1
                counts["layers"] += layers
                counts["failures"] += len(found)
                for line in found:
                    print(line, flush=True)
                if a.verbose:
                    print(f"{model.name}: {layers} layers, {len(found)} failures", flush=True)
    print(f"{counts['failures']} failures at {counts['layers']} layers of {counts['models']} models", flush=True)
    return 1 if counts["failures"] or not counts["models"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("make", help="export the models")
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="names as LIBRARY or LIBRARY.NAME, comma-separated")
    command.add_argument("--exporters", default=",".join(EXPORTERS))
    command.add_argument("--batches", default=",".join(BATCHES))
    command.add_argument("--jobs", type=int, default=2)
    command.add_argument("--again", action="store_true", help="export what is there already, too")
    command.set_defaults(action=make)
    command = commands.add_parser("oracles", help="store PyTorch's answers for a step")
    command.add_argument("--out", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="names as LIBRARY or LIBRARY.NAME, comma-separated")
    command.add_argument("--exporters", default=",".join(EXPORTERS))
    command.add_argument("--jobs", type=int, default=2)
    command.add_argument("--again", action="store_true", help="make what is there already, too")
    command.set_defaults(action=oracles)
    command = commands.add_parser("names", help="compare the parameters offered with PyTorch's")
    command.add_argument("--models", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="names as LIBRARY or LIBRARY.NAME, comma-separated")
    command.add_argument("--program", type=pathlib.Path, default=ROOT / ".build" / "release" / "finetune")
    command.set_defaults(action=names)
    command = commands.add_parser("check", help="cut every model at every layer")
    command.add_argument("--models", type=pathlib.Path, required=True)
    command.add_argument("--only", default="", help="beginnings of file names, comma-separated")
    command.add_argument("--program", type=pathlib.Path, default=ROOT / ".build" / "release" / "finetune")
    command.add_argument("--layers", type=int, default=0, help="at most so many layers of a model; 0 for all")
    command.add_argument("--largest", type=float, default=1e3, help="largest file, in megabytes")
    command.add_argument("--stop-after", type=int, default=5, help="failures of one model")
    command.add_argument("--jobs", type=int, default=2)
    command.add_argument("--verbose", action="store_true")
    command.set_defaults(action=check)
    a = parser.parse_args()
    return a.action(a)


if __name__ == "__main__":
    sys.exit(main())
