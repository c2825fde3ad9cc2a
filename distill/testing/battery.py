"""The battery: what every ranker promises, checked from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import safetensors.torch
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from distill.fleet import Fleet
from distill.layers import BatchNormReLU
from distill.ranker import Ranker, resolve
from distill.testing.examples import example_schemas
from distill.testing.trial import ROWS, Trial, cast, descend, distance, filled, loss, seeded, set_clock, take
from distill.types import PAD, UNSEEN, Prediction, Settings

ROUNDING = 1e-12
"""Largest difference in fp64 that counts as none, for numbers near 1."""
EXTREME = 1e4
"""A standardised number that should not occur, and does."""


def check_ranker(model: type[Ranker] | str, config: Settings | None = None) -> None:
    """Checks what every ranker promises to those who train it, stack it, keep its scores and serve it.

    A test of a new ranker is one call of this.

    Args:
        model: the class, or its class path.
        config: its settings; the defaults where none are given.

    Raises:
        AssertionError: a promise is broken; the message says which, on what features, and how.

    Example:
        >>> check_ranker("students.DNN")
    """
    model = resolve(model) if isinstance(model, str) else model
    with _promise(model, "any features", check_config):
        config = check_config(model, config)
    for kind, schema in example_schemas().items():
        for check in CHECKS:
            with _promise(model, kind, check):
                check(Trial(model, config, schema))


def check_config(model: type[Ranker], config: Settings | None) -> Settings:
    """Its Config is a Settings whose values survive being written and read."""
    _require(issubclass(model.Config, Settings), f"{model.Config} does not derive from distill.types.Settings")
    config = model.Config() if config is None else config
    again = model.Config.model_validate_json(config.model_dump_json())
    _require(again == config, f"{config!r} came back as {again!r}")
    return config


def check_shapes(trial: Trial) -> None:
    """It gives a logit for each row and task, and a representation for each row."""
    prediction = trial.build()(trial.features())
    _require(isinstance(prediction, Prediction), f"it returned a {type(prediction).__name__}, not a Prediction")
    logit, representation = (tuple(tensor.shape) for tensor in prediction)
    expected = (ROWS, len(trial.schema.tasks))
    _require(logit == expected, f"logit has shape {logit}, not {expected}")
    _require(
        len(representation) == 2 and representation[0] == ROWS,
        f"representation has shape {representation}, not ({ROWS}, width)",
    )


def check_precision(trial: Trial) -> None:
    """It computes in the precision of its weights, and says the same in fp32 and fp64."""
    ranker, features = trial.build().eval(), trial.features()
    double = ranker(features)
    single = ranker.float()(cast(features, torch.float32))
    for prediction, dtype in ((double, torch.float64), (single, torch.float32)):
        for name, tensor in prediction._asdict().items():
            _require(tensor.dtype == dtype, f"{name} is {tensor.dtype} where weights and numbers are {dtype}")
    moved = distance(double, single)
    _require(moved < 1e-3, f"a prediction moved by {moved:.2g}")


def check_determinism(trial: Trial) -> None:
    """Its weights follow from torch's seed; its predictions from weights, features and clock."""
    ranker, twin, features = trial.build(1), trial.build(1), trial.features()
    for name, tensor in ranker.state_dict().items():
        _require(torch.equal(tensor, twin.state_dict()[name]), f"two builds from one seed differ in {name}")
    for training in (True, False):
        with seeded(2):
            first = ranker.train(training)(features)
        with seeded(3):
            second = twin.train(training)(features)
        moved = distance(first, second)
        _require(moved == 0, f"the second call moved a prediction by {moved:.2g} {_mode(training)}")


def check_inputs(trial: Trial) -> None:
    """It leaves its inputs as they are."""
    features = trial.features()
    trial.build()(features)
    moved = distance(tree_leaves(trial.features()), tree_leaves(features))
    _require(moved == 0, "a tensor of the features was changed in place")


def check_gradients(trial: Trial) -> None:
    """A gradient of the logits reaches every parameter."""
    ranker = trial.build()
    with seeded(4), torch.no_grad():
        for parameter in ranker.parameters():
            # Layers that start at zero hide the gradient of those before them.
            parameter.add_(0.1 * torch.randn_like(parameter))
    loss(ranker(trial.features())).backward()
    for name, parameter in ranker.named_parameters():
        reached = parameter.grad is not None and (parameter.numel() == 0 or bool(parameter.grad.any()))
        _require(reached, f"none reaches {name}")


