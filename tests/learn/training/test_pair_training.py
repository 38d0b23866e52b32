"""Networks that learn from pairs: their laws, training and resuming."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from made_pairs import SIDE, made_pair, scene, write_pairs

from deeplens_dof.datasets.pairs import Pair, pair_files
from deeplens_dof.learn.networks.border_unmixing import BorderUnmixing
from deeplens_dof.learn.networks.deeplens2018 import PaperLensBlur
from deeplens_dof.learn.networks.export import BLUR_PORTS, export_blur
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample
from deeplens_dof.learn.tone import from_tone, to_tone
from deeplens_dof.learn.training import border_examples
from deeplens_dof.learn.training.border_examples import load_borders, make_border_example
from deeplens_dof.learn.training.pair_examples import NAMES, Examples, load, make_example, prepare
from deeplens_dof.learn.training.pair_recipes import PAIR_RECIPES
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import TrainingData
from deeplens_dof.lens_blur.layers.borders import find_borders, first_guess


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


def test_tone_is_srgb_up_to_white_and_its_inverse_takes_it_back():
    light = torch.tensor([0.0, 1e-4, 0.0031308, 0.02, 0.5, 1.0, 1.5, 40.0], dtype=torch.float64)
    tone = to_tone(light)
    assert tone[4] == pytest.approx(1.055 * 0.5 ** (1 / 2.4) - 0.055)
    assert tone[5] == pytest.approx(1.0)
    assert (tone.diff() > 0).all()
    assert from_tone(tone) == pytest.approx(light, rel=1e-5, abs=1e-9)


def test_gradients_of_tone_are_finite_everywhere():
    light = torch.tensor([0.0, 1e-7, 0.0031308, 1.0, 5.0], requires_grad=True)
    to_tone(light).sum().backward()
    assert torch.isfinite(light.grad).all()


def sides_of(coc: np.ndarray) -> torch.Tensor:
    borders = find_borders(coc)
    alpha = first_guess(np.zeros((*coc.shape, 3), np.float32), coc, borders)[0]
    planes = [alpha, borders.near_px, borders.far_px, borders.distance]
    return torch.from_numpy(np.stack(planes))[None]


def step_at_the_middle(near: float, far: float, side: int = 64) -> np.ndarray:
    coc = np.full((side, side), far, np.float32)
    coc[:, side // 2 :] = near
    return coc


def shaken(network: BorderUnmixing) -> BorderUnmixing:
    torch.manual_seed(0)
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    return network


def test_both_sides_of_a_border_are_the_picture_again_whatever_the_network_says():
    network = shaken(BorderUnmixing((8, 8, 8, 8)))
    light = torch.rand(3, 1, 3, 64, 64)
    with torch.no_grad():
        answer = network(*light, sides_of(step_at_the_middle(6, -6)))
    alpha, front, back = answer.split((1, 3, 3), 1)
    assert 0.05 < alpha[..., 24:40].mean() < 0.95
    again = alpha * front + (1 - alpha) * back
    kept = (front > 0).all(1) & (back > 0).all(1)  # light below 0 is none
    assert kept.float().mean() > 0.5
    assert torch.allclose(again.movedim(1, -1)[kept], light[0].movedim(1, -1)[kept], atol=1e-5)


def test_where_no_border_is_the_picture_is_one_surface():
    network = shaken(BorderUnmixing((8, 8, 8, 8)))
    light = torch.rand(1, 3, 64, 64)
    slope = np.linspace(-20, 20, 64, dtype=np.float32)[None].repeat(64, 0)
    with torch.no_grad():
        answer = network(light, light, light, sides_of(slope))
    assert torch.equal(answer[:, :1], torch.ones(1, 1, 64, 64))
    assert torch.allclose(answer[:, 1:4], light, atol=1e-6)


def test_the_scene_tells_what_is_before_and_behind_a_border():
    shown = scene(1)
    alpha, front, back = shown.unmixed_at(np.full((SIDE, SIDE), 0.5, np.float32))
    assert np.allclose(alpha[:, : SIDE // 2], 0)
    assert np.allclose(alpha[:, SIDE // 2 :], 0.75)
    together = alpha[..., None] * front + (1 - alpha[..., None]) * back
    assert np.allclose(together, shown.light(), atol=1e-5)
    assert not np.allclose(back[:, SIDE // 2 :], shown.light()[:, SIDE // 2 :], atol=0.05)


def test_border_examples_tell_alpha_and_both_colours(pairs_folder: Path):
    files = pair_files(pairs_folder)
    whole = load_borders(files)
    near_side = whole.distance > 0
    band = whole.near_px > whole.far_px
    assert whole.alpha[band & ~near_side].mean() < 0.2
    assert whole.alpha[band & near_side].mean() > 0.5
    part = load_borders(files, (32, 96, 64), [[0, 0]] * 3 + [[1, 1]])
    assert torch.equal(part.light[0], whole.light[0, :, 32:96, 96:160])
    assert torch.equal(part.alpha[3], whole.alpha[3, :, 32:96, 96:160].flip(2).transpose(1, 2))
    assert whole.part(1, 2).back.shape == (2, 3, SIDE, SIDE)


def test_border_examples_depend_on_the_pair_alone(monkeypatch):
    monkeypatch.setattr(border_examples, "scene_of", lambda pair: scene(pair.facts["index"]))
    one, two = (make_border_example(made_pair(3)) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_the_paper_s_weights_add_up_so_that_grey_stays_grey():
    torch.manual_seed(0)
    network = PaperLensBlur()
    parameters = sum(each.numel() for each in network.parameters())
    assert 0.4e6 < parameters < 0.8e6  # 0.57 M in the paper's code
    for layer in network.colours:  # pass the picture on
        torch.nn.init.dirac_(layer.weight, 1)
        torch.nn.init.zeros_(layer.bias)
    picture = network(torch.full((1, 3, 32, 32), 0.5), torch.rand(1, 1, 32, 32))
    assert torch.isfinite(picture).all()


@pytest.mark.parametrize(
    ("module", "sizes"),
    [
        (lambda: BorderUnmixing((8, 8, 8, 8)), (64, 96)),
        (PaperLensBlur, (64, 40)),
        (lambda: GuidedUpsample(8), (36, 36)),
    ],
)
def test_exported_modules_answer_as_they_do_in_torch(tmp_path: Path, module, sizes):
    torch.manual_seed(1)
    network = module().eval()
    for part in network.modules():
        if isinstance(part, torch.nn.Conv2d):
            part.weight.data = part.weight.data.half().float()  # as it is stored
            if not part.weight.any():
                torch.nn.init.normal_(part.weight, std=0.125)
                part.weight.data = part.weight.data.half().float()
    export_blur(network, tmp_path / "module.onnx")
    inputs, (output, *_) = BLUR_PORTS[type(network).__name__]
    given = {
        name: torch.rand(1, channels, *sizes) * (1 if channels == 3 else 6)
        for name, channels in inputs.items()
    }
    run = network.logits if isinstance(network, GuidedUpsample) else network
    with torch.no_grad():
        expected = run(*given.values())
    (answer,) = onnxruntime.InferenceSession(str(tmp_path / "module.onnx")).run(
        [output], {name: value.numpy() for name, value in given.items()}
    )
    assert answer == pytest.approx(expected.numpy(), abs=2e-4)


def test_examples_are_what_the_camera_would_meet(pairs_folder: Path):
    files = pair_files(pairs_folder)
    prepare(files)
    whole = load(files)
    assert whole.light.shape == (4, 3, SIDE, SIDE)
    assert whole.half.shape == (4, 3, SIDE // 2, SIDE // 2)
    assert whole.quarter.shape == (4, 3, SIDE // 4, SIDE // 4)
    part = load(files, (32, 64, 96), [[0, 0]] * 3 + [[1, 1]])
    assert torch.equal(part.coc_px[0], whole.coc_px[0, :, 32:128, 64:160])
    assert torch.equal(part.half[0], whole.half[0, :, 16:64, 32:80])
    assert torch.equal(part.quarter[0], whole.quarter[0, :, 8:32, 16:40])
    assert torch.equal(part.light[3], whole.light[3, :, 32:128, 64:160].flip(2).transpose(1, 2))
    assert all(getattr(whole.part(1, 2), name).shape[0] == 2 for name in NAMES)


def test_rough_depth_is_only_in_some_examples():
    rng = np.random.default_rng(0)
    rgb = rng.random((64, 64, 3), np.float32)
    coc = np.zeros((64, 64), np.float32)
    coc[:, 32:] = 3
    rough = 0
    for index in range(20):
        facts = {"seed": 5, "index": index, "shape": "disc"}
        made = make_example(Pair(rgb, rgb, coc, np.zeros((64, 64), np.uint8), facts))
        rough += not np.array_equal(made["coc_px"], coc)
    assert 2 <= rough <= 14


def train_on(pairs: Path, out: Path, **options) -> Path | None:
    return train("lens-blur-toy", TrainingData([pairs], pairs), out, threads=1, **options)


def test_a_training_that_was_stopped_ends_with_the_same_weights(pairs_folder: Path, tmp_path: Path):
    assert train_on(pairs_folder, tmp_path / "whole") == tmp_path / "whole" / "lens-blur-toy.onnx"
    assert train_on(pairs_folder, tmp_path / "parts", stop_after=2) is None
    with pytest.raises(ValueError, match="holds a run already; go on with --resume"):
        train_on(pairs_folder, tmp_path / "parts")
    assert train_on(pairs_folder, tmp_path / "parts", resume=True)
    one, two = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["event"] == "validation"


def test_one_scene_can_be_learnt_by_heart(pairs_folder: Path):
    """The loss falls to a fraction, so gradients reach the weights."""
    torch.manual_seed(0)
    given = load_borders(pair_files(pairs_folder)[:1], (64, 96, 64))
    network, recipe = BorderUnmixing((16, 16, 16, 16)), PAIR_RECIPES["lens-blur"]
    optimiser = torch.optim.Adam(network.parameters(), 5e-4)
    losses = []
    for _ in range(80):
        loss = recipe.loss(*recipe.predicted(network, given))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]


def test_unknown_recipes_and_folders_without_pairs_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match=r"there is no recipe 'lens'; the recipes are .*lens-blur"):
        train("lens", TrainingData([tmp_path]), tmp_path / "run")
    with pytest.raises(ValueError, match="holds no pairs"):
        train_on(tmp_path, tmp_path / "run")


PROCESS = """
import sys
from pathlib import Path
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import Task, TrainingData
Task.log_every = 1
pairs = Path(sys.argv[1])
print(train("lens-blur-toy", TrainingData([pairs], pairs), Path(sys.argv[2]), threads=1))
"""


@pytest.mark.slow
def test_two_processes_train_as_one(pairs_folder: Path, tmp_path: Path):
    pytest.importorskip("accelerate", reason="several processes need accelerate: pip install '.[learn]'")
    logs = []
    for count in (1, 2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = []
        for rank in range(count):
            several = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
            several |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
            environment = os.environ | ({k: str(v) for k, v in several.items()} if count > 1 else {})
            environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, "-c", PROCESS, str(pairs_folder), str(tmp_path / str(count))]
            started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        for process in started:
            _, said = process.communicate(timeout=300)
            assert process.returncode == 0, said
        lines = (tmp_path / str(count) / "log.jsonl").read_text().splitlines()
        logs.append([each for line in lines if (each := json.loads(line))["event"] == "train"])
    assert [each["loss"] for each in logs[0]] == pytest.approx([each["loss"] for each in logs[1]], rel=2e-3)


def test_examples_can_be_given_in_part():
    given = Examples(*(torch.arange(4.0).view(4, 1, 1, 1) for _ in NAMES))
    assert given.part(1, 3).light.flatten().tolist() == [1.0]
