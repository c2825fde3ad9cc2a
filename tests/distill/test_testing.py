"""The battery catches rankers that are broken on purpose, each with the sentence that says how."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from distill.layers import FieldEmbedding
from distill.ranker import Ranker, packages, resolve
from distill.testing import check_ranker, example_features, example_schema
from distill.types import PAD, Features, FeatureSchema, Prediction, Settings


class Sound(Ranker):
    """A linear ranker with nothing wrong; the broken ones below change one thing each."""

    class Config(Settings):
        """Its settings."""

        width: int = 3
        """Width of an embedding."""

    def __init__(self, schema: FeatureSchema, config: Settings) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.width)
        self.head = nn.Linear(self.embedding.width, len(schema.tasks))

    def forward(self, features: Features) -> Prediction:
        return self.say(self.embedding(features))

    def say(self, inputs: torch.Tensor) -> Prediction:
        return Prediction(self.head(inputs), inputs)


class PeeksAtTheBatch(Sound):
    def say(self, inputs):
        return super().say(inputs - inputs.mean(0))


class PeeksInTraining(Sound):
    def say(self, inputs):
        return super().say(inputs - inputs.mean(0) if self.training else inputs)


class ScalesByTheLongestHistory(Sound):
    def forward(self, features):
        longest = max([(ids != PAD).any(-1).sum(-1).max() for ids in features.sequences.values()], default=1)
        return self.say(self.embedding(features) / (1 + longest))


class RollsDice(Sound):
    def say(self, inputs):
        return super().say(inputs + torch.randn_like(inputs))


class DropsByTheGlobalGenerator(Sound):
    def say(self, inputs):
        return super().say(nn.functional.dropout(inputs, 0.5, self.training))


class StartsFromNowhere(Sound):
    def __init__(self, schema, config):
        super().__init__(schema, config)
        nn.init.normal_(self.head.weight, generator=GENERATOR)


GENERATOR = torch.Generator().manual_seed(0)


class HasADeadParameter(Sound):
    def __init__(self, schema, config):
        super().__init__(schema, config)
        self.idle = nn.Linear(2, 2)


class LearnsOnlyItsHead(Sound):
    def say(self, inputs):
        return super().say(inputs.detach())


class ForgetsTheTasks(Sound):
    def say(self, inputs):
        return Prediction(self.head(inputs).squeeze(-1), inputs)


class ReturnsATensor(Sound):
    def forward(self, features):
        return self.head(self.embedding(features))


class ComputesInSingle(Sound):
    def say(self, inputs):
        return Prediction(super().say(inputs).logit.float(), inputs)


class WritesOnItsInputs(Sound):
    def forward(self, features):
        features.categorical.clamp_(max=0)
        return super().forward(features)


class DividesByTheHistory(Sound):
    def forward(self, features):
        embedded = self.embedding.embed(features)
        logit, flat = self.say(self.embedding.flat(embedded))
        for present in embedded.present.values():
            logit = logit + (present.to(logit) / present.sum(-1, keepdim=True)).sum(-1, keepdim=True)
        return Prediction(logit, flat)


class Overflows(Sound):
    def say(self, inputs):
        return Prediction(super().say(inputs).logit + 0 * inputs.exp().sum(-1, keepdim=True), inputs)


class KeepsAWeightToItself(Sound):
    def __init__(self, schema, config):
        super().__init__(schema, config)
        self.secret = torch.randn(())

    def say(self, inputs):
        return super().say(inputs * self.secret)


class LooksAtItsData(Sound):
    def say(self, inputs):
        return super().say(inputs if inputs.sum().item() > 0 else inputs * 1.0)


class KnowsItsTablesByHeart(Sound):
    """Offsets as numbers in the code are those of whichever member came first."""

    def __init__(self, schema, config):
        super().__init__(schema, config)
        self.plain = self.embedding.offset.tolist()

    def forward(self, features):
        offset = torch.tensor(self.plain)
        return self.say(torch.func.functional_call(self.embedding, {"offset": offset}, (features,)))


class CannotBeWritten(Sound):
    class Config(Settings):
        """Its settings."""

        width: object = 3

        def model_dump_json(self):
            return "{}"


class HasStrangeSettings(Sound):
    class Config:
        """Not settings."""

        width = 3


ALONE = "A row's prediction depends on that row alone. But "
REPEATABLE = "its predictions from weights, features and clock. But "
BROKEN = {
    PeeksAtTheBatch: f"PeeksAtTheBatch on every kind of feature .* {ALONE}a change of another row moved it",
    PeeksInTraining: "in training",
    ScalesByTheLongestHistory: ALONE,
    RollsDice: f"{REPEATABLE}the second call moved a prediction",
    DropsByTheGlobalGenerator: "in training",
    StartsFromNowhere: "two builds from one seed differ in head.weight",
    HasADeadParameter: "none reaches idle.weight",
    LearnsOnlyItsHead: "none reaches embedding.weight",
    ForgetsTheTasks: r"logit has shape \(24,\), not \(24, 1\)",
    ReturnsATensor: "it returned a Tensor, not a Prediction",
    ComputesInSingle: "logit is torch.float32 where weights and numbers are torch.float64",
    WritesOnItsInputs: "changed in place",
    DividesByTheHistory: "the prediction is not finite for empty histories",
    Overflows: "the prediction is not finite for extreme numbers",
    KeepsAWeightToItself: "is something neither a parameter nor a buffer",
    LooksAtItsData: "what it would alone. But it raised RuntimeError: .*item",
    KnowsItsTablesByHeart: "what it would alone. But a prediction is off",
    CannotBeWritten: "survive being written and read. But .* came back as",
    HasStrangeSettings: "does not derive from distill.types.Settings",
}


def test_a_sound_ranker_passes():
    check_ranker(Sound)


@pytest.mark.parametrize("model", BROKEN, ids=lambda model: model.__name__)
def test_a_broken_ranker_is_caught(model):
    config = Sound.Config(width=5) if model is not CannotBeWritten else model.Config(width=5)
    with pytest.raises(AssertionError, match=BROKEN[model]):
        check_ranker(model, config)


def test_takes_a_class_path():
    check_ranker("students.DNN")


def test_example_features_have_every_length_and_only_valid_ids():
    schema = example_schema()
    features = example_features(schema, 200, torch.Generator().manual_seed(1))
    for field in schema.sequences:
        ids = features.sequences[field.name]
        present = (ids != PAD).all(-1)
        assert torch.equal(present, (ids != PAD).any(-1))
        assert set(present.sum(-1).tolist()) == set(range(field.length + 1))
        assert not (present[:, 1:] & ~present[:, :-1]).any(), "PAD stands after the steps, never between them"
        for column, table in enumerate(field.tables):
            assert ids[..., column].max() == schema.tables[table] - 1
    assert features.vertical.unique().tolist() == [0, 1, 2]


def test_example_features_follow_their_generator():
    one, same, other = (
        example_features(example_schema(), 5, torch.Generator().manual_seed(seed)).numeric for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


README = Path(__file__).resolve().parents[2] / "README.md"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The student of the README as a package of its own, installed with the entry point that the README names."""
    (code,) = re.findall(r"```python\n# mine/linear.py; (.*?)\n```", README.read_text(), re.DOTALL)
    first, body = code.split("\n", 1)
    (package,) = re.findall(r"mine/__init__.py has `(.*?)` and `(.*?)`", first)
    (project,) = re.findall(
        r"```toml\n# pyproject.toml, beside the folder mine\n(.*?)\n```", README.read_text(), re.DOTALL
    )
    ((group, names),) = tomllib.loads(project)["project"]["entry-points"].items()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("\n".join(package))
    (tmp_path / "mine" / "linear.py").write_text(body)
    (tmp_path / "mine-1.0.dist-info").mkdir()
    (tmp_path / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    entries = "".join(f"{name} = {value}\n" for name, value in names.items())
    (tmp_path / "mine-1.0.dist-info" / "entry_points.txt").write_text(f"[{group}]\n{entries}")
    monkeypatch.syspath_prepend(tmp_path)
    packages.cache_clear()
    yield "mine.Linear"
    packages.cache_clear()
    for name in ("mine", "mine.linear"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_the_student_of_the_readme_holds_in_a_package_of_its_own(mine: str) -> None:
    """Found by a recipe's class path, sound by the battery, and no longer than a page."""
    ranker = resolve(mine)
    check_ranker(ranker)
    assert ranker.__module__ == "mine.linear" and issubclass(ranker, Ranker)
