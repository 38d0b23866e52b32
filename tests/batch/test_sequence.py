"""Films: depth that does not flicker and leaves no trails, a focus that is followed or pulled, frames in order."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.filters import gaussian

import deeplens_dof as dl
from deeplens_dof import cli
from deeplens_dof.batch.jobs import PICTURES
from deeplens_dof.batch.sequence import FocusPull, numbered
from deeplens_dof.depth.video.camera_motion import STILL, camera_motion, largest_px, moved
from deeplens_dof.depth.video.focus_tracking import FollowedFocus
from deeplens_dof.depth.video.stabilise import SteadyDepth, fit_line
from deeplens_dof.runtime.errors import PlanError

HEIGHT, WIDTH = 72, 108
NEAR, FAR = (0.2, 0.5), (0.8, 0.5)


def texture(seed: int, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Spots of about 3 px in colour, uint8."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3))
    return np.clip(110 + 130 * gaussian(noise, 1.5, channel_axis=2), 0, 255).astype(np.uint8)


def scene_at(frame: int, step: float = 3.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball that goes right before a wall that recedes to the left: picture, true depth, where the ball is."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    centre = 20 + step * frame
    ball = np.hypot(x - centre, y - 36) < 12
    depth = np.where(ball, 0.9, 0.1 + 0.3 * x / WIDTH).astype(np.float32)
    own = np.roll(texture(8), round(step * frame), 1) // 3 + np.uint8(150)
    return np.where(ball[..., None], own, texture(7) // 2), depth, ball


def answer(
    depth: np.ndarray, rng: np.random.Generator, scale: float = 0.1, noise: float = 0.03
) -> dl.InverseDepth:
    """A network's prediction of it: with another scale each time, and errors of 6 px."""
    errors = gaussian(rng.normal(size=depth.shape), 3)
    values = depth * rng.normal(1, scale) + rng.normal(0, scale / 2) + noise * errors / errors.std()
    return dl.InverseDepth(values.astype(np.float32), "relative")


def flicker(depths: list[np.ndarray]) -> np.ndarray:
    return np.std(np.stack(depths), 0)


@pytest.mark.parametrize(("scale", "noise"), [(0.1, 0.0), (0.0, 0.03), (0.1, 0.03)])
def test_flicker_falls_to_less_than_a_third_where_the_picture_stands_still(scale, noise) -> None:
    rng, steady = np.random.default_rng(1), SteadyDepth()
    frames = [scene_at(frame, 1.5) for frame in range(40)]
    answers = [answer(depth, rng, scale, noise) for _, depth, _ in frames]
    smooth = [steady.update(rgb, answer).values for (rgb, _, _), answer in zip(frames, answers, strict=True)]
    still = ~np.any([ball for _, _, ball in frames], 0)
    still[:, 100:] = False
    before = flicker([answer.values for answer in answers[10:]])[still].mean()
    after = flicker(smooth[10:])[still].mean()
    assert still.mean() > 0.3
    assert before >= 3 * after, (before, after)


def test_what_moves_leaves_no_trail() -> None:
    """At the ball, and where it has just been, the depth is as near to the truth as the frame's own answer."""
    rng, steady = np.random.default_rng(2), SteadyDepth()
    worst = 0.0
    for frame in range(24):
        rgb, depth, ball = scene_at(frame)
        given = answer(depth, rng, scale=0.05, noise=0.01)
        result = steady.update(rgb, given)
        if frame == 0:
            first = given
            continue
        left = scene_at(frame - 1)[2] & ~ball
        scale, shift = np.polyfit(depth[~ball].ravel(), result.values[~ball].ravel(), 1)
        true = scale * depth + shift
        for where in (ball, left):
            worst = max(worst, float(np.abs(result.values - true)[where].mean()))
    assert first.values.std() > 0.1
    assert worst < 0.05, "of a step of 0.5 to 0.8 between ball and wall"


def test_flicker_falls_while_the_camera_pans() -> None:
    rng, steady, step = np.random.default_rng(12), SteadyDepth(), 3
    wide = texture(3, HEIGHT, 4 * WIDTH)
    hills = gaussian(np.random.default_rng(4).normal(size=wide.shape[:2]), 5) > 0
    before, after = [], []
    for frame in range(30):
        shown = slice(step * frame, step * frame + WIDTH)
        given = answer((0.2 + 0.5 * hills[:, shown]).astype(np.float32), rng)
        result = steady.update(np.ascontiguousarray(wide[:, shown]), given)
        assert steady.cut == (frame == 0)
        if frame >= 10:
            seen_by_all = slice(step * 29 - shown.start, step * 10 + WIDTH - shown.start)
            before.append(given.values[:, seen_by_all])
            after.append(result.values[:, seen_by_all])
    assert before[0].shape[1] > 40
    assert flicker(before).mean() >= 3 * flicker(after).mean()


