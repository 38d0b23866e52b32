"""One call: a photo in, the same photo with a fast lens out.

python examples/1_simple.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import deeplens_dof as dl

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deeplens-"))
out.mkdir(parents=True, exist_ok=True)

dl.blur("examples/photos/astronaut.jpg", f_number=1.4).save(out / "astronaut.jpg")

print(out / "astronaut.jpg")
