# SPDX-License-Identifier: Apache-2.0
"""Writes a diffusers directory as one file in the original layout, as models are shared: the way back of what diffusers
reads. Names only; one part of the autoencoder has its matrices as 1×1 convolutions."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1",
    "conv_shortcut": "skip_connection",
}
_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
Tensors = dict[str, torch.Tensor]


def write(model: Path, folder: Path, layers: int = 1) -> Path:
    """The model as ``folder/m.safetensors``, with its configuration in ``folder/m/``."""
    unet = load_file(model / "unet/diffusion_pytorch_model.safetensors")
    vae = load_file(model / "vae/diffusion_pytorch_model.safetensors")
    text = load_file(model / "text_encoder/model.safetensors")
    tensors = {f"model.diffusion_model.{_unet(name, layers)}": value for name, value in unet.items()}
    blocks = 1 + max(int(found[1]) for name in vae if (found := re.match(r"decoder\.up_blocks\.(\d+)", name)))
    for name, value in vae.items():
        found = _vae(name, blocks)
        matrix = "attn_1" in found and value.dim() == 2
        tensors[f"first_stage_model.{found}"] = value[:, :, None, None] if matrix else value
    for name, value in text.items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    # Files of that time hold it, though it is no weight.
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(77)[None]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "m.safetensors")
    shutil.copytree(model, folder / "m", ignore=shutil.ignore_patterns("*.safetensors"))
    return folder / "m.safetensors"


def _unet(name: str, layers: int) -> str:
    for ours, theirs in _TOP.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    if found := re.match(r"mid_block\.(resnets|attentions)\.(\d+)\.(.*)", name):
        kind, number, rest = found[1], int(found[2]), found[3]
        return f"middle_block.{2 * number}.{_resnet(rest)}" if kind == "resnets" else f"middle_block.1.{rest}"
    found = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
    assert found is not None, name
    up, block, part, number, rest = found[1] == "up", int(found[2]), found[3], int(found[4]), found[5]
    at = (layers + 1) * block + number + (0 if up else 1)
    if part == "resnets":
        return f"{'output' if up else 'input'}_blocks.{at}.0.{_resnet(rest)}"
    if part == "attentions":
        return f"{'output' if up else 'input'}_blocks.{at}.1.{rest}"
    if part == "downsamplers":
        return f"input_blocks.{(layers + 1) * (block + 1)}.0.op.{rest.removeprefix('conv.')}"
    # After an attention it is the third of its block.
    return f"output_blocks.{(layers + 1) * block + layers}.2.{rest}"


def _resnet(rest: str) -> str:
    part, _dot, tail = rest.partition(".")
    return f"{_RESNET[part]}.{tail}"


def _vae(name: str, blocks: int) -> str:
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda found: f"mid.block_{int(found[1]) + 1}", name)
    for ours, theirs in _ATTENTION.items():
        name = name.replace(f"mid_block.attentions.0.{ours}.", f"mid.attn_1.{theirs}.")
    name = re.sub(r"down_blocks\.(\d)\.resnets\.", r"down.\1.block.", name)
    name = re.sub(r"down_blocks\.(\d)\.downsamplers\.0\.", r"down.\1.downsample.", name)
    back = {str(block): str(blocks - 1 - block) for block in range(blocks)}
    name = re.sub(r"up_blocks\.(\d)\.resnets\.", lambda found: f"up.{back[found[1]]}.block.", name)
    return re.sub(r"up_blocks\.(\d)\.upsamplers\.0\.", lambda found: f"up.{back[found[1]]}.upsample.", name)