@pytest.mark.parametrize(
    "motion",
    [
        np.array([[1, 0, 0.04], [0, 1, -0.03]]),
        np.array([[0.97, 0, 0], [0, 0.97, 0.01]]),
        np.array([[1, -0.02, 0], [0.02, 1, 0]]),
    ],
    ids=["pan", "zoom", "roll"],
)
def test_the_motion_of_the_camera_is_found(motion) -> None:
    height, width = 180, 240
    picture = texture(6, height, width).mean(2).astype(np.float32)
    picture = gaussian(picture, 2).astype(np.float32)
    index, inside = moved(motion, (height, width))
    now = picture.ravel()[index] * inside
    now[100:140, 60:110] = 200  # something that moves by itself
    found = camera_motion(now, picture)
    assert largest_px(motion, picture.shape) > 2
    assert largest_px(found - motion + STILL, picture.shape) < 0.7
    unrelated = gaussian(texture(99, height, width).mean(2), 2).astype(np.float32)
    assert largest_px(camera_motion(unrelated, picture), picture.shape) == 0


def test_without_regard_to_the_picture_there_would_be_trails() -> None:
    """The scene above can tell: the same depths before a grey picture are dragged along."""
    steady, grey = SteadyDepth(), np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for frame in range(12):
        _, depth, ball = scene_at(frame)
        result = steady.update(grey, dl.InverseDepth(depth, "relative"))
    left = scene_at(10)[2] & ~ball
    assert np.abs(result.values - depth)[left].mean() > 0.2


def test_the_range_of_the_depth_is_kept_through_a_long_film() -> None:
    """A fit that took noisy depth for exact would flatten it a little with each frame."""
    rng, steady = np.random.default_rng(3), SteadyDepth()
    rgb, depth, _ = scene_at(0)
    results = [steady.update(rgb, answer(depth, rng, 0.1, 0.06)).values for _ in range(300)]
    slopes = [float(np.polyfit(depth.ravel(), result.ravel(), 1)[0]) for result in (results[10], results[-1])]
    assert slopes[1] == pytest.approx(slopes[0], rel=0.1)


def test_a_cut_begins_anew_and_a_flash_or_a_pan_does_not() -> None:
    steady, rng = SteadyDepth(), np.random.default_rng(4)
    rgb, depth, _ = scene_at(0)
    assert steady.update(rgb, answer(depth, rng)).shape == depth.shape
    assert steady.cut, "the first frame is the first of a shot"
    for picture, true in (
        (rgb, depth),
        (np.clip(rgb.astype(int) * 2, 0, 255).astype(np.uint8), depth),
        (rgb, depth),
        (np.roll(rgb, 6, 1), np.roll(depth, 6, 1)),
    ):
        steady.update(picture, answer(true, rng))
        assert not steady.cut
    other = answer(1 - depth, rng)
    assert np.array_equal(steady.update(255 - texture(9), other).values, other.values)
    assert steady.cut


def test_another_size_and_another_unit_begin_anew() -> None:
    steady = SteadyDepth()
    rgb, depth, _ = scene_at(0)
    steady.update(rgb, dl.InverseDepth(depth, "relative"))
    small = dl.InverseDepth(depth[:20, :30] * 2, "relative")
    assert steady.update(rgb[:20, :30], small).values is small.values
    metric = dl.InverseDepth(small.values, "1/m")
    assert steady.update(rgb[:20, :30], metric) is metric
    with pytest.raises(ValueError, match="of one size"):
        steady.update(rgb, metric)
    with pytest.raises(ValueError, match="at least 1"):
        SteadyDepth(memory=0.5)


def test_metric_depth_keeps_its_scale() -> None:
    steady = SteadyDepth()
    rgb, depth, _ = scene_at(0)
    steady.update(rgb, dl.InverseDepth(depth, "1/m"))
    assert np.allclose(steady.update(rgb, dl.InverseDepth(depth * 3, "1/m")).values, 2 * depth)
    relative = SteadyDepth()
    relative.update(rgb, dl.InverseDepth(depth, "relative"))
    assert np.allclose(relative.update(rgb, dl.InverseDepth(depth * 3, "relative")).values, depth, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.7])
