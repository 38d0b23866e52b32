"""One declaration of every setting, and the options that are generated from it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from deeplens_dof import cli
from deeplens_dof.lens_blur.render import RENDERERS
from deeplens_dof.settings import Changes, Settings, parse_focus, setting_fields

NUMBERS = [setting for setting in setting_fields() if setting.metadata["low"] is not None]


def test_every_setting_says_what_it_is_and_there_are_few() -> None:
    assert 0 < len(setting_fields()) <= 14
    for setting in setting_fields():
        assert setting.metadata["help"].endswith("."), setting.name
        assert setting.metadata["metavar"], setting.name
        assert setting.metadata["group"], setting.name
        assert isinstance(setting.metadata["unit"], str), setting.name


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_both_limits_are_allowed_and_nothing_beyond_them(setting) -> None:
    low, high = setting.metadata["low"], setting.metadata["high"]
    assert low <= setting.default <= high
    for value in (low, high):
        assert getattr(Settings(**{setting.name: value}), setting.name) == value
    for value in (np.nextafter(low, -np.inf), np.nextafter(high, np.inf), np.nan, np.inf, "2", None, True):
        with pytest.raises(
            ValueError, match=rf"{setting.name} is .*, expected a number from {low:g} to {high:g}"
        ):
            Settings(**{setting.name: value})


def test_the_typed_keywords_are_the_settings() -> None:
    assert get_type_hints(Changes) == get_type_hints(Settings)


def test_numbers_of_numpy_and_whole_numbers_become_floats() -> None:
    assert Settings(f_number=2).f_number == 2.0
    assert type(Settings(f_number=np.float32(2)).f_number) is float
    assert Settings(focus=np.array([0.25, 0.5])).focus == (0.25, 0.5)


@pytest.mark.parametrize(
    ("given", "focus"),
    [
        ("subject", "subject"),
        ("Subject ", "subject"),
        ("face", "face"),
        (" FACES", "faces"),
        ("0.4,0.6", (0.4, 0.6)),
        (" 0 , 1 ", (0.0, 1.0)),
        ([0.5, 0.5], (0.5, 0.5)),
        ((1, 0), (1.0, 0.0)),
    ],
)
def test_a_focus_is_the_subject_faces_or_a_point(given, focus) -> None:
    assert parse_focus(given) == focus


@pytest.mark.parametrize(
    "given", ["", "0.4", "0.4;0.6", "1,2,3", "a,b", (0.4,), (0.4, 1.1), "-0.1,0.5", "nan,0", None, 0.5, b"xy"]
)
def test_anything_else_is_no_focus(given) -> None:
    with pytest.raises(ValueError, match=r"focus is .* expected"):
        Settings(focus=given)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ("disc", "disc"),
        (" Blades:5:0:30", "blades:5:0:30"),
        ("ring:0.5", "ring"),
        ("hexagon", "blades:6"),
        ("Star", "star"),
        ("cat-eye:1.0", "cat-eye"),
        ("anamorphic:1.330", "anamorphic:1.33"),
        ("shapes/heart.png", "shapes/heart.png"),
        ("Heart.PNG", "Heart.PNG"),
    ],
)
def test_a_shape_is_a_name_with_numbers_or_a_file(given, shape) -> None:
    assert Settings(shape=given).shape == shape
    assert Settings(shape=shape).shape == shape


@pytest.mark.parametrize("given", ["", "blob", "blades", "blades:2", "ring:2", "disc:1", "a\0.png", None, 5])
def test_anything_else_is_no_shape(given) -> None:
    with pytest.raises(ValueError, match=r"shape is .* expected"):
        Settings(shape=given)


def test_settings_survive_as_plain_values() -> None:
    settings = Settings(
        focus=(1 / 3, 2 / 3), f_number=2.8, focus_range=0.0, shape="blades:7:0.3", highlights=1, grain=0.5
    )
    assert all(isinstance(value, (str, float)) for value in settings.as_dict().values())
    assert Settings(**settings.as_dict()) == settings
    assert Settings(**Settings().as_dict()) == Settings()
    assert Settings(**Settings(focus="faces").as_dict()).focus == "faces"


def test_a_shape_is_built_in_or_a_file() -> None:
    assert Settings(shape=" Blades:5:0").shape_file is None
    assert Settings(shape="stars/star.png").shape_file == Path("stars/star.png")


def test_the_renderers_offered_are_the_renderers_there_are() -> None:
    (choices,) = [setting.metadata["choices"] for setting in setting_fields() if setting.name == "renderer"]
    assert set(choices) == set(RENDERERS)
    with pytest.raises(ValueError, match="renderer is 'vivid', expected one of: optical"):
        Settings(renderer="vivid")


def test_the_documentation_has_every_option_with_its_default() -> None:
    page = (Path(__file__).parent.parent / "docs" / "command-line.md").read_text("utf-8")
    rows = {row.split("`")[1].split()[0]: row for row in page.splitlines() if row.startswith("| `--")}
    shared = {setting.name.replace("_", "-"): setting.default for setting in setting_fields()}
    others = ["depth", "depth-out", "overlay", "strip-metadata", "embed-depth", "json", "debug"]
    others += ["from", "jobs", "resume", "shard", "watch", "time-limit", "memory-limit"]
    others += ["engine", "sequence", "focus-pull", "allow-truncated", "keep-time", "exclude", "quality"]
    others += ["format", "depth-far-bright"]
    assert set(rows) == {f"--{name}" for name in (*shared, *others)}
    for name, default in shared.items():
        shown = f"{default:g}" if isinstance(default, float) else f"`{default}`"
        assert rows[f"--{name}"].split(" | ")[1].strip() == shown, name


def test_the_command_line_has_one_option_for_every_setting() -> None:
    (command,) = [
        registered.callback for registered in cli.app.registered_commands if registered.name == "blur"
    ]
    parameters = inspect.signature(command).parameters
    settings = {setting.name: setting for setting in setting_fields()}
    own = {"context", "inputs", "out", "depth", "depth_out", "overlay", "strip_metadata", "embed_depth"}
    own |= {"json_report", "debug"}
    own |= {"names_from", "jobs", "resume", "shard", "watch", "time_limit", "memory_limit"}
    own |= {"engine_name", "sequence", "focus_pull", "allow_truncated", "keep_time", "exclude", "quality"}
    own |= {"format", "far_is_bright"}
    assert set(parameters) == own | set(settings)
    for name, setting in settings.items():
        kind, option = parameters[name].annotation.__args__[0], parameters[name].annotation.__metadata__[0]
        assert parameters[name].default == setting.default
        assert kind is type(setting.default)
        assert option.help.startswith(setting.metadata["help"])
        assert option.metavar == setting.metadata["metavar"]
        assert [option.default, *option.param_decls][-1] == "--" + name.replace("_", "-")
        if setting.metadata["low"] is not None:
            assert f"{setting.metadata['low']:g} to {setting.metadata['high']:g}" in option.help


@pytest.mark.parametrize("text", ["1.8", "f/1.8", "F1.8", "ƒ/1.8", " f / 1.8 "])
def test_an_f_number_may_be_written_as_on_a_lens(text, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["blur", "missing.jpg", "--json", "--f-number", text])
    assert end.value.code == 1  # only the photo is missing
    assert json.loads(capsys.readouterr().out)["settings"]["f_number"] == 1.8


def test_another_f_number_is_refused_in_a_sentence(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["blur", "a.jpg", "--f-number", "wide"])
    assert end.value.code == 2
    assert capsys.readouterr().err == (
        "deeplens: --f-number is 'wide', expected a number such as 1.8 or f/1.8\n"
    )


def test_the_help_begins_with_focus_aperture_and_look(capsys) -> None:
    with pytest.raises(SystemExit):
        cli.main(["blur", "--help"])
    shown = capsys.readouterr().out
    panels = ["Focus", "Aperture", "Look", "Depth", "Output", "Many photos", "Sequences", "Cluster", "Report"]
    places = [shown.index(f"╭─ {panel} ") for panel in panels]
    assert places == sorted(places)
