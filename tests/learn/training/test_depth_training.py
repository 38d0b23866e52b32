"""Training of depth: phases, losses, frozen parts; export and reading back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplens_dof.datasets.frames import frame_files
from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.training import schedule
from deeplens_dof.learn.training.depth import DepthTask, rank_correlation
from deeplens_dof.learn.training.depth_batches import Source, batch
from deeplens_dof.learn.training.depth_recipes import DEPTH_RECIPES, DepthRecipe
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import Trainer, TrainingData

TOY = DEPTH_RECIPES["depth-toy"]
LONG = replace(
    TOY, phases=(replace(TOY.phases[0], iterations=10**6),)
)  # the rates stay where warm-up leaves them


def train_on(frames: Path, name: str, out: Path, **options) -> Path | None:
    return train(name, TrainingData([frames]), out, **options)


def trainer_of(recipe: DepthRecipe, frames: Path, out: Path) -> Trainer:
    """A trainer in its first phase, with eight frames to train on and the others for validation."""
    files = frame_files(frames)
    trainer = Trainer(DepthTask("toy", recipe, Source(files[:8]), Source(files[8:])), out)
    trainer.begin_phase()
    return trainer


@pytest.fixture
def toy() -> DepthNetwork:
    """With every weight perturbed, because the exporter merges equal ones, such as untrained biases."""
    torch.manual_seed(5)
    network = DepthNetwork(**TOY.network).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return network


def state(folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    return saved["network"] | {f"average.{k}": v for k, v in saved["average"].items()}


def test_a_resumed_run_equals_an_uninterrupted_one(frames_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="export needs onnx: pip install '.[learn]'")
    whole = train_on(frames_folder, "depth-toy", tmp_path / "whole")
    assert train_on(frames_folder, "depth-toy", tmp_path / "parts", stop_after=2) is None
    assert train_on(frames_folder, "depth-toy", tmp_path / "parts", resume=True, stop_after=1) is None
    parts = train_on(frames_folder, "depth-toy", tmp_path / "parts", resume=True)
    assert whole is not None
    assert parts is not None
    one, other = state(tmp_path / "whole"), state(tmp_path / "parts")
    assert all((one[name] == other[name]).all() for name in one)
    lines = [json.loads(line) for line in (tmp_path / "parts" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["event"] == "start"] == [0, 2, 3]
    assert lines[-1]["event"] == "validation"


def test_a_run_is_not_overwritten(frames_folder: Path, tmp_path: Path) -> None:
    train_on(frames_folder, "depth-toy", tmp_path, stop_after=1)
    with pytest.raises(ValueError, match="--resume"):
        train_on(frames_folder, "depth-toy", tmp_path)


def test_unknown_recipes_and_too_few_frames_are_refused(frames_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="recipes are"):
        train_on(frames_folder, "depht", tmp_path)
    with pytest.raises(ValueError, match="kept for validation"):
        train_on(frames_folder, "depth-quick", tmp_path)


def test_training_lowers_the_loss(frames_folder: Path, tmp_path: Path) -> None:
    """Forty steps on one batch, in which brightness is depth, so that even the toy network learns it."""
    trainer = trainer_of(LONG, frames_folder, tmp_path)
    one = batch(Source(frame_files(frames_folder)), 1, 0, 2, 56)
    values = []
    for _ in range(40):
        trainer.iterate(one)
        parts = trainer.task.losses(trainer.network, one, trainer.step, trainer.group)
        values.append(float((parts["absolute"][1] + parts["matte"][1]).detach()))
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])


def test_frozen_blocks_do_not_move(frames_folder: Path, tmp_path: Path) -> None:
    train_on(frames_folder, "depth-toy", tmp_path, stop_after=3)
    torch.manual_seed(TOY.seed)
    start = DepthNetwork(**TOY.network).state_dict()
    end = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["network"]
    moved = {name for name in start if (start[name] != end[name]).any()}
    assert not any(
        name.startswith(("encoder.patch", "encoder.blocks.0", "encoder.blocks.2")) for name in moved
    )
    assert any(name.startswith("encoder.blocks.3") for name in moved)
    assert any(name.startswith("decoder") for name in moved)


def test_the_matte_recipe_leaves_depth_alone(toy: DepthNetwork, frames_folder: Path, tmp_path: Path) -> None:
    """Phases without a head rate train the matte head alone, to the bit."""
    recipe = replace(TOY, phases=(replace(TOY.phases[0], blocks=0, head_rate=0.0),))
    trainer = trainer_of(recipe, frames_folder, tmp_path)
    trainer.network.load_state_dict(toy.state_dict())
    trainer.train()
    for name, before in toy.state_dict().items():
        moved = not torch.equal(before, trainer.average.state_dict()[name])
        assert moved == name.startswith("matte_head."), name


def test_recognising_starts_from_nothing() -> None:
    """Older weights without that path give unchanged results."""
    head = DepthNetwork(**TOY.network).matte_head
    assert not head.recognise.weight.any()
    assert not head.recognise.bias.any()


def test_the_schedule_rises_and_falls() -> None:
    values = [schedule.schedule(step, 100, 10) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert max(values) == pytest.approx(1, abs=0.03)
    assert values[100] == pytest.approx(schedule.LOWEST_RATE)
    assert values[:10] == sorted(values[:10])
    assert values[10:] == sorted(values[10:], reverse=True)


def test_rank_correlation_is_spearman() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    maps = torch.randn(2, 2, 30, 30, generator=torch.Generator().manual_seed(1))
    maps[1] += maps[0]
    ours = rank_correlation(maps[0], maps[1])
    for sample in range(2):
        expected = scipy_stats.spearmanr(
            maps[0, sample, ::3, ::3].flatten(), maps[1, sample, ::3, ::3].flatten()
        ).statistic
        assert float(ours[sample]) == pytest.approx(expected, abs=1e-4)


def test_sides_must_be_multiples(toy: DepthNetwork) -> None:
    with pytest.raises(ValueError, match="multiples of 28"):
        toy(torch.rand(1, 3, 56, 60))


@pytest.mark.parametrize("half", [False, True])
def test_the_exported_network_says_the_same(toy: DepthNetwork, tmp_path: Path, half: bool) -> None:
    pytest.importorskip("onnx", reason="export needs onnx: pip install '.[learn]'")
    import onnxruntime

    from deeplens_dof.learn.networks.export import export_depth
    from deeplens_dof.learn.networks.pretrained import load_into

    path = tmp_path / "toy.onnx"
    export_depth(toy, path, half=half, note="a test")
    session = onnxruntime.InferenceSession(str(path))
    for size in ((56, 84), (112, 56)):
        rgb = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
        depth, matte = session.run(["inverse_depth", "matte"], {"rgb": rgb.numpy()})
        with torch.no_grad():
            expected = toy(rgb)
        spread = float(expected.inverse_depth.std())
        assert depth.shape == (1, 1, *size)
        assert np.abs(depth - expected.inverse_depth.numpy()).max() < (0.02 if half else 1e-4) * spread
        assert np.abs(matte - torch.sigmoid(expected.matte_logits).numpy()).max() < (5e-3 if half else 1e-5)
    again = DepthNetwork(**TOY.network)
    assert load_into(again, path) == []
    for name, weight in again.state_dict().items():
        assert torch.allclose(weight, toy.state_dict()[name], rtol=1e-3, atol=1e-6 if not half else 1e-4), (
            name
        )


def test_foreign_onnx_files_are_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="reading weights needs onnx: pip install '.[learn]'")
    from deeplens_dof.learn.networks.pretrained import load_into

    value = onnx.helper.make_tensor_value_info("x", 1, [1])
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "other", [value], [onnx.helper.make_tensor_value_info("y", 1, [1])]
    )
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "other.onnx"))
    with pytest.raises(ValueError, match="holds no weights for the depth network"):
        load_into(DepthNetwork(**TOY.network), tmp_path / "other.onnx")


def test_curves_show_the_last_value_of_a_repeated_step(tmp_path: Path) -> None:
    from deeplens_dof.learn.training.curves import draw, read_log

    log = tmp_path / "log.jsonl"
    entries = [
        {"event": "start", "step": 0},
        {"event": "train", "step": 20, "absolute": 2.0, "time": 1, "s": 1},
    ]
    entries += [
        {"event": "train", "step": 20, "absolute": 1.5},
        {"event": "train", "step": 40, "absolute": 1.0},
    ]
    log.write_text("\n".join(json.dumps(entry) for entry in entries))
    series = read_log(log)
    assert series == {"absolute": [(20, 1.5), (40, 1.0)]}
    assert "absolute: 1 at step 40" in draw(series)
    log.write_text("{broken")
    with pytest.raises(ValueError, match="line 1 of"):
        read_log(log)


def test_a_broken_batch_is_skipped_and_logged(frames_folder: Path, tmp_path: Path) -> None:
    trainer = trainer_of(LONG, frames_folder, tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    one = batch(Source(frame_files(frames_folder)), 1, 0, 2, 56)
    trainer.iterate(replace(one, rgb=one.rgb * float("nan")))
    assert all((before[name] == value).all() for name, value in trainer.network.state_dict().items())
    assert json.loads((tmp_path / "log.jsonl").read_text())["event"] == "skipped"
    trainer.iterate(one)
    assert any((before[name] != value).any() for name, value in trainer.network.state_dict().items())


def test_a_blend_lies_between_its_parts(toy: DepthNetwork, tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="export needs onnx: pip install '.[learn]'")
    from deeplens_dof.learn.networks.export import export_depth
    from deeplens_dof.learn.training.weight_average import averaged

    torch.manual_seed(9)
    other = DepthNetwork(**TOY.network)
    torch.save({"average": other.state_dict()}, tmp_path / "other.pt")
    export_depth(toy, tmp_path / "toy.onnx", half=False)
    mixed = averaged({tmp_path / "other.pt": 1, tmp_path / "toy.onnx": 3}, **TOY.network).state_dict()
    for name, weight in mixed.items():
        expected = 0.25 * other.state_dict()[name] + 0.75 * toy.state_dict()[name]
        assert torch.allclose(weight, expected, atol=1e-6), name
    with pytest.raises(ValueError, match="above 0"):
        averaged({tmp_path / "other.pt": 0.0}, **TOY.network)
