"""Damaged files never hang, explode or crash a reader, and only what it declares comes out of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import fuzz_readers
import pytest
from fuzz_readers import case, fuzz, one_input, readers, samples

from deeplens_dof.photo.codecs import formats


def test_every_sample_is_whole_and_every_format_has_one() -> None:
    for name, sample in samples().items():
        one_input(sample.wrap(sample.data))
        assert len(sample.data) > 16, name
    signatures = {form.name for form in map(_format, samples().values()) if form is not None}
    unmade = {name for name, make in fuzz_readers.EXTRA_SAMPLES.items() if make() is None}  # not installed
    missing = set(formats.FORMATS) - signatures - unmade
    assert not missing, f"add samples of {missing} to EXTRA_SAMPLES in fuzz_readers.py"


def _format(sample: fuzz_readers.Sample) -> formats.Format | None:
    try:
        return formats.by_content(sample.wrap(sample.data), "a sample")
    except formats.UnknownFormatError:
        return None


def test_a_seed_is_the_same_damage_everywhere() -> None:
    seeds = range(0, 60, 7)
    code = f"import fuzz_readers, zlib; print([zlib.crc32(fuzz_readers.case(s)[1]) for s in {list(seeds)}])"
    here = Path(__file__).parent
    other = subprocess.run([sys.executable, "-c", code], cwd=here, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str([zlib.crc32(case(seed)[1]) for seed in seeds])
    whole = [sample.wrap(sample.data) for sample in samples().values()]
    assert sum(case(seed)[1] not in whole for seed in range(100)) > 90


def nothing() -> bool:
    return True


def badly(_: bool, tell: Callable[[str], None], seed: int) -> str:
    """A reader that hangs on one mutation, explodes on another and crashes on a third."""
    tell("trouble")
    if seed == 1:
        time.sleep(60)
    if seed == 2:
        held = bytes(range(250)) * 2_000_000
        time.sleep(len(held))
    if seed == 3:
        os.abort()
    return "well"


def test_hangs_explosions_and_crashes_are_named_with_their_seed() -> None:
    found = fuzz(range(5), seconds=6, memory_bytes=400 << 20, task=badly, start=nothing)
    assert len(found) == 3
    for seed, (words, entry) in enumerate(
        zip(("TimeLimit", "MemoryLimit", "WorkerDied"), found, strict=True), 1
    ):
        assert entry.startswith(f"seed {seed} (")
        assert f"reader of trouble: {words}Error: mutation {seed}" in entry
        assert entry.endswith(f"--seed {seed}")


def test_what_a_reader_does_not_declare_is_seen(monkeypatch) -> None:
    def broken(data: bytes) -> None:
        raise KeyError("not declared")

    monkeypatch.setattr(fuzz_readers, "readers", lambda: {"nothing": (broken, (ValueError,))})
    with pytest.raises(KeyError, match="not declared") as caught:
        one_input(b"")
    assert caught.value.__notes__ == ["in the reader of nothing"]


def test_a_quick_round() -> None:
    assert fuzz(range(150)) == []


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 3000, 500))
def test_two_thousand_mutations(start: int) -> None:
    assert len(readers()) > 10
    assert fuzz(range(start, start + 500), workers=2) == []
