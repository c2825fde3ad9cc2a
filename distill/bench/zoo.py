"""zoo: how large each student is, and how long one impression takes."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from distill.bench.figure import Figure
from distill.bench.impressions import SMALL, generated
from distill.bench.latency import laid_down, latencies
from distill.bench.rounds import Scale
from distill.cost import cost
from distill.ranker import available
from distill.recipe.sections import Model

ROWS, STEPS = 2_048, 10
"""Rows from which the ids come, and the steps of a history, without which DIN would be a DNN."""

PACKAGE = "students"


def measure(scale: Scale) -> Iterator[Figure]:
    """Every student of the package with its own defaults: 12 ids of 1,000 values, 3 numbers, 10 clicks."""
    with TemporaryDirectory() as name:
        folder, shape = Path(name), SMALL._replace(history=STEPS).at(scale)
        impressions = generated(shape, 1, scale.of(ROWS, 64), folder)
        (vertical,) = impressions.verticals
        schema = impressions.view(None, "vertical").schema(vertical)
        for path in available(PACKAGE):
            model, shown = Model(path=path), path.removeprefix(f"{PACKAGE}.")
            size = cost(lambda model=model: model.build(schema), schema)
            yield Figure(f"zoo/{shown}/dense", [size.dense], "parameters")
            yield Figure(f"zoo/{shown}/tables", [size.sparse], "parameters")
            yield Figure(f"zoo/{shown}/flops", [size.flops], "flops")
            export = laid_down(model, impressions, vertical, folder / shown)
            yield from latencies(f"zoo/{shown}", export, impressions, ("safetensors", "onnx"), scale)
