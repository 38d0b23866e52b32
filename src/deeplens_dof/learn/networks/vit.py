"""The encoder: DINOv2 ViT-S/14 (Oquab et al., 2023) as plain torch, without registers.

The sides of the input are multiples of 14; features are maps of 1/14 of its size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, HEADS, DEPTH, PATCH, GRID = 384, 6, 12, 14, 37


class TransformerBlock(nn.Module):
    """Attention and perceptron, each with a norm before it and a learnt scale after it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, N, C) to (B, N, C)."""
        batch, count, width = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        mixed = _attention(query, key, value).transpose(1, 2).reshape(batch, count, width)
        tokens = tokens + self.scale1 * self.proj(mixed)
        return tokens + self.scale2 * self.fc2(F.gelu(self.fc1(self.norm2(tokens))))


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Scaled dot-product attention of (B, heads, N, C).

    Written out for export, and for bfloat16 on processors, where this trains 1.4 times as fast; in float32 torch's own does.
    """
    if not torch._C._get_tracing_state() and (query.is_cuda or query.dtype != torch.bfloat16):
        return F.scaled_dot_product_attention(query, key, value)
    return ((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)).softmax(-1) @ value


class VisionTransformer(nn.Module):
    """Feature maps of chosen blocks. Tests use smaller widths and depths."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS, depth: int = DEPTH) -> None:
        super().__init__()
        self.width = width
        self.patch = nn.Conv2d(3, width, PATCH, PATCH)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))  # includes its position
        self.position = nn.Parameter(torch.randn(1, width, GRID, GRID) * 0.02)
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, rgb: Tensor, levels: Sequence[int]) -> list[Tensor]:
        """Normalised (B, 3, H, W) to a (B, C, H/14, W/14) map for each block index in `levels`."""
        patches = self.patch(rgb)
        rows, columns = patches.shape[-2:]
        position = F.interpolate(self.position, size=(rows, columns), mode="bicubic", align_corners=False)
        tokens = (patches + position).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(rgb), -1, -1), tokens], 1)
        maps = []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in levels:
                spread = self.norm(tokens)[:, 1:].transpose(1, 2)
                maps.append(spread.reshape(-1, self.width, rows, columns))
        return maps
