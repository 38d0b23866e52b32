"""DeepLens as a whole: image in, bokeh out, gradients for every input and weight."""

from __future__ import annotations

import shutil

import pytest
import torch

from deeplens_dof.learn import DeepLens
from deeplens_dof.learn.networks.border_unmixing import BorderUnmixing
from deeplens_dof.learn.networks.deeplens import held
from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample
from deeplens_dof.learn.tone import to_tone
from deeplens_dof.models import MODELS, candidate, open_session

SMALL = {"width": 32, "heads": 2, "depth": 4, "levels": (0, 1, 2, 3), "channels": (16, 12, 8, 8)}


@pytest.fixture
def network() -> DeepLens:
    torch.manual_seed(0)
    whole = DeepLens(
        DepthNetwork(**SMALL),
        BorderUnmixing((8, 8, 8, 8)),
        GuidedUpsample(8),
        lens_points=8,
    )
    torch.nn.init.normal_(whole.lens_blur.leave.weight, std=0.05)  # which begins at zero
    torch.nn.init.normal_(whole.depth.matte_head.recognise.weight, std=0.05)
    return whole


@pytest.fixture
def picture() -> torch.Tensor:
    """Two squares before a wall, one of them bright."""
    torch.manual_seed(3)
    rgb = torch.rand(1, 3, 48, 64) * 0.3
    rgb[..., 8:30, 10:30] = 0.9
    rgb[..., 20:44, 36:56] += 0.3
    return rgb


@pytest.fixture(scope="module")
def shipped() -> DeepLens:
    return DeepLens.from_pretrained(lens_points=4)


def rendered(whole: DeepLens) -> torch.Tensor:
    torch.manual_seed(5)
    with torch.no_grad():
        return whole(torch.rand(1, 3, 64, 80), torch.tensor([0.5]), torch.tensor([4.0]))


def test_the_shipped_weights_are_loaded(shipped):
    """Depth is that of the ONNX session of the same file; the other two differ from new networks."""
    rgb = torch.rand(1, 3, 56, 84)
    with torch.no_grad():
        ours = shipped.depth(rgb).inverse_depth
    (theirs,) = open_session("depth").run(["inverse_depth"], {"rgb": rgb.numpy()})
    assert torch.allclose(ours, torch.from_numpy(theirs), atol=2e-3 * float(ours.abs().max()))
    assert shipped.lens_blur.leave.weight.abs().max() > 0
    bokeh = rendered(shipped)
    assert bokeh.shape == (1, 3, 64, 80)
    assert torch.isfinite(bokeh).all()


def test_what_is_saved_comes_back(shipped, tmp_path):
    shipped.save_pretrained(tmp_path / "made", note="a test")
    assert {file.name for file in (tmp_path / "made").iterdir()} == {
        "depth.onnx",
        "lens_blur.onnx",
        "upsample.onnx",
    }
    again = DeepLens.from_pretrained(tmp_path / "made", lens_points=4)
    for name, weight in shipped.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    assert torch.equal(rendered(again), rendered(shipped))
    candidate(tmp_path / "made" / "depth.onnx", like="depth")  # it has the ports that the package wants


def test_a_missing_or_foreign_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no depth\.onnx in .*save_pretrained"):
        DeepLens.from_pretrained(tmp_path)
    for name in ("depth", "lens_blur", "upsample"):
        shutil.copy(MODELS["paper"].path, tmp_path / f"{name}.onnx")
    with pytest.raises(ValueError, match="no weights for the depth network"):
        DeepLens.from_pretrained(tmp_path)


