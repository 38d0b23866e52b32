"""The command `deeplens depth`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from deeplens_dof.batch.jobs import Job, refuse_clashes, resolve
from deeplens_dof.batch.outputs import check_outputs
from deeplens_dof.cli.options import Debug, finish
from deeplens_dof.cli.terminal import Terminal
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Settings


def write_depth(
    source: Path, out: str, settings: Settings | None = None, picture: Path | None = None
) -> Path:
    """Predict the depth of a photo and write it to a depth file.

    Args:
        source: the photo.
        out: the depth file, or a folder, in which it is named after the photo.
        settings: their nearest_m and lens_mm convert depth to metres, for file types that hold metres.
        picture: also write depth in colours to this file, for viewing.

    Returns:
        The path of the depth file.

    Raises:
        PlanError: an output is the photo itself or the other output.
        PhotoError, ValueError, OSError: the photo cannot be read, or an output cannot be written.
    """
    from deeplens_dof.depth.colormap import coloured
    from deeplens_dof.depth.files import write_depth_file
    from deeplens_dof.depth.predict import predict_depth
    from deeplens_dof.photo import Photo, read, untouched

    into_folder = os.path.isdir(out) or out.endswith(("/", os.sep))
    target = Path(out) / f"{source.stem}-depth.png" if into_folder else Path(out)
    if resolve(target) == resolve(source):
        raise PlanError(f"{out!r} is the photo itself and would be overwritten; choose another name with -o")
    settings = settings or Settings()
    job = Job(source, target.with_suffix(".png"), target.name, depth_out=target, overlay=picture)
    refuse_clashes([Job(source, target, target.name, overlay=picture)], [])
    photo = untouched(read(source))
    check_outputs(job)
    rgb = photo.srgb8()
    depth = predict_depth(rgb)
    for output in (target, picture):
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
    write_depth_file(target, depth, settings.nearest_m, rgb, settings.lens_mm)
    if picture:
        Photo(coloured(depth)).save(picture)
    return target


def depth_command(
    photo: Annotated[Path, typer.Argument(metavar="INPUT", help="A photo.")],
    out: Annotated[
        str,
        typer.Option(
            "-o", "--out", metavar="OUT", help="File to write (png, tiff, exr, npz or ply), or a folder."
        ),
    ],
    picture: Annotated[
        Path | None, typer.Option(help="Also write depth in colours, for viewing: far is dark, near bright.")
    ] = None,
    nearest_m: Annotated[
        float, typer.Option(help="Distance of the nearest object, for exr and ply, which hold metres.")
    ] = 1.0,
    lens_mm: Annotated[float, typer.Option(help="Full-frame focal length, for ply.")] = 50.0,
    debug: Debug = False,
) -> None:
    """Write the predicted inverse depth of a photo; near is bright.

    Depth is relative; npz also holds its unit. ply is a point cloud in metres with the photo's colours.
    """
    from deeplens_dof.cli.blur import settings_of

    settings = settings_of({"nearest_m": nearest_m, "lens_mm": lens_mm})
    terminal = Terminal(debug)

    def work() -> None:
        terminal.done(str(write_depth(photo, out, settings, picture)))

    finish(terminal.guard(str(photo), work))
