"""The stereo pairs of `fetch_stereo_sets.py`: which package holds them, and what is to know of each to measure its depth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from fetch_evaluation_data import FROM_SOURCE, PIP, Package

EVERYTHING = slice(None)

PACKAGES = (
    Package(
        "stereodemo 0.7",
        (*PIP, "--only-binary=:all:", "stereodemo==0.7"),
        "MIT",
        "stereodemo/datasets",
        {
            "oak-d/corridor_left.png": "d51b47b938221309204e7c4c06a361f9f8e28796a396d345ae289583e5d10c38",
            "oak-d/corridor_right.png": "45627c4f244e12b4b9f184559ab8aa97ec6ec931696dd8ca8bb460c4fab1d126",
            "oak-d/cycles_left.png": "6ad108cf43caee84384ffb3c769c0b74ad18d7d6d44d907df3847b0ed9174606",
            "oak-d/cycles_right.png": "814ae281dabc268e64455543dd0d893ab50ea9d406efbeccf199aa0c12310059",
            "oak-d/desk_left.png": "28f75bba24ea9ea9ef8be7908506cd2725258d59c88413eff39dca1587c82e55",
            "oak-d/desk_right.png": "99ae5151ba34e57672cde8e752954ed26129ddddbbda0128e551c60e8ba50cf3",
            "oak-d/donkey_toy_left.png": "06929b3c9d5bd2291e30d967a90604286f7eb4f34daa4348870701c9761c809a",
            "oak-d/donkey_toy_right.png": "0ab2889b84473af6154b2f21d9d65e21b396a73befff61571da91911dd5e8982",
            "oak-d/kid_bedroom_left.png": "fed5cf79e1ee101e6e023b69645b067561f58d61b95f2deeebe735fa28d6bdf9",
            "oak-d/kid_bedroom_right.png": "e95e3d9db6466d5ff9d30d702c879b52d8ecdfcc7cddcaab6053cf30015772ee",
            "oak-d/living_room_left.png": "1ced83ec3c4d871237ff56eed9633dbcb080f42b0e934a8a2eea1caafac7efc4",
            "oak-d/living_room_right.png": "a6d6523bb2bb604c2c7e6964a38bf776d98948582ecca8ad893c0dea0071781d",
            "oak-d/pov_hands_left.png": "4a3de50ed7931b55f6fa753af4c100d8bd2ee4d2a09ff10069c8d0ad042d0c3f",
            "oak-d/pov_hands_right.png": "65cf300ba84b9e9b55120070527f4371a468bed98cf2af59222eef49d90efd2d",
            "oak-d/selfie_left.png": "d8da968d0e5e7311f9f414b807d8d9109aa5adf04ae500a8f4daa540a9281709",
            "oak-d/selfie_right.png": "f04614b90fa69c677d92ede5ebcae27c74971e25b5c3070972466421ce3dc0e3",
            "oak-d/stairs_left.png": "3c9c4ff9b10b14ce86c6469ec3ffc2fd738b9eb93ecec6c9d53cd61c97b7d494",
            "oak-d/stairs_right.png": "57ac719b1263b545822f153e27a986f5acdd59cdf321006dfe14defe6a1c03c6",
            "oak-d/toy_left.png": "eb5c44e65417565bb47f633cac4e2c0868e302fdd79de511988de04bef942a3f",
            "oak-d/toy_right.png": "31d0ad52198e61c8724d2ebefcab10d8a0f3682ae36136655eee90ddadea7ec1",
        },
    ),
    Package(
        "stereodemo 0.5 (source)",
        (*PIP, *FROM_SOURCE, "stereodemo==0.5"),
        "MIT; its data sets have their own: see SOURCES.md",
        "stereodemo-0.5/datasets",
        {
            "eth3d_lowres/delivery_area_1l/im0.png": "634ff100be6d81ff4b08d7d67949069572ad9f2da51b7bdf651ecb44a41c7879",
            "eth3d_lowres/delivery_area_1l/im1.png": "f543cd3612fd6cd327fc47d77502964660b7234af6330e77d726745e7632c92e",
            "eth3d_lowres/delivery_area_2l/im0.png": "f9c9785b75f968d3fd158814d06754e2efe717df2dc390f4b81993885a793107",
            "eth3d_lowres/delivery_area_2l/im1.png": "898b4c703593b7bf567786267401abdec5dc44b600302bfb83db3bebebcad0e6",
            "eth3d_lowres/electro_2l/im0.png": "1638d1f8480896f565ee16e241155a4bb59ca7ca4ddbf82be4bb25040a9eb0e8",
            "eth3d_lowres/electro_2l/im1.png": "8173d90519f89e0c781a2d0e5fcce010477b52497931fdf28a4d1d1f484a2c33",
            "eth3d_lowres/forest_2s/im0.png": "0413f4ae94162fec588a60579c9169aa12a679cb378861ca74b47de60ffa9e1d",
            "eth3d_lowres/forest_2s/im1.png": "9e28a2ee1f6b98967fdb78f5cf528ee7bc1860e4068ef2283070b4b8b26fac47",
            "eth3d_lowres/playground_1l/im0.png": "c958f6978ce162c28fbfe1ff49b0af07f9e89ec45149d73ef315894f9f9dd685",
            "eth3d_lowres/playground_1l/im1.png": "b62431c3cfed78b3289f35c7e1dd715bc8f6f6118c94966a244c6b6c5ceb32bd",
            "middlebury_2014/Piano-imperfect/im0.png": "53eff04d91f3beeb959aac4c3967f041dcdf8ab1c519767bec81036e1c7f4514",
            "middlebury_2014/Piano-imperfect/im1.png": "f8e65d06b9fac56aa2568576f66640c95a94b27fadf02dbf60f5903ad5188002",
            "middlebury_2014/Playtable-imperfect/im0.png": "e4bc32a5a23ed1683a8c9adccdd8c17b9031c56927fe5d2e3d6a301047651e02",
            "middlebury_2014/Playtable-imperfect/im1.png": "31eb7ac8ccf6b90ca4b2f497083b78abcc1bc32103f63b2a18f152259ba613a4",
            "kitti2015/kitti_000046_left.png": "1bd9d1630c7e4960f573abc3657dd9431e1f29b5cd971041ee154cbdf2bad639",
            "kitti2015/kitti_000046_right.png": "165a81149d82f5ec22b95262f05d7242a083fb581ec8ec56f78b7f89e2c40af5",
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-14-50-10-570_left.jpg": (
                "27e327ae2f5994558c7e704ecb40ce9ea4b8035a01a85122d120e2bcb3299886"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-14-50-10-570_right.jpg": (
                "96cbbc87e2607a771195010629cd1c8812d721d6291cda1e64c4f8e8143c4b75"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-14-57-53-937_left.jpg": (
                "1c0951ff514b2e2c906c32c4a84633883e28a56856a506f5af82d26948c14605"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-14-57-53-937_right.jpg": (
                "07848e6e6019dcf3c7a5eae2b519045f731147c5ea65441433a37bd4989f3d48"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-02-03-700_left.jpg": (
                "df68948ba90d0ab36dc18c89bc575d02c5f8ff26007cc47400486bbf8620ba62"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-02-03-700_right.jpg": (
                "d4dca91f9a5fcbc758552baf58e6619701c7baa9ad9d5d56d1c9525711b082f8"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-02-29-915_left.jpg": (
                "8f76491357534b8ae434088103520ed6559ae0e9cafa30118e58054ce1db777a"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-02-29-915_right.jpg": (
                "fe508c208583fd1fb9696763a3ed401f48cfbc54a63af774cf9b2ad67dda5979"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-26-56-946_left.jpg": (
                "ed3ea0fbdedd93f04f8d3eca4e9407f80970612bedb1b43170f397f33e15f3fa"
            ),
            "drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-15-26-56-946_right.jpg": (
                "70805b98791a546a9881de2571cd647766b5f84bee4fd918ecba1957fb92cd78"
            ),
        },
    ),
    Package(
        "kapture 1.1.12 (source)",
        (*PIP, *FROM_SOURCE, "kapture==1.1.12"),
        "BSD-3-Clause; its samples have their own: see SOURCES.md",
        "kapture-1.1.12/samples/utbm/2018-07-13-15-17-20_1_first10_bb2_kapture/sensors/records_data",
        {
            "bb2_left/frame_000000001.jpg": "057a29a024a500f06d1701539f8a15cae65585a64558044a0678f4957b8b22ee",
            "bb2_right/frame_000000001.jpg": "25331f0165f2bc7c670387b70ec3772a698b5037bb9f1aa218e31bbadfdb6dcf",
        },
    ),
    Package(
        "pillow_heif 1.8.1 (source)",
        (*PIP, *FROM_SOURCE, "pillow_heif==1.8.1"),
        "BSD-3-Clause; pictures under nokia/ their own: see SOURCES.md",
        "pillow_heif-1.8.1/tests/images/heif_other",
        {
            "spatial_photo.heic": "ef941d328072a2df034adb3c3b46f41117606bfc8fcc100dff975d31f55ec028",
            "nokia/stereo_1200x800.heic": "6ddd7929f30d7e521bd34f24bf302962e3f956dd8f5e65f792006395630b8e33",
        },
    ),
    Package(
        "Pillow 11.0.0 (source)",
        (*PIP, *FROM_SOURCE, "pillow==11.0.0"),
        "MIT-CMU",
        "pillow-11.0.0/Tests/images",
        {
            "fujifilm.mpo": "9a762601aacf49a2e5a999521447279ae2a7fd91d1872301f49a1ff8b1c0b544",
        },
    ),
    Package(
        "rpx_benchmark 0.3.7",
        (*PIP, "--only-binary=:all:", "rpx-benchmark==0.3.7"),
        "MIT; its data set has its own: see SOURCES.md",
        "rpx_benchmark/guides/assets",
        {
            "scene049-rgb.png": "af2cf8c22c3b9613c0cb12acb99ebbeb510d15bf5a83d061a591f93755ebe0af",
            "scene049-depth.png": "19a5351da248b8f70b7eec2e387cc0d1651c2e250f1be79d652ec87918246388",
        },
    ),
)


class Hole(NamedTuple):
    """A part of the picture where matches nearer than so many pixels of disparity are known to be false."""

    rows: slice
    columns: slice = EVERYTHING
    nearer_than: float = -np.inf


class Lenses(NamedTuple):
    """Of a pair that is not rectified: fx, fy, cx, cy, k1, k2, p1, p2 of each; what undistorting leaves empty is cut."""

    left: tuple[float, ...]
    right: tuple[float, ...]
    focal_px: float
    cut_rows: int
    cut_columns: int


@dataclass(frozen=True)
class StereoSet:
    """One photo and how its depth is measured.

    files: left and right picture, or one file that holds both. search: first disparity and how many, in pixels; None
    when the second file is depth in the colours of viridis. texture: standard deviation of grey, within a window, below
    which matches are guesses. least: disparities below are noise of the far. enlarge: see `disparity`. rows_agree:
    rectified already. right_first: the photo is the right one of the two. crop: part to keep. sky: see `bright_top`.
    """

    name: str
    files: tuple[str, ...]
    licence: str
    search: tuple[int, int] | None
    texture: tuple[float, int] = (2.5, 9)
    least: float = -np.inf
    enlarge: int = 1
    rows_agree: bool = True
    right_first: bool = False
    lenses: Lenses | None = None
    crop: tuple[slice, slice] = (EVERYTHING, EVERYTHING)
    sky: tuple[int, float, int] | None = None
    holes: tuple[Hole, ...] = ()


def _oak_d(name: str, count: int = 96, holes: tuple[Hole, ...] = ()) -> StereoSet:
    return StereoSet(
        f"oakd_{name}",
        (f"oak-d/{name}_left.png", f"oak-d/{name}_right.png"),
        "MIT (the package's author took them)",
        (0, count),
        texture=(1.5, 11),
        least=0.5,
        enlarge=2,
        crop=(slice(20, None), slice(611)),  # outside, rectification left no picture
        holes=holes,
    )


def _eth3d(name: str) -> StereoSet:
    return StereoSet(
        f"eth3d_{name}",
        (f"eth3d_lowres/{name}/im0.png", f"eth3d_lowres/{name}/im1.png"),
        "ETH3D (Schoeps et al., CVPR 2017), CC BY-NC-SA 4.0",
        (0, 64),
        texture=(2, 9),
        least=0.3,
        enlarge=2,
    )


def _middlebury(name: str, holes: tuple[Hole, ...] = ()) -> StereoSet:
    return StereoSet(
        f"middlebury_{name}",
        (f"middlebury_2014/{name}-imperfect/im0.png", f"middlebury_2014/{name}-imperfect/im1.png"),
        "Middlebury 2014 (Scharstein et al., GCPR 2014), research use with citation",
        (0, 208),
        least=0.3,
        holes=holes,
    )


def _driving(number: int, time: str) -> StereoSet:
    stem = f"drivingstereo/2018-07-11-14-48-52/2018-07-11-14-48-52_2018-07-11-{time}"
    return StereoSet(
        f"drivingstereo_{number}",
        (f"{stem}_left.jpg", f"{stem}_right.jpg"),
        "DrivingStereo (Yang et al., CVPR 2019), research use; the package states no terms",
        (0, 144),
        texture=(2, 9),
        least=0.5,
    )


SETS = (
    _oak_d("corridor"),
    _oak_d("cycles"),
    _oak_d("desk"),
    _oak_d("donkey_toy", holes=(Hole(slice(211), nearer_than=33.6),)),  # the bars of the crib
    _oak_d("kid_bedroom"),
    _oak_d("living_room"),
    _oak_d("pov_hands", 144),
    _oak_d("selfie", 144),
    _oak_d("stairs"),
    _oak_d("toy"),
    _eth3d("delivery_area_1l"),
    _eth3d("delivery_area_2l"),
    _eth3d("electro_2l"),
    _eth3d("forest_2s"),
    _eth3d("playground_1l"),
    _middlebury("Piano"),
    _middlebury("Playtable", (Hole(slice(636, None), slice(704)), Hole(slice(767, None)))),  # the carpet
    StereoSet(
        "kitti2015_000046",
        ("kitti2015/kitti_000046_left.png", "kitti2015/kitti_000046_right.png"),
        "KITTI 2015 (Menze and Geiger, CVPR 2015), CC BY-NC-SA 3.0",
        (0, 128),
        least=0.3,
    ),
    _driving(0, "14-50-10-570"),
    _driving(1, "14-57-53-937"),
    _driving(2, "15-02-03-700"),
    _driving(3, "15-02-29-915"),
    _driving(4, "15-26-56-946"),
    StereoSet(
        "utbm_road",
        ("bb2_left/frame_000000001.jpg", "bb2_right/frame_000000001.jpg"),
        "UTBM robocar data set (Yan et al., IROS 2020), CC BY-NC-SA 4.0",
        (-5, 96),
        rows_agree=False,
        lenses=Lenses(
            (831.560994, 833.679423, 510.610429, 391.521463, -0.357402, 0.143604, 0.000354, 0.00073),
            (827.54768, 829.216633, 493.502053, 401.443004, -0.356822, 0.143812, 0.000179, 0.000154),
            focal_px=760,
            cut_rows=30,
            cut_columns=40,
        ),
        sky=(180, 0.4, 7),
    ),
    StereoSet(
        "spatial_photo_terrace",
        ("spatial_photo.heic",),
        "test picture of pillow_heif (BSD-3-Clause); its author is not stated",
        (-3, 112),
        texture=(2, 9),
        rows_agree=False,
    ),
    StereoSet(
        "nokia_path",
        ("nokia/stereo_1200x800.heic",),
        "copyright 2017-2020 Nokia Corporation; an example of its HEIF pages, no licence to pass on",
        (-56, 96),
        texture=(2, 9),
        rows_agree=False,
        right_first=True,
        sky=(150, 0.45, 4),
        holes=(Hole(EVERYTHING, slice(-20, None)),),  # the other picture ends here
    ),
    StereoSet(
        "fujifilm_rocks",
        ("fujifilm.mpo",),
        "test picture of Pillow (MIT-CMU); its author is not stated",
        (-46, 80),
        texture=(2, 9),
        rows_agree=False,
    ),
    StereoSet(
        "rpx_scene049",
        ("scene049-rgb.png", "scene049-depth.png"),
        "RPX (rpx_benchmark, MIT), CC BY 4.0",
        None,
    ),
)
