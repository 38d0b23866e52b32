"""Where was the focus, and how wide was the lens? Found by gradient descent through the lens blur (needs `[learn]`).

python examples/4_autofocus_by_gradient.py [FOLDER]

A picture is blurred with a focus and an f-number that are then forgotten. From the sharp picture, its depth and the
blurred one both are recovered: `deeplens_dof.learn.exact` is differentiable in either.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.learn import exact

WIDTH, LENS_MM, STEPS = 96, 85.0, 28
HIDDEN_FOCUS, HIDDEN_F_NUMBER = 0.72, 1.6  # 1/m, f/

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deeplens-"))
out.mkdir(parents=True, exist_ok=True)
torch.manual_seed(0)

photo = dl.read("examples/photos/astronaut.jpg")
scene = dl.preview(dl.analyse(photo), WIDTH * WIDTH * photo.height // photo.width)
rgb = torch.from_numpy(scene.linear.transpose(2, 0, 1))[None]
depth = torch.from_numpy(scene.inverse_depth.in_metres(nearest_m=1.0))[None]
points = torch.from_numpy(dl.Aperture.disc().points(16))


def seen(focus: torch.Tensor, f_number: torch.Tensor) -> torch.Tensor:
    """The bokeh for a focus in 1/m and an f-number."""
    blur_px = dl.Lens(LENS_MM, 1.0).blur_px(rgb.shape[-1]) / f_number
    return exact.render(rgb, depth, focus, blur_px, points)


def save(name: str, picture: torch.Tensor) -> None:
    pixels = dl.linear_to_srgb(np.ascontiguousarray(picture.detach()[0].permute(1, 2, 0).numpy()))
    Image.fromarray(pixels).resize((4 * pixels.shape[1], 4 * pixels.shape[0])).save(out / name)


with torch.no_grad():
    target = seen(torch.tensor(HIDDEN_FOCUS), torch.tensor(HIDDEN_F_NUMBER))
    guesses = [torch.tensor(guess) for guess in (0.1, 0.5, 0.9)]
    errors = [float((seen(guess, torch.tensor(2.8)) - target).square().mean()) for guess in guesses]

focus = guesses[int(np.argmin(errors))].clone().requires_grad_()
log_f_number = torch.tensor(np.log(2.8), dtype=torch.float32, requires_grad=True)
descent = torch.optim.Adam([{"params": [focus], "lr": 0.05}, {"params": [log_f_number], "lr": 0.08}])
slower = torch.optim.lr_scheduler.CosineAnnealingLR(descent, STEPS, 1e-3)
for step in range(STEPS):
    error = (seen(focus, log_f_number.exp()) - target).square().mean()
    descent.zero_grad()
    error.backward()
    descent.step()
    slower.step()
    if step % 9 == 0 or step == STEPS - 1:
        print(
            f"step {step:2d}: focus {focus.item():.3f} 1/m, f/{log_f_number.exp().item():.2f}, error {error.item():.2e}"
        )

save("target.png", target)
save("recovered.png", seen(focus, log_f_number.exp()))
print(f"hidden: focus {HIDDEN_FOCUS} 1/m, f/{HIDDEN_F_NUMBER}")
print(f"recovered: focus {focus.item():.3f} 1/m, f/{log_f_number.exp().item():.2f}")
print(out)