def step(height: int, width: int) -> torch.Tensor:
    depth = torch.zeros(1, 1, height, width)
    depth[..., width // 2 :] = 1
    return depth


def test_any_size_comes_out_as_it_went_in(network):
    for height, width in ((16, 16), (37, 50), (64, 48)):
        with torch.no_grad():
            bokeh = network(
                torch.rand(2, 3, height, width), torch.tensor([0.2, 0.9]), torch.tensor([3.0, 6.0])
            )
        assert bokeh.shape == (2, 3, height, width)
        assert torch.isfinite(bokeh).all()
        assert (bokeh >= 0).all()


def test_gradients_reach_every_weight_the_focus_the_aperture_and_the_picture(network, picture):
    focus, blur = torch.tensor([0.4], requires_grad=True), torch.tensor([12.0], requires_grad=True)
    picture.requires_grad_()
    to_tone(network(picture, focus, blur)).square().mean().backward()
    for name, given in (("focus", focus), ("aperture", blur), ("picture", picture)):
        assert torch.isfinite(given.grad).all(), name
        assert given.grad.abs().max() > 0, name
    untaught = [
        name
        for name, weight in network.named_parameters()
        if weight.grad is None or not torch.isfinite(weight.grad).all()
    ]
    assert untaught == []
    reached = [name for name, weight in network.named_parameters() if weight.grad is not None]
    parts = ("depth.encoder", "depth.decoder", "depth.depth_head", "depth.matte_head", "depth.detail")
    for part in (*parts, "lens_blur", "upsample"):
        grads = [network.get_parameter(name).grad.abs().max() for name in reached if name.startswith(part)]
        assert max(grads) > 0, part


def test_the_gradient_of_focus_and_aperture_is_the_slope_of_the_loss(network, picture):
    """Central differences in double precision, with given depth, because predicted depth has steps."""
    network, picture = network.double(), picture[..., :32, :].double()
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 32, 64)

    def loss(focus: torch.Tensor, blur: torch.Tensor) -> torch.Tensor:
        half = network.blurred(picture, (blur.view(-1, 1, 1, 1) * (ramp - focus.view(-1, 1, 1, 1))))
        return half.square().mean()

    focus = torch.tensor([0.43], dtype=torch.float64, requires_grad=True)
    blur = torch.tensor([4.3], dtype=torch.float64, requires_grad=True)
    loss(focus, blur).backward()
    for number, (given, width) in enumerate(((focus, 1e-5), (blur, 1e-4))):
        ends = []
        for sign in (-1, 1):
            moved = [focus.detach(), blur.detach()]
            moved[number] = moved[number] + sign * width
            ends.append(loss(*moved))
        slope = (ends[1] - ends[0]).item() / (2 * width)
        assert float(given.grad) == pytest.approx(slope, rel=0.02)


def test_without_blur_the_picture_stays(network, picture):
    with torch.no_grad():
        bokeh = network(picture, torch.tensor([0.5]), torch.tensor([0.0]), step(48, 64))
    assert torch.equal(bokeh, picture)


def test_one_scene_can_be_learnt_by_heart(network, picture):
    """Training depth, blur and upsampling approaches a target rendered with another depth."""
    focus, blur = torch.tensor([0.1]), torch.tensor([6.0])
    with torch.no_grad():
        target = to_tone(network(picture, focus, blur, step(48, 64)))
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(25):
        loss = (to_tone(network(picture, focus, blur)) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert min(losses[-5:]) < 0.4 * losses[0]


def test_shapes_that_do_not_fit_are_refused(network):
    with pytest.raises(ValueError, match=r"expected \(B, 3, H, W\), \(B,\) and \(B,\)"):
        network(torch.rand(2, 3, 32, 32), torch.tensor([0.5]), torch.tensor([3.0]))
    with pytest.raises(ValueError, match="expected at least 16 a side"):
        network(torch.rand(1, 3, 8, 32), torch.tensor([0.5]), torch.tensor([3.0]))


def test_a_subject_in_focus_is_held_at_its_own_depth():
    ramp = torch.linspace(0.4, 0.6, 8).expand(1, 1, 8, 8)
    matte = torch.zeros(1, 1, 8, 8)
    matte[..., 2:6] = 1
    centre = float(ramp[..., 2:6].mean())
    found = held(ramp, matte, torch.tensor([centre]))
    assert torch.allclose(found[..., 2:6], torch.tensor(centre))
    assert torch.equal(found[..., :2], ramp[..., :2])
    assert torch.allclose(held(ramp, matte, torch.tensor([centre + 0.6])), ramp, atol=1e-4)
    assert torch.equal(held(ramp, matte, torch.tensor([centre]), strength=0.0), ramp)
