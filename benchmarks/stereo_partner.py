"""Would the second view of a stereo photo (.mpo) give better depth than the network? Needs the extra [dev].

    python benchmarks/stereo_partner.py

One pair of which the truth is known (Middlebury's motorcycle, from scikit-image): Spearman's rank correlation of true
disparity with the network's depth of one view, and with OpenCV's semi-global matching of both, its holes filled by the
farther of their neighbours in the row; the second view as it is, and turned and shifted as that of a camera with two lenses
that nobody has rectified.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

from deeplens_dof.depth.predict import predict_depth
from deeplens_dof.evaluate.metrics import spearman

SEARCHED_PX = 80
CASES = {"as it is": (0.0, 0.0), "1 px lower": (0.0, 1.0), "turned by 0.5 degrees, 3 px lower": (0.5, 3.0)}


def matched(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Disparity in px of every pixel of the left view."""
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=SEARCHED_PX,
        blockSize=5,
        P1=8 * 3 * 25,
        P2=32 * 3 * 25,
        disp12MaxDiff=1,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    found = matcher.compute(left, right).astype(np.float32) / 16
    print(f"  matched: {(found >= 0).mean():.0%}")
    for row in found:
        row[...] = np.minimum(_carried(row), _carried(row[::-1])[::-1])
    return found


def _carried(row: np.ndarray) -> np.ndarray:
    """The row with holes (below 0) filled by what stands before them."""
    known = row >= 0
    places = np.maximum.accumulate(np.where(known, np.arange(len(row)), -1))
    return np.where(places >= 0, row[np.maximum(places, 0)], np.inf if known.any() else 0)


def moved(view: np.ndarray, degrees: float, down_px: float) -> np.ndarray:
    height, width = view.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    turn[1, 2] += down_px
    return cv2.warpAffine(view, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def main() -> None:
    left, right, truth = data.stereo_motorcycle()
    known = np.isfinite(truth) & (truth > 0)
    print(f"predicted from one view: {spearman(predict_depth(left).values[known], truth[known]):.3f}")
    for name, (degrees, down_px) in CASES.items():
        found = matched(left, moved(right, degrees, down_px))
        print(f"matched, second view {name}: {spearman(found[known], truth[known]):.3f}")


if __name__ == "__main__":
    main()
