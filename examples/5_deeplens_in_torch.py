"""DeepLens in torch: load, forward, gradients, a step of fine-tuning, export (needs `[learn]`).

python examples/5_deeplens_in_torch.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import torch

import deeplens_dof as dl
from deeplens_dof.learn import DeepLens

WIDTH = 168

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deeplens-"))
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)
torch.set_num_threads(1)  # small work

photo = dl.read("examples/photos/astronaut.jpg")
small = torch.from_numpy(photo.linear().transpose(2, 0, 1))[None]
rgb_linear = torch.nn.functional.interpolate(small, scale_factor=WIDTH / photo.width, mode="area")

# Forward: the picture, where the focus is (0 the farthest, 1 the nearest), and the CoC radius over the whole depth in px.
model = DeepLens.from_pretrained(lens_points=16)
focus = torch.tensor([0.9], requires_grad=True)
bokeh = model(rgb_linear, focus, torch.tensor([6.0]))

# Gradients: how should focus and weights change for the picture to be like one that is focused on the background?
with torch.no_grad():
    target = model(rgb_linear, torch.tensor([0.2]), torch.tensor([6.0]))
loss = (bokeh - target).square().mean()
loss.backward()
taught = sum(weight.grad.abs().max() > 0 for weight in model.parameters() if weight.grad is not None)
print(
    f"loss {loss.item():.2e}, gradient to the focus {focus.grad.item():+.2e}, {taught} tensors of weights get one"
)

# One step of fine-tuning.
torch.optim.AdamW(model.parameters(), lr=1e-6).step()
with torch.no_grad():
    after = (model(rgb_linear, focus, torch.tensor([6.0])) - target).square().mean()
print(f"after one step: loss {after.item():.2e}")

# Export: depth.onnx, lens_blur.onnx and upsample.onnx, as the package runs them; the same call loads them again.
model.save_pretrained(out, note="an example")
again = DeepLens.from_pretrained(out, lens_points=16)
with torch.no_grad():
    ours, theirs = (network(rgb_linear, focus, torch.tensor([6.0])) for network in (model, again))
print(f"loaded again: the pictures differ by {(ours - theirs).abs().max().item():.1e} at most")
print(out)
