"""The steps one by one: read and analyse a photo once, then focus and stop down as often as you like.

python examples/2_steps.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import deeplens_dof as dl

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deeplens-"))
out.mkdir(parents=True, exist_ok=True)

photo = dl.read("examples/photos/coffee.jpg")
scene = dl.analyse(photo)  # predicts the depth: the expensive half
dl.write_depth_file(out / "depth.png", scene.inverse_depth)
print(
    f"{photo.width} x {photo.height} px, the subject is at ({scene.subject[0]:.2f}, {scene.subject[1]:.2f})"
)

for name, focus in {"subject": "subject", "far-corner": (0.05, 0.05)}.items():
    for f_number in (1.4, 4.0):
        result = dl.refocus(scene, dl.Settings(focus=focus, f_number=f_number, lens_mm=85))
        result.save(out / f"coffee-{name}-f{f_number:g}.jpg")
        widest_px = abs(result.coc_px).max()
        print(f"focus on {name}, f/{f_number:g}: circles of confusion up to {widest_px:.1f} px in radius")

print(out)
