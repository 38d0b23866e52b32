"""Depth of stereo pairs: what `fetch_stereo_sets.py` measures with. Pictures are BGR or grey uint8, as OpenCV has them.

Disparity is how many pixels further left the right camera sees a point: larger is nearer, proportional to inverse depth
where the cameras look in parallel. float32 (H, W) in pixels of the left picture, NaN where it is not known.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
Disparity = npt.NDArray[np.float32]
Area = npt.NDArray[np.bool_]

BLOCK = 5
AGREE_PX = 1.0  # largest difference between the match from the left and the match back from the right
SPECKLE_SHARE = 200 / (640 * 480)  # patches smaller than this share of the picture are dropped
_NOTHING = -32000


def disparity(left: Picture, right: Picture, lowest: int, count: int, enlarge: int = 1) -> Disparity:
    """Semi-global matching of a pair whose rows agree, both ways; what the two ways do not agree on is NaN.

    lowest, count: first disparity looked for and how many, in pixels of the pictures as they come. enlarge: match on
    pictures that many times as large, for finer steps.
    """
    size = left.shape[1::-1]
    if enlarge > 1:
        left, right = (
            cv2.resize(each, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
            for each in (left, right)
        )
    lowest, count = lowest * enlarge, int(np.ceil(count * enlarge / 16) * 16)
    border = count + abs(lowest) + max(0, lowest)  # without it the matcher leaves the picture's sides out
    left, right = (
        cv2.copyMakeBorder(each, 0, 0, border, border, cv2.BORDER_REPLICATE) for each in (left, right)
    )
    smoothness = 8 * (1 if left.ndim == 2 else 3) * BLOCK**2
    matcher = cv2.StereoSGBM_create(
        minDisparity=lowest,
        numDisparities=count,
        blockSize=BLOCK,
        P1=smoothness,
        P2=4 * smoothness,
        disp12MaxDiff=-1,
        preFilterCap=31,
        uniquenessRatio=5,
        mode=cv2.STEREO_SGBM_MODE_HH,
    )

    def match(one: Picture, other: Picture) -> Disparity:
        found = matcher.compute(one, other).astype(np.float32) / 16
        return np.where(found > lowest - 0.99, found, np.float32(np.nan))

    forth = match(left, right)
    back = match(right[:, ::-1].copy(), left[:, ::-1].copy())[:, ::-1]
    known = _agree(forth, back, border)
    found = _without_speckles(np.where(known, forth, np.float32(np.nan))[:, border:-border]) / enlarge
    if enlarge > 1:
        found = cv2.resize(found, size, interpolation=cv2.INTER_NEAREST)
    return found


def _agree(forth: Disparity, back: Disparity, border: int) -> Area:
    """Where the match lies inside the right picture and its own match leads back."""
    width = forth.shape[1]
    matched = np.arange(width, dtype=np.float32) - forth  # NaN compares as false below
    column = np.clip(np.round(np.nan_to_num(matched)).astype(int), 0, width - 1)
    same = np.abs(forth - np.take_along_axis(back, column, 1)) <= AGREE_PX
    return same & (matched >= border) & (matched < width - border)


def _without_speckles(found: Disparity) -> Disparity:
    sixteenths = np.where(np.isnan(found), _NOTHING, np.round(np.nan_to_num(found) * 16)).astype(np.int16)
    cv2.filterSpeckles(sixteenths, _NOTHING, int(SPECKLE_SHARE * found.size), 16)
    return np.where(sixteenths == _NOTHING, np.float32(np.nan), found)


def textured(picture: Picture, deviation: float, window: int) -> Area:
    """Where grey values within a window differ by more than this standard deviation: elsewhere matches are guesses."""
    grey = (cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture).astype(np.float32)
    mean = cv2.blur(grey, (window, window))
    variance = cv2.blur(grey * grey, (window, window)) - mean * mean
    return np.sqrt(np.maximum(variance, 0)) > deviation


def align_rows(left: Picture, right: Picture) -> Picture:
    """The right picture of a hand-made pair, moved up and down until its rows are those of the left.

    Rows are affine in column and row, fitted to SIFT matches that one fundamental matrix explains; columns stay, so
    that disparities keep their order. Raises ValueError when fewer than 50 such matches are found.
    """
    sift = cv2.SIFT_create(4000)
    (left_points, left_looks), (right_points, right_looks) = (
        sift.detectAndCompute(each, None) for each in (left, right)
    )
    matches = [
        best
        for best, second in cv2.BFMatcher().knnMatch(left_looks, right_looks, k=2)
        if best.distance < 0.75 * second.distance
    ]
    here = np.array([left_points[match.queryIdx].pt for match in matches], np.float32)
    there = np.array([right_points[match.trainIdx].pt for match in matches], np.float32)
    if len(matches) >= 50:
        _, good = cv2.findFundamentalMat(here, there, cv2.USAC_MAGSAC, 1.0, 0.9999, 5000)
        here, there = here[good.ravel() > 0], there[good.ravel() > 0]
    if len(here) < 50:
        raise ValueError(f"only {len(here)} points of the two pictures match, expected 50: not a stereo pair")
    terms, rows = np.c_[there, np.ones(len(there))], here[:, 1]
    close = np.ones(len(rows), bool)
    for _ in range(11):
        affine = np.linalg.lstsq(terms[close], rows[close], rcond=None)[0]
        error = np.abs(terms @ affine - rows)
        close = error < max(0.7, 2.5 * float(np.median(error)))
    return cv2.warpAffine(
        right,
        np.array([[1, 0, 0], affine]),
        left.shape[1::-1],
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )


def undistorted(picture: Picture, lens: tuple[float, ...], focal_px: float) -> Picture:
    """The picture of an ideal camera that looks the same way, its axis in the middle.

    lens: fx, fy, cx, cy, k1, k2, p1, p2 as OpenCV has them. focal_px: of the ideal camera.
    """
    height, width = picture.shape[:2]
    fx, fy, cx, cy, *coefficients = lens
    seen = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    ideal = np.array([[focal_px, 0, width / 2], [0, focal_px, height / 2], [0, 0, 1]])
    maps = cv2.initUndistortRectifyMap(
        seen, np.array(coefficients), None, ideal, (width, height), cv2.CV_32FC1
    )
    return cv2.remap(picture, *maps, cv2.INTER_CUBIC)


def bright_top(picture: Picture, brighter_than: int, share: float, margin: int) -> Area:
    """The sky: what is bright in blue in the upper share of the rows, and a margin round it in pixels."""
    rows = np.arange(picture.shape[0])[:, None] < picture.shape[0] * share
    sky = ((picture[..., 0] > brighter_than) & rows).astype(np.uint8)
    return cv2.dilate(sky, np.ones((2 * margin + 1,) * 2)) > 0


def nearness_in_viridis(picture: Picture, tolerance: float = 12) -> Disparity:
    """Order of depth from a map that was published as a viridis picture, dark is near: 0 (far) to 255.

    NaN within a pixel of colours that are further than the tolerance from every colour of the map.
    """
    colours = cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_VIRIDIS)[:, 0]
    found, where = np.unique(picture.reshape(-1, 3), axis=0, return_inverse=True)
    distance = np.linalg.norm(found[:, None].astype(np.float32) - colours.astype(np.float32), axis=-1)
    alike = (distance.min(1) < tolerance)[where].reshape(picture.shape[:2])
    nearness = (255 - distance.argmin(1))[where].reshape(picture.shape[:2])
    known = cv2.erode(alike.astype(np.uint8), np.ones((3, 3))) > 0
    return np.where(known, nearness, np.nan).astype(np.float32)
