"""The options of `deeplens blur` besides the settings, which `Settings` declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from deeplens_dof.cli.options import Debug


def _option(panel: str, *names: str, help: str, **facts: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **facts)


_DEPTH, _OUTPUT, _MANY = "Depth", "Output", "Many photos"
_SEQUENCE, _CLUSTER, _REPORT = "Sequences", "Cluster", "Report"


@dataclass(frozen=True, kw_only=True)
class BlurArguments:
    """The options of `deeplens blur` as they were given, unchecked."""

    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Photos, folders, patterns such as 'in/**/*.jpg', @LIST of names, or - for standard input.",
        ),
    ] = None
    depth: Annotated[
        str,
        _option(
            _DEPTH,
            metavar="auto|embedded|predict|FILE|FOLDER",
            help="Depth source: embedded in the photo, predicted, a depth file (PNG, TIFF, EXR, npz, npy, pfm), or a "
            "folder with one for each photo. "
            "auto uses embedded depth if it is detailed enough, and predicts otherwise.",
        ),
    ] = "auto"
    far_is_bright: Annotated[
        bool | None,
        _option(
            _DEPTH,
            "--depth-far-bright/--depth-near-bright",
            help="What bright, or the larger number, is in depth files of other programs.",
            show_default="by kind",
        ),
    ] = None
    depth_out: Annotated[
        Path | None,
        _option(
            _DEPTH,
            metavar="FILE|FOLDER",
            help="Also write the depth (png, tiff, exr, npz, ply); of several photos into a folder.",
        ),
    ] = None
    overlay: Annotated[
        Path | None,
        _option(_DEPTH, help="Also write an overlay of the focus: green sharp, blue nearer, red farther."),
    ] = None
    out: Annotated[
        str | None,
        _option(
            _OUTPUT,
            "-o",
            "--out",
            metavar="OUT",
            help="File to write, or a folder for several photos; - is standard output.",
        ),
    ] = None
    format: Annotated[
        str | None,
        _option(
            _OUTPUT, metavar="NAME", help="Format on standard output: jpeg, png, ... (default: the photo's)."
        ),
    ] = None
    quality: Annotated[
        int | None,
        _option(
            _OUTPUT, min=1, max=100, metavar="1..100", help="Quality of JPEG, WebP, AVIF, HEIC, JPEG XL."
        ),
    ] = None
    strip_metadata: Annotated[
        bool, _option(_OUTPUT, "--strip-metadata", help="Remove EXIF (including GPS), XMP, IPTC and text.")
    ] = False
    embed_depth: Annotated[
        bool,
        _option(
            _OUTPUT,
            "--embed-depth",
            help="Embed depth and the original photo in the JPEG, for refocusing later.",
        ),
    ] = False
    keep_time: Annotated[
        bool, _option(_OUTPUT, "--keep-time", help="Give results the modification time of their photo.")
    ] = False
    allow_truncated: Annotated[
        bool,
        _option(
            _OUTPUT, "--allow-truncated", help="Accept a JPEG that ends too early; rows it lacks are grey."
        ),
    ] = False
    names_from: Annotated[
        list[str] | None,
        _option(
            _MANY, "--from", metavar="FILE|-", help="Read names of photos from a file or standard input."
        ),
    ] = None
    exclude: Annotated[
        list[str] | None,
        _option(
            _MANY, metavar="PATTERN", help="Pass over such names in folders; repeatable. Hidden ones are."
        ),
    ] = None
    jobs: Annotated[
        int | None,
        _option(
            _MANY,
            "--jobs",
            min=1,
            metavar="N",
            help="Photos to process in parallel (default: 1; with Ray: one per core).",
        ),
    ] = None
    resume: Annotated[
        bool, _option(_MANY, "--resume", help="Skip photos that the manifest in OUT lists as done.")
    ] = False
    watch: Annotated[
        bool, _option(_MANY, "--watch", help="Keep processing photos that arrive in INPUT, until Ctrl-C.")
    ] = False
    time_limit: Annotated[
        float | None, _option(_MANY, min=0.1, metavar="S", help="Abandon a photo after S seconds.")
    ] = None
    memory_limit: Annotated[
        float | None, _option(_MANY, min=1, metavar="MB", help="Abandon a photo that needs more memory.")
    ] = None
    sequence: Annotated[
        bool,
        _option(
            _SEQUENCE,
            "--sequence",
            help="INPUT holds the frames of a film: a folder, or a pattern such as shot.####.png.",
        ),
    ] = False
    focus_pull: Annotated[
        str | None,
        _option(_SEQUENCE, metavar="'FRAME:X,Y FRAME:X,Y'", help="Pull the focus from key to key."),
    ] = None
    engine_name: Annotated[
        str,
        _option(_CLUSTER, "--engine", metavar="local|ray", help="Run on this machine or on a Ray cluster."),
    ] = "local"
    shard: Annotated[
        str | None, _option(_CLUSTER, metavar="I/N", help="Process share I of N only, one per machine.")
    ] = None
    json_report: Annotated[
        bool, _option(_REPORT, "--json", help="Print a report as JSON on standard output.")
    ] = False
    debug: Debug = False
