"""The benchmarks of bokeh by name."""

from __future__ import annotations

from deeplens_dof.evaluate.blb import BLB
from deeplens_dof.evaluate.bokeh import Benchmark
from deeplens_dof.evaluate.composed import PAIRS, SYNTHETIC
from deeplens_dof.evaluate.ebb import EBB
from deeplens_dof.evaluate.realbokeh import REALBOKEH
from deeplens_dof.evaluate.traced import TRACED

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each for each in (BLB, EBB, REALBOKEH, TRACED, PAIRS, SYNTHETIC)
}