def test_constant_depth_goes_through(value) -> None:
    steady, rgb = SteadyDepth(), texture(1)
    for given in (value, 0.3, value):
        result = steady.update(rgb, dl.InverseDepth(np.full((HEIGHT, WIDTH), given, np.float32), "relative"))
    assert np.allclose(result.values, value)


def test_a_line_is_found_among_outliers() -> None:
    rng = np.random.default_rng(5)
    x = rng.random(5000)
    y = 1.7 * x - 0.4
    y[:1500] = rng.random(1500) * 3
    assert fit_line(x, y) == pytest.approx((1.7, -0.4), abs=1e-3)
    assert fit_line(x, -x)[0] == 1.0, "near stays near"


@pytest.mark.parametrize("ratio", [0.1, 1.0])
def test_noise_of_both_does_not_flatten_the_line(ratio) -> None:
    rng = np.random.default_rng(6)
    true = rng.random(100_000)
    x = true + rng.normal(0, 0.05, true.shape)
    y = true + rng.normal(0, 0.05 * ratio**0.5, true.shape)
    assert fit_line(x, y, ratio)[0] == pytest.approx(1, abs=0.01)


def test_the_focus_follows_a_thing_that_goes_and_comes_nearer() -> None:
    focus = FollowedFocus()
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for frame in range(30):
        centre = 25 + 2 * frame
        ball = np.hypot(x - centre, y - 36) < 10
        near = 0.5 + 0.01 * frame
        depth = dl.InverseDepth(
            np.where(ball, near, 0.9 * y / HEIGHT * (y > 60)).astype(np.float32), "relative"
        )
        if frame == 0:
            assert focus.begin(depth, None, (25 / WIDTH, 0.5)) == pytest.approx(0.5)
        else:
            focus.update(depth, ball.astype(np.float32))
        assert focus.depth == pytest.approx(near, abs=0.03)
        assert focus.point[0] * WIDTH == pytest.approx(centre, abs=4)
    held = focus.depth
    gone = dl.InverseDepth(np.zeros((HEIGHT, WIDTH), np.float32), "relative")
    assert focus.update(gone, None) == held


def test_the_focus_rests_while_nothing_moves() -> None:
    _, depth, _ = scene_at(0)
    focus, still = FollowedFocus(), dl.InverseDepth(depth, "relative")
    first = focus.begin(still, None, (0.9, 0.1))
    assert [focus.update(still, None) for _ in range(10)] == pytest.approx([first] * 10, abs=1e-3)


