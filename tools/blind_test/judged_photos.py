"""The real photos of the blinded sheet. None of them was trained on: `datasets/split.py` is asked about each.

They lie in six places; `PLACES` says of each how its photos are got and whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from deeplens_dof.datasets.cache import assets_folder, cache_folder
from deeplens_dof.datasets.split import may_train_on
from deeplens_dof.evaluate.depth.measured_photos import CACHE
from deeplens_dof.settings import Focus

ROOT = Path(__file__).resolve().parents[2]
ASSETS = "python -m deeplens_dof.learn.scenes.assets"


@dataclass(frozen=True, slots=True)
class Place:
    """folder: where the photos lie. get: what brings them there. origin: whose they are."""

    folder: Callable[[], Path]
    get: str
    origin: str


PLACES = {
    "examples": Place(
        lambda: ROOT / "examples" / "photos",
        "git checkout examples/photos",
        "this repository; authors and licences (public domain, CC0) in its README.md",
    ),
    "evaluation": Place(
        lambda: CACHE,
        "python tools/data/fetch_evaluation_data.py",
        "Middlebury 2006 and 2014, pillow_heif's and scikit-learn's sample pictures; licences in that script",
    ),
    "stereo": Place(
        lambda: CACHE.with_name("evaluation_stereo") / "rgb",
        "python tools/data/fetch_stereo_sets.py",
        "left pictures of stereo sets and of phones; licences in the SOURCES.md that it writes",
    ),
    "mate-backgrounds": Place(
        lambda: assets_folder() / "mate-backgrounds",
        ASSETS,
        "Debian package mate-backgrounds 1.26, GPL-2+ and CC-BY-SA; photos that are kept for evaluation",
    ),
    "opencv-doc": Place(
        lambda: assets_folder() / "opencv-doc",
        ASSETS,
        "Debian package opencv-doc 4.6, BSD-3-Clause; photos that are kept for evaluation",
    ),
    "photos": Place(
        lambda: cache_folder() / "data" / "photos" / "held_out",
        "python -m deeplens_dof.datasets.real_photos SOURCE ~/.cache/deeplens/data",
        "CID22, drewnoakes/metadata-extractor-images, BuddiesOfBudgie/budgie-backgrounds: CC BY-SA 4.0, Unsplash, free "
        "to use, CC0; the held-out part of datasets/real_photos.py",
    ),
}


@dataclass(frozen=True, slots=True)
class JudgedPhoto:
    """file: below the place's folder. hard: what a lens blur may get wrong in it. focus: as in Settings."""

    name: str
    place: str
    file: str
    hard: str
    focus: Focus = "subject"

    @property
    def path(self) -> Path:
        return PLACES[self.place].folder() / self.file