def check_rows(trial: Trial) -> None:
    """A row's prediction depends on that row alone."""
    ranker, features = trial.build(), trial.features()
    changed = tree_map(lambda mine, other: torch.cat([other[:1], mine[1:]]), features, trial.features(5))
    # Batch norm looks around in training, as it is meant to.
    looks_around = any(isinstance(layer, BatchNormReLU) for layer in ranker.modules())
    for training in (False,) if looks_around else (True, False):
        ranker.train(training)
        moved = distance(take(ranker(features), slice(1, None)), take(ranker(changed), slice(1, None)))
        _require(moved < ROUNDING, f"a change of another row moved it by {moved:.2g} {_mode(training)}")
    some = torch.tensor([ROWS - 1, 3, 7])
    moved = distance(take(ranker(features), some), ranker(take(features, some)))
    _require(moved < ROUNDING, f"in a smaller batch it moved by {moved:.2g}")


def check_extremes(trial: Trial) -> None:
    """Empty histories, unseen ids and extreme numbers give finite predictions and gradients."""
    ranker, features = trial.build().float(), cast(trial.features(), torch.float32)
    strange = {
        "empty histories and sets": filled(features, step=PAD),
        "unseen ids": filled(features, categorical=UNSEEN, step=UNSEEN),
        "extreme numbers": filled(features, number=EXTREME),
        "extreme negative numbers": filled(features, number=-EXTREME),
    }
    for name, inputs in strange.items():
        ranker.zero_grad()
        prediction = ranker(inputs)
        _require(_finite(*prediction), f"the prediction is not finite for {name}")
        loss(prediction).backward()
        gradients = [parameter.grad for parameter in ranker.parameters() if parameter.grad is not None]
        _require(_finite(*gradients), f"the gradient is not finite for {name}")


def check_saving(trial: Trial) -> None:
    """Its weights, saved as safetensors and loaded into a fresh one, give the same predictions."""
    ranker, fresh = trial.build(1).eval(), trial.build(2).eval()
    fresh.load_state_dict(safetensors.torch.load(safetensors.torch.save(ranker.state_dict())))
    moved = distance(ranker(trial.features()), fresh(trial.features()))
    _require(moved == 0, f"a prediction moved by {moved:.2g}; is something neither a parameter nor a buffer?")


def check_fleet(trial: Trial) -> None:
    """Stacked with others in a fleet, it predicts and learns what it would alone."""
    trials = [trial.taller(index) for index in range(3)]
    features = [one.features(index) for index, one in enumerate(trials)]
    clocks = torch.tensor([[11, 7], [12, 7], [13, 7]])
    fleet = Fleet([one.build(index) for index, one in enumerate(trials)]).train()
    fleet.set_clock(clocks)
    together = fleet(tree_map(lambda *tensors: torch.stack(tensors), *features))
    descend(fleet, together)
    for index, one in enumerate(trials):
        ranker = one.build(index)
        set_clock(ranker, clocks[index])
        alone = ranker(features[index])
        descend(ranker, alone)
        moved = distance(alone, take(together, index))
        _require(moved < ROUNDING, f"a prediction is off by {moved:.2g}")
        stacked = fleet.state(index)
        for name, tensor in ranker.state_dict().items():
            moved = distance([tensor], [stacked[name]])
            _require(moved < ROUNDING, f"after one step, {name} is off by {moved:.2g}")


CHECKS: tuple[Callable[[Trial], None], ...] = (
    check_shapes,
    check_extremes,
    check_determinism,
    check_precision,
    check_inputs,
    check_gradients,
    check_rows,
    check_saving,
    check_fleet,
)


@contextmanager
def _promise(model: type[Ranker], kind: str, check: Callable) -> Iterator[None]:
    """Puts before a failure who was tested, on what, and what was promised."""
    promise = f"{model.__name__} on {kind} breaks a promise. {(check.__doc__ or check.__name__).strip()} But "
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{promise}{error}.") from error
    except Exception as error:
        raise AssertionError(f"{promise}it raised {type(error).__name__}: {error}") from error


def _require(kept: bool, failure: str) -> None:
    if not kept:
        raise AssertionError(failure)


def _finite(*tensors: Tensor) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _mode(training: bool) -> str:
    return "in training" if training else "in evaluation"
