"""Small made-up folders in each layout that the readers know: a slanted plane in a photo of noise."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 12, 16
METRES = np.linspace(1, 4, HEIGHT, dtype=np.float32)[:, None].repeat(WIDTH, 1)  # nearest at the top
HOLE = np.s_[2:4, 3:6]


def rgb(seed: int = 0, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def with_hole(values: np.ndarray, filled: float = 0) -> np.ndarray:
    values = values.copy()
    values[HOLE] = filled
    return values


def millimetres() -> np.ndarray:
    return with_hole(np.rint(METRES * 1000)).astype(np.uint16)


def mask(inside: bool = True) -> np.ndarray:
    """White but for the hole, or the reverse."""
    white = with_hole(np.ones((HEIGHT, WIDTH)))
    return ((white if inside else 1 - white) * 255).astype(np.uint8)


def nyuv2_pictures(folder: Path) -> None:
    save(folder / "kitchen" / "rgb_00001.png", rgb(1))
    save(folder / "kitchen" / "sync_depth_00001.png", millimetres())
    save(folder / "00002_colors.png", rgb(2))
    save(folder / "00002_depth.png", millimetres())


def nyuv2_labelled(folder: Path) -> None:
    import h5py

    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:  # axes reversed, as MATLAB leaves them
        file["images"] = np.stack([rgb(seed).transpose(2, 1, 0) for seed in (1, 2)])
        file["depths"] = np.stack([METRES.T, METRES.T])
        file["rawDepths"] = np.stack([with_hole(METRES).T] * 2)


def diode(folder: Path) -> None:
    for number in (1, 2):
        scan = folder / "indoors" / "scene_00019" / "scan_00183"
        save(scan / f"00019_{number}.png", rgb(number))
        np.save(scan / f"00019_{number}_depth.npy", METRES[..., None])
        np.save(scan / f"00019_{number}_depth_mask.npy", with_hole(np.ones((HEIGHT, WIDTH), np.float32)))


def hrwsi(folder: Path) -> None:
    for number in (1, 2):
        save(folder / "train" / "imgs" / f"{number}.jpg", rgb(number))
        save(folder / "train" / "gts" / f"{number}.png", np.rint(200 / METRES).astype(np.uint8))
        save(folder / "train" / "valid_masks" / f"{number}.png", mask())


def megadepth(folder: Path) -> None:
    import h5py

    for number in (1, 2):
        dense = folder / f"000{number}" / "dense0"
        save(dense / "imgs" / f"{number}.jpg", rgb(number))
        (dense / "depths").mkdir()
        with h5py.File(dense / "depths" / f"{number}.h5", "w") as file:
            file["depth"] = with_hole(METRES * 3, filled=-1)


def rgbd(folder: Path) -> None:
    for number, ending in enumerate(("npy", "npz", "exr", "tiff", "png")):
        save(folder / "rgb" / "a" / f"{number}.png", rgb(number))
        save(folder / "mask" / "a" / f"{number}.png", mask(inside=False))
        save(folder / "valid" / "a" / f"{number}.png", mask())
        depth = folder / "depth" / "a" / f"{number}.{ending}"
        depth.parent.mkdir(parents=True, exist_ok=True)
        if ending == "npy":
            np.save(depth, with_hole(METRES, np.nan))
        else:
            from deeplens_dof import InverseDepth
            from deeplens_dof.depth.files import write_depth_file

            write_depth_file(depth, InverseDepth(1 / METRES, "1/m"))


def rgbd_millimetres(folder: Path) -> None:
    save(folder / "rgb" / "1.jpg", rgb(1))
    save(folder / "depth_mm" / "1.png", millimetres())


def masks(folder: Path) -> None:
    for number in (1, 2):
        save(folder / "image" / f"{number}.jpg", rgb(number))
        save(folder / "mask" / f"{number}.png", mask(inside=False))


def gdepth_jpeg(path: Path, kind: str = "RangeInverse", orientation: int = 1, near: str = "1.0") -> Path:
    """A photo whose XMP holds METRES as GDepth of 16 bits, in one packet or (padded) in an extended one."""
    far = 4.0
    codes = (METRES - 1) / (far - 1) if kind == "RangeLinear" else (1 - 1 / METRES) / (1 - 1 / far)
    data = io.BytesIO()
    Image.fromarray(np.rint(codes * 65535).astype(np.uint16)).save(data, "PNG")
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" '
        f'GDepth:Format="{kind}" GDepth:Near="{near}" GDepth:Far="{far}" GDepth:Units="m" GDepth:Mime="image/png" '
        f'GDepth:Data="{base64.b64encode(data.getvalue()).decode()}"/></rdf:RDF></x:xmpmeta>'
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb(4)).save(path, exif=exif, xmp=packet.encode())
    return path


def phone(folder: Path) -> None:
    gdepth_jpeg(folder / "2019" / "one.jpg")
    gdepth_jpeg(folder / "two.jpg", "RangeLinear")


ALL = {
    "nyuv2": nyuv2_pictures,
    "nyuv2 labelled": nyuv2_labelled,
    "diode": diode,
    "hrwsi": hrwsi,
    "megadepth": megadepth,
    "rgbd": rgbd,
    "rgbd in millimetres": rgbd_millimetres,
    "masks": masks,
    "phone": phone,
}