def test_a_pull_goes_from_key_to_key_in_inverse_depth() -> None:
    pull = FocusPull.parse("10:0.3,0.5  48:subject")
    assert pull.keys == ((10, (0.3, 0.5)), (48, "subject"))
    way = [pull.at(frame, (0.9, 0.1)) for frame in range(60)]
    assert way[:11] == [0.9] * 11
    assert way[48:] == [0.1] * 12
    steps = np.diff(way[10:49])
    assert (steps < 0).all()
    assert way[29] == pytest.approx(0.5), "half way it is at half the inverse depth"
    assert abs(steps[0]) < abs(steps[19]) > abs(steps[-1]), "slow at both ends"
    three = FocusPull.parse("1:0,0 2:0,0 4:0,0")
    assert [three.at(n, (0, 1, 3)) for n in (1, 2, 3, 4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "text", ["", "1:0.5,0.5", "5:0,0 5:1,1", "5:0,0 2:1,1", "a:0,0 2:1,1", "1:0,0 2:7,7", "1 2"]
)
def test_a_pull_that_is_none_is_refused(text) -> None:
    with pytest.raises(ValueError, match="focus"):
        FocusPull.parse(text)


def test_frames_are_in_the_order_of_their_numbers(tmp_path) -> None:
    for name in ("s2 9.png", "s2 10.png", "s2 100.png", ".s2 11.png", "notes 5.txt"):
        (tmp_path / name).touch()
    assert list(numbered([tmp_path], PICTURES)) == [9, 10, 100]
    assert list(numbered([tmp_path / "s2 #.png"], PICTURES)) == [9, 10, 100]
    assert list(numbered([tmp_path / "s2 %02d.png"], PICTURES)) == [10, 100]
    assert list(numbered([tmp_path / "s2 ###.png"], PICTURES)) == [100]
    assert list(numbered([tmp_path / "s2 10.png", tmp_path / "s2 9.png"], PICTURES)) == [9, 10]


@pytest.mark.parametrize(
    ("names", "asked", "sentence"),
    [
        (["a1.png", "b1.png"], "", "frames of 2 films, a#.png and b#.png"),
        (["a1.png", "a01.png"], "", "are both frame 1"),
        (["a.png"], "", "has no number"),
        (["a.txt"], "", "holds no frames"),
        (["a1.png"], "a1.png", "not a sequence"),
        (["a1.png"], "#a#.png", "not a sequence"),
        (["a1.png"], "a####.png", "check the number of digits"),
        (["a1.png"], "none/a#.png", "cannot be read"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path, names, asked, sentence) -> None:
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(PlanError, match=sentence):
        numbered([tmp_path / asked], PICTURES)


def test_a_matte_that_flickers_is_steadied_and_gone_at_a_cut() -> None:
    rng = np.random.default_rng(4)
    rgb, depth, ball = scene_at(0)
    steady, seen = SteadyDepth(), []
    for _ in range(12):
        matte = np.clip(ball + 0.2 * rng.standard_normal(ball.shape), 0, 1).astype(np.float32)
        steady.update(rgb, dl.InverseDepth(depth, "relative"), matte)
        seen.append((matte, steady.matte.copy()))
    given, kept = (flicker([pair[i] for pair in seen[6:]]).mean() for i in (0, 1))
    assert kept < 0.4 * given
    steady.update(255 - rgb[::-1], dl.InverseDepth(1 - depth[::-1], "relative"), None)
    assert steady.matte is None


def test_a_followed_subject_stays_sharp_while_its_depth_trembles() -> None:
    rgb, depth, ball = scene_at(0)
    photo = dl.read(png_bytes(rgb))
    y, x = (float(c.mean() / s) for c, s in zip(np.nonzero(ball), ball.shape, strict=True))
    scene = dl.Scene(photo, dl.InverseDepth(depth, "relative"), (x, y), "predicted", ball.astype(np.float32))
    own = float(depth[ball][0])
    background = []
    for trembling in (-0.04, -0.02, 0.0, 0.03):
        coc = scene.coc_px(
            dl.Settings(focus_range=0.0, f_number=1.0), focus_depth=own + trembling, focus_point=(x, y)
        )
        assert np.abs(coc[ball]).max() < 1e-3
        background.append(float(coc[~ball].mean()))
    assert np.diff(background).max() < 0  # that follows the focus, as with a lens


def png_bytes(rgb: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(rgb.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def film(tmp_path, monkeypatch) -> Path:
    """Six striped frames in in/, whose predicted depth trembles: the left half near, the right half far.

    As with a network, the answer depends on the frame alone, which a grey corner tells.
    """
    monkeypatch.chdir(tmp_path)
    x = np.arange(WIDTH)
    stripes = np.broadcast_to((x // 2 % 2 * 127 + 64)[None, :, None], (HEIGHT, WIDTH, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Path("in").mkdir()
    for number in range(8, 14):
        numbered_stripes = stripes.copy()
        numbered_stripes[:8, :8] = 16 * number
        Image.fromarray(numbered_stripes).save(f"in/shot.{number:04d}.jpg", quality=95, exif=exif)
    plane = np.repeat(np.float32([[0.9, 0.1]]), WIDTH // 2, 1).repeat(HEIGHT, 0)

    def predicted(rgb: np.ndarray) -> tuple[dl.InverseDepth, None]:
        return answer(plane, np.random.default_rng(round(float(rgb[2:6, 2:6].mean()) / 16)), 0.2, 0.0), None

    monkeypatch.setattr("deeplens_dof.depth.predict.predict_scene", predicted)
    return tmp_path


def deeplens(capfd, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    return int(end.value.code or 0), said.out, said.err


def contrast(number: int) -> tuple[float, float]:
    """Of the near and of the far half of a written frame."""
    pixels = dl.read(f"out/shot.{number:04d}.jpg").pixels[8:-8].astype(float)
    return float(pixels[:, 12:40].std()), float(pixels[:, -40:-12].std())


LENS = ("--f-number", 1, "--lens-mm", 85)


def test_a_pull_moves_the_sharpness_from_near_to_far(film, capfd) -> None:
    code, _, _ = deeplens(
        capfd, "blur", "in", "-o", "out", "--sequence", "--focus-pull", "8:0.2,0.5 13:0.8,0.5", *LENS
    )
    assert code == 0
    near, far = zip(*(contrast(number) for number in range(8, 14)), strict=True)
    original = float(dl.read("in/shot.0008.jpg").pixels[8:-8, 12:40].astype(float).std())
    ringing = 0.02 * original  # a disc gives stripes a little contrast back
    assert (np.diff(near) <= ringing).all()
    assert (np.diff(far) >= -ringing).all()
    assert near[0] > 0.9 * original > 0.5 * original > near[-1]
    assert far[-1] > 0.9 * original > 0.5 * original > far[0]


def test_frames_keep_what_they_are_and_the_blur_does_not_tremble(film, capfd) -> None:
    code, out, err = deeplens(
        capfd, "blur", "in/shot.%04d.jpg", "-o", "out", "--sequence", "--focus", "0.2,0.5", "--json", *LENS
    )
    assert code == 0
    far = [contrast(number)[1] for number in range(8, 14)]
    assert np.ptp(far) < 0.02 * np.mean(far)
    written = dl.read("out/shot.0010.jpg")
    assert (written.format, written.camera.make) == ("JPEG", "Maker")
    report = json.loads(out)["photos"]
    assert [Path(entry["input"]).name for entry in report] == [f"shot.{n:04d}.jpg" for n in range(8, 14)]
    assert "new shot" not in err


def test_gaps_and_bad_frames_are_named_and_the_film_goes_on(film, capfd) -> None:
    Path("in/shot.0009.jpg").write_bytes(b"no picture")
    Path("in/shot.0011.jpg").unlink()
    Path("in/shot.0012.jpg").unlink()
    pull = ("--focus-pull", "9:0.2,0.5 13:0.8,0.5")
    code, out, err = deeplens(capfd, "blur", "in", "-o", "out", "--sequence", "--json", *pull, *LENS)
    assert code == 1
    assert "frames 11 to 12 are missing; the sequence goes on" in err
    said = [line for line in err.splitlines() if line.startswith("deeplens: ")]
    assert len(said) == 2
    assert "shot.0009.jpg" in said[1]
    assert sorted(path.name for path in Path("out").iterdir()) == [
        f"shot.{number:04d}.jpg" for number in (8, 10, 13)
    ]
    assert [bool(entry["error"]) for entry in json.loads(out)["photos"]] == [False, True, False, False]
    assert contrast(8)[0] > 2 * contrast(8)[1]
    assert contrast(13)[1] > 2 * contrast(13)[0]


def test_a_new_shot_is_told_and_has_a_focus_of_its_own(film, capfd, monkeypatch) -> None:
    """The focus rests on the depth of the first shot's left half; in the second one it is found there again."""
    plane = np.repeat(np.float32([[0.1, 0.9]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    first = dl.read("in/shot.0008.jpg").pixels
    for number in (11, 12, 13):
        Image.fromarray(255 - first // 4).save(f"in/shot.{number:04d}.jpg", quality=95)

    def predicted(rgb: np.ndarray) -> tuple[dl.InverseDepth, None]:
        return dl.InverseDepth(plane if rgb.mean() > 180 else plane[:, ::-1], "relative"), None

    monkeypatch.setattr("deeplens_dof.depth.predict.predict_scene", predicted)
    code, _, err = deeplens(capfd, "blur", "in", "-o", "out", "--sequence", "--focus", "0.2,0.5", *LENS)
    assert code == 0
    assert [line for line in err.splitlines() if "new shot" in line] == [
        "deeplens: a new shot begins at shot.0011.jpg"
    ]
    for number in (8, 10, 11, 13):
        left, right = contrast(number)
        assert left > 2 * right


def test_a_film_follows_the_face_of_each_shot_or_else_its_subject(film, capfd, monkeypatch) -> None:
    """A face on the far half, the right one, of the first shot; the second has none, and its subject is on the right."""
    plane = np.repeat(np.float32([[0.9, 0.1]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    near = (plane > 0.5).astype(np.float32)
    first = dl.read("in/shot.0008.jpg").pixels
    for number in (11, 12, 13):
        Image.fromarray(255 - first // 4).save(f"in/shot.{number:04d}.jpg", quality=95)

    def predicted(rgb: np.ndarray) -> tuple[dl.InverseDepth, np.ndarray]:
        turn = slice(None) if rgb.mean() < 180 else slice(None, None, -1)
        return dl.InverseDepth(plane[:, turn], "relative"), near[:, turn]

    face = dl.Face((0.75, 0.3, 0.85, 0.7), ((0.78, 0.5), (0.82, 0.5)), 0.9)
    monkeypatch.setattr("deeplens_dof.depth.predict.predict_scene", predicted)
    monkeypatch.setattr(
        "deeplens_dof.faces.focus.find_faces", lambda rgb, threads=None: (face,) if rgb.mean() < 180 else ()
    )
    code, _, err = deeplens(capfd, "blur", "in", "-o", "out", "--sequence", "--focus", "face", *LENS)
    assert code == 0
    assert "no face was found in shot.0011.jpg; the subject of this shot is followed" in err
    for number in (8, 10, 11, 13):
        left, right = contrast(number)
        assert right > 2 * left


def test_depth_files_go_with_their_frames(film, capfd) -> None:
    Path("depth").mkdir()
    for number in range(8, 13):
        step = np.repeat(np.float32([[1, 0] if number % 2 else [0, 1]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
        dl.write_depth_file(f"depth/z{number}.png", dl.InverseDepth(step, "relative"))
    code, _, err = deeplens(
        capfd, "blur", "in", "-o", "out", "--sequence", "--depth", "depth/z#.png", "--focus", "0.2,0.5", *LENS
    )
    assert code == 1
    assert "frame 13 has no depth file" in err
    for number in range(8, 13):
        left, right = contrast(number)
        assert (right > 2 * left) if number % 2 else (left > 2 * right), "the focus stays at the far plane"
    assert not Path("out/shot.0013.jpg").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("in", "--sequence"), "name a folder"),
        (("in", "-o", "in", "--sequence"), "would be overwritten"),
        (("in", "-o", "out", "--focus-pull", "8:0,0 9:1,1"), "goes with --sequence"),
        (("in", "-o", "out", "--sequence", "--focus-pull", "8:0,0"), "at least two keys"),
        (("in", "-o", "out", "--sequence", "--focus-pull", "8:0,0 99:1,1"), "frame 99, which is not there"),
        (("in", "-o", "out", "--sequence", "--focus-pull", "8:0,0 9:1,1", "--focus", "0,0"), "leave one"),
        (("in", "-o", "out", "--sequence", "--focus-pull", "8:0,0 9:face"), "expected X,Y or 'subject'"),
        (("in", "-o", "out", "--sequence", "--focus", "faces"), "use --focus face"),
        (("in", "-o", "out", "--sequence", "--overlay", "o.png"), "--overlay does not go with --sequence"),
        (("in", "-o", "out", "--sequence", "--depth", "in/shot.0008.jpg"), "depth of one frame"),
        (("in/shot.0008.jpg", "-o", "out", "--sequence"), "not a sequence"),
        (("in", "-o", "out", "--sequence", "--resume"), "--resume does not go with --sequence"),
        (("in", "-o", "out", "--sequence", "--jobs", 2), "--jobs does not go with --sequence"),
        (("in", "-o", "memory://out", "--sequence"), "on this machine"),
        (("none/*.png", "-o", "out", "--sequence"), "matches no photos"),
    ],
)
def test_wrong_usage(film, capfd, arguments, sentence) -> None:
    code, _, err = deeplens(capfd, "blur", *arguments)
    assert code == 2
    assert sentence in err
    assert not Path("out").exists()


def test_a_focus_depth_is_the_focus_in_both_units() -> None:
    values = np.repeat(np.float32([[0.8, 0.3]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    settings = dl.Settings(nearest_m=2.0, focus=FAR)
    for unit in ("relative", "1/m"):
        scene = dl.analyse(dl.Photo(texture(1)), dl.InverseDepth(values, unit))
        there = scene.coc_px(replace(settings, focus=NEAR))
        np.testing.assert_allclose(scene.coc_px(settings, 0.8), there, atol=1e-5)
        given = dl.refocus(scene, settings, focus_depth=0.8)
        assert np.abs(given.coc_px - dl.refocus(scene, settings).coc_px).max() > 0.4
        with pytest.raises(ValueError, match="finite"):
            dl.refocus(scene, settings, focus_depth=float("nan"))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)], ids=str)
def test_tiny_frames_go_through(shape) -> None:
    rng, steady, focus = np.random.default_rng(1), SteadyDepth(), FollowedFocus()
    for frame in range(3):
        rgb = rng.integers(0, 256, (*shape, 3), np.uint8)
        depth = steady.update(rgb, dl.InverseDepth(rng.random(shape, np.float32), "relative"))
        assert depth.shape == shape
        found = focus.update(depth, None) if frame else focus.begin(depth, None, (0.5, 0.5))
        assert np.isfinite(found)