PHOTOS = (
    JudgedPhoto("astronaut", "examples", "astronaut.jpg", "hair"),
    JudgedPhoto("coffee", "examples", "coffee.jpg", "thin rims, glints"),
    JudgedPhoto("chelsea", "examples", "chelsea.jpg", "fur, whiskers"),
    JudgedPhoto("rocket", "examples", "rocket.jpg", "night, lattices, lamps"),
    JudgedPhoto("aloe", "evaluation", "aloeL.jpg", "leaves"),
    JudgedPhoto("motorcycle", "evaluation", "motorcycle_left.png", "spokes, chrome"),
    JudgedPhoto("dog", "evaluation", "pug.heic", "fur"),
    JudgedPhoto("cat", "evaluation", "cat.hif", "fur, whiskers"),
    JudgedPhoto("pagoda", "evaluation", "china.jpg", "branches before the sky"),
    JudgedPhoto("flower", "evaluation", "flower.jpg", "petals"),
    JudgedPhoto("crossing", "stereo", "kitti2015_000046.png", "posts, receding road"),
    JudgedPhoto("piano", "stereo", "middlebury_Piano.png", "lamp, strings"),
    JudgedPhoto("play-table", "stereo", "middlebury_Playtable.png", "chairs before the focus", (0.12, 0.15)),
    JudgedPhoto("path", "stereo", "nokia_path.png", "foliage, receding path"),
    JudgedPhoto("terrace", "stereo", "spatial_photo_terrace.png", "leaves, twigs"),
    JudgedPhoto("square", "stereo", "rpx_scene049.png", "sunlit paving, people"),
    JudgedPhoto("selfie", "stereo", "oakd_selfie.png", "hair, beard"),
    JudgedPhoto("hands", "stereo", "oakd_pov_hands.png", "fingers before the focus", (0.5, 0.3)),
    JudgedPhoto("toy-donkey", "stereo", "oakd_donkey_toy.png", "soft toy"),
    JudgedPhoto("bicycle", "stereo", "oakd_cycles.png", "spokes, handlebars", (0.49, 0.5)),
    JudgedPhoto("room", "stereo", "oakd_living_room.png", "palm leaves, window"),
    JudgedPhoto("marigold", "mate-backgrounds", "nature/Garden.jpg", "petals"),
    JudgedPhoto("ladybird", "mate-backgrounds", "nature/LadyBird.jpg", "leaves before the focus", (0.69, 0.53)),
    JudgedPhoto("blade-of-grass", "mate-backgrounds", "nature/RainDrops.jpg", "drops, blades"),
    JudgedPhoto("drop", "mate-backgrounds", "nature/Aqua.jpg", "water, glints"),
    JudgedPhoto("long-haired-dog", "opencv-doc", "data/chicky_512.png", "hair"),
    JudgedPhoto("parking-sign", "opencv-doc", "text/scenetext01.jpg", "a post before the focus", (0.72, 0.72)),
    JudgedPhoto("sign-at-night", "opencv-doc", "text/scenetext02.jpg", "night, bark"),
    JudgedPhoto("wall-and-palms", "opencv-doc", "text/scenetext04.jpg", "palm leaves"),
    JudgedPhoto("barrier", "opencv-doc", "text/scenetext05.jpg", "lattice"),
    JudgedPhoto("osprey", "photos", "bd_0447.jpg", "feathers, twigs"),
    JudgedPhoto("radio-telescope", "photos", "bd_0457.jpg", "lattice"),
    JudgedPhoto("telephone-box", "photos", "cam_0274.jpg", "glass, street"),
    JudgedPhoto("evening-dress", "photos", "cam_0284.jpg", "hair, a portrait"),
    JudgedPhoto("stone-circle", "photos", "cam_0294.jpg", "several things at one distance"),
    JudgedPhoto("daisies", "photos", "cam_0304.jpg", "petals, two flowers at two distances"),
    JudgedPhoto("dog-with-a-stick", "photos", "cam_0324.jpg", "fur, a held stick"),
    JudgedPhoto("tractor", "photos", "cam_0334.jpg", "thin parts, a shadow before the subject"),
    JudgedPhoto("town-at-night", "photos", "cam_0344.jpg", "night, lamps"),
    JudgedPhoto("scooter", "photos", "cam_0364.jpg", "mirrors, a spoked wheel, a product"),
    JudgedPhoto("cairn", "photos", "cam_0394.jpg", "stones upon stones"),
    JudgedPhoto("bouquet", "photos", "cam_0434.jpg", "leaves on a table"),
    JudgedPhoto("cocktails", "photos", "cid_0007.jpg", "glass, a hand, a row of things"),
    JudgedPhoto("koalas", "photos", "cid_0027.jpg", "fur, two animals, a branch before them"),
    JudgedPhoto("runner", "photos", "cid_0057.jpg", "limbs, motion"),
    JudgedPhoto("dining-room", "photos", "cid_0067.jpg", "chairs, lamps"),
    JudgedPhoto("grass-roof", "photos", "cid_0077.jpg", "grass, a small house"),
    JudgedPhoto("burger", "photos", "cid_0127.jpg", "food close by"),
    JudgedPhoto("lions", "photos", "cid_0137.jpg", "manes, grass before them, two animals"),
    JudgedPhoto("card-in-a-hand", "photos", "cid_0147.jpg", "fingers, a held object"),
    JudgedPhoto("man-at-a-car", "photos", "cid_0167.jpg", "a person before a car, street"),
    JudgedPhoto("face", "photos", "cid_0177.jpg", "wet hair, fingers"),
    JudgedPhoto("couple", "photos", "cid_0187.jpg", "two people, glasses"),
    JudgedPhoto("girl-with-a-lolly", "photos", "cid_0197.jpg", "curls, a held object"),
    JudgedPhoto("spaghetti", "photos", "cid_0207.jpg", "threads, a fork"),
    JudgedPhoto("blossom", "photos", "cid_0237.jpg", "twigs before the sky"),
    JudgedPhoto("fishing-boat", "photos", "cid_0247.jpg", "rigging"),
    JudgedPhoto("lighthouse", "photos", "cid_0257.jpg", "a far subject"),
)  # fmt: skip

KEPT_BACK = frozenset(
    (
        "crossing",
        "piano",
        "play-table",
        "path",
        "terrace",
        "selfie",
        "marigold",
        "ladybird",
        "blade-of-grass",
        "drop",
        "evening-dress",
        "runner",
        "man-at-a-car",
        "face",
        "couple",
        "girl-with-a-lolly",
    )
)  # not passed on, not even small: their licences ask for more than a line in NOTICE, or a stranger's face is in them


def at_hand(tell: Callable[[str], None], photos: tuple[JudgedPhoto, ...] = PHOTOS) -> Iterator[JudgedPhoto]:
    """Those whose files are there; of each other one `tell` gets a sentence. Raises ValueError for one that may be trained
    on."""
    for photo in photos:
        if may_train_on(photo.path, assets_folder()):
            raise ValueError(
                f"{photo.name} ({photo.path}) may be trained on (datasets/split.py), expected a photo for evaluation"
            )
        if photo.path.is_file():
            yield photo
        else:
            tell(
                f"{photo.name} is left out: {photo.path} is missing; get it with `{PLACES[photo.place].get}`"
            )
