"""What verticals change, against definitions written out, and that an unknown vertical is served by what all share."""

import copy
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from distill.errors import RecipeError
from distill.fleet import Fleet
from distill.layers import (
    FieldWeights,
    GateNU,
    PartitionedLayerNorm,
    PersonalizedMLP,
    PositionBias,
    StarLinear,
    VerticalCrosses,
    VerticalLinear,
    VerticalTable,
    VerticalTowers,
    trunk,
    without,
)
from distill.layers.trunks import Form
from distill.testing import example_features, example_schema
from distill.types import UNSEEN

ROWS, WIDTH, COUNT = 6, 4, 3
VERTICAL = torch.tensor([0, 1, 2, 2, 1, 0])


@pytest.fixture
def inputs() -> Tensor:
    return torch.randn(ROWS, WIDTH, dtype=torch.float64)


def shaken(module: nn.Module) -> nn.Module:
    """In fp64 and trained, as it were: every weight moved but those of the unknown vertical, which nothing moves."""
    unknown = [one.weight for one in module.modules() if isinstance(one, VerticalTable)]
    for weight in module.double().parameters():
        nn.init.normal_(weight, std=0.5)
    for table in unknown:
        table.data[-1] = 0
    return module


@pytest.mark.parametrize("unknown", [-1, COUNT, 10**6])
def test_an_unknown_vertical_has_a_vector_of_zeros_that_no_training_moves(unknown):
    table = VerticalTable(COUNT, WIDTH, spread=1.0)
    optimizer = torch.optim.AdamW(table.parameters(), lr=0.1)
    vertical = torch.tensor([0, unknown, 2])
    table(torch.tensor([0, 1, 2])).sum().backward()
    optimizer.step()
    assert not table(vertical)[1].any()
    assert torch.equal(table(vertical)[[0, 2]], table.weight[[0, 2]])


class TestPartitionedLayerNorm:
    def test_is_the_rows_own_statistics_with_the_scale_of_its_vertical(self, inputs):
        norm = shaken(PartitionedLayerNorm(COUNT, WIDTH))
        for row, found in enumerate(norm(inputs, VERTICAL)):
            x, p = inputs[row], VERTICAL[row]
            normal = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
            gamma = norm.common.weight * (1 + norm.scale.weight[p])
            torch.testing.assert_close(found, gamma * normal + norm.common.bias + norm.shift.weight[p])

    def test_a_fresh_one_is_layer_norm(self, inputs):
        norm = PartitionedLayerNorm(COUNT, WIDTH).double()
        torch.testing.assert_close(norm(inputs, VERTICAL), functional.layer_norm(inputs, (WIDTH,)))


def test_star_multiplies_weights_and_adds_biases(inputs):
    layer = shaken(StarLinear(COUNT, WIDTH, 2))
    for row, found in enumerate(layer(inputs, VERTICAL)):
        p = VERTICAL[row]
        weight = layer.common.weight * (1 + layer.own.matrix.weight[p].view(2, WIDTH))
        bias = layer.common.bias + layer.own.bias.weight[p]
        torch.testing.assert_close(found, weight @ inputs[row] + bias)


def test_towers_add_what_a_vertical_says_to_what_all_say(inputs):
    towers = shaken(VerticalTowers(WIDTH, (5, 2), COUNT))
    hidden = towers.bottom(inputs)
    for row, found in enumerate(towers(inputs, VERTICAL)):
        p = VERTICAL[row]
        own = towers.own.matrix.weight[p].view(2, 5) @ hidden[row] + towers.own.bias.weight[p]
        shared = towers.common.weight @ hidden[row] + towers.common.bias
        torch.testing.assert_close(found, (shared + own).relu())


class TestGateNU:
    def test_is_twice_a_sigmoid(self, inputs):
        gate, prior = shaken(GateNU(3, WIDTH, 5, 2)), torch.randn(ROWS, 3).double()
        known = torch.cat([prior, inputs], -1)
        hidden = (known @ gate.hidden.weight.T + gate.hidden.bias).relu()
        expected = 2 * (hidden @ gate.gate.weight.T + gate.gate.bias).sigmoid()
        torch.testing.assert_close(gate(prior, inputs), expected)

    def test_teaches_the_prior_and_never_what_it_looks_at(self, inputs):
        gate, prior = shaken(GateNU(3, WIDTH, 5, 2)), torch.randn(ROWS, 3, dtype=torch.float64, requires_grad=True)
        gate(prior, inputs.requires_grad_()).sum().backward()
        assert prior.grad.any()
        assert inputs.grad is None

    def test_a_personalized_mlp_gates_inputs_and_every_hidden_layer(self, inputs):
        mlp = shaken(PersonalizedMLP(WIDTH, (5, 2), COUNT, 3))
        prior = mlp.vertical(VERTICAL)
        gated = inputs * mlp.embedding_gate(prior, inputs)
        first = (gated @ mlp.layers[0].weight.T + mlp.layers[0].bias).relu() * mlp.gates[0](prior, gated)
        second = (first @ mlp.layers[1].weight.T + mlp.layers[1].bias).relu() * mlp.gates[1](prior, gated)
        torch.testing.assert_close(mlp(inputs, VERTICAL), second)


class TestFieldWeights:
    @pytest.fixture
    def fields(self) -> Tensor:
        return torch.randn(ROWS, 5, WIDTH, dtype=torch.float64)

    def test_a_table_holds_one_number_for_each_vertical_and_field(self, fields):
        weights = shaken(FieldWeights(COUNT, 5, WIDTH, "table"))
        for row, found in enumerate(weights(fields, VERTICAL)):
            for field in range(5):
                number = 1 + weights.table.weight[VERTICAL[row], field]
                torch.testing.assert_close(found[field], number * fields[row, field])

    def test_a_fresh_table_weighs_nothing(self, fields):
        assert torch.equal(FieldWeights(COUNT, 5, WIDTH, "table").double()(fields, VERTICAL), fields)

    def test_a_gate_depends_on_the_vertical_and_on_the_fields(self, fields):
        weights = shaken(FieldWeights(COUNT, 5, WIDTH, "gate"))
        found = weights.weights(fields, VERTICAL)
        assert ((found > 0) & (found < 2)).all()
        assert not torch.allclose(found, weights.weights(fields, VERTICAL.flip(0) + 1))
        assert not torch.allclose(found, weights.weights(fields + 1, VERTICAL))


class TestVerticalCrosses:
    def test_a_vertical_and_an_id_have_a_vector_of_their_own_in_each_field(self):
        crosses = VerticalCrosses((0, 2), COUNT, 10_000, WIDTH)
        ids = torch.tensor([[1, 0, 1], [1, 5, 1], [1, 0, 1], [2, 0, 1]])
        one, other, elsewhere, another = crosses(ids, torch.tensor([0, 0, 1, 0]))
        assert torch.equal(one, other)  # Column 1 is not crossed.
        assert (one[0] != one[1]).all()  # The same id in another field.
        assert (one != elsewhere).all()
        assert (one[0] != another[0]).all() and torch.equal(one[1], another[1])

    def test_buckets_are_used_evenly(self):
        crosses, seen = VerticalCrosses((0,), COUNT, 16, 1), []
        crosses.weight.data = torch.arange(17.0).unsqueeze(-1)
        for vertical in range(COUNT):
            seen.append(crosses(torch.arange(4000).unsqueeze(-1), torch.full((4000,), vertical)))
        share = torch.bincount(torch.cat(seen).flatten().long(), minlength=17) / 12_000
        assert share[16] == 0
        torch.testing.assert_close(share[:16], torch.full((16,), 1 / 16), rtol=0, atol=0.01)

    def test_an_unknown_vertical_has_no_crosses(self):
        assert not VerticalCrosses((0,), COUNT, 16, 2)(torch.tensor([[1]]), torch.tensor([7])).any()


class TestPositionBias:
    @pytest.fixture
    def bias(self) -> PositionBias:
        return shaken(PositionBias(example_schema(), "device", WIDTH, 0.25))

    @pytest.fixture
    def features(self):
        return example_features(example_schema(), 4000, torch.Generator().manual_seed(0))

    def test_scoring_knows_no_position(self, bias, features):
        bias.eval()
        elsewhere = features.categorical.clone()
        elsewhere[:, 1] = (elsewhere[:, 1] + 1) % 4
        assert torch.equal(bias(features.categorical, features.vertical), bias(elsewhere, features.vertical))
        assert (bias.kept(features.categorical[:, 1]) == UNSEEN).all()

    def test_training_drops_some_and_scores_those_as_scoring_does(self, bias, features):
        position = features.categorical[:, 1] * 0 + 3
        kept = bias.train().kept(position)
        assert set(kept.tolist()) == {UNSEEN, 3}
        assert (kept == UNSEEN).double().mean().item() == pytest.approx(0.25, abs=0.03)
        ids = torch.stack([features.categorical[:, 0], position], -1)
        trained, scored = bias(ids, features.vertical), bias.eval()(ids, features.vertical)
        torch.testing.assert_close(trained[kept == UNSEEN], scored[kept == UNSEEN])
        assert (trained != scored)[kept == 3].all()

    def test_the_rest_of_the_ranker_never_sees_it(self, bias, features):
        schema = without(example_schema(), "device")
        assert schema.categorical == ("item",)
        assert set(schema.tables) == {"item", "device", "topic"}  # A set of devices still reads that table.
        assert torch.equal(bias.hide(features).categorical, features.categorical[:, :1])

    def test_a_name_that_is_no_feature_is_told(self):
        with pytest.raises(RecipeError, match='Did you mean "device"'):
            PositionBias(example_schema(), "devise", WIDTH, 0.1)


MODULES: dict[str, Callable[[], nn.Module]] = {
    "norm": lambda: PartitionedLayerNorm(COUNT, WIDTH),
    "linear": lambda: VerticalLinear(COUNT, WIDTH, 2),
    **{f"trunk {form}": lambda form=form: trunk(form, WIDTH, (5, 2), COUNT, 3) for form in get_args(Form)},
}


@pytest.mark.parametrize("name", MODULES)
class TestEvery:
    def test_a_row_s_vertical_is_its_own_affair(self, name, inputs):
        """No statistic of a batch: every row alone, in any company, in training and in scoring."""
        module = shaken(MODULES[name]())
        for mode in (True, False):
            module.train(mode)
            together = module(inputs, VERTICAL)
            alone = [module(inputs[row : row + 1], VERTICAL[row : row + 1]) for row in range(ROWS)]
            torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-12)

    def test_all_unknown_verticals_are_one(self, name, inputs):
        module = shaken(MODULES[name]())
        found = [module(inputs, torch.full((ROWS,), unknown)) for unknown in (-1, COUNT, 10**6)]
        assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
        assert found[0].isfinite().all()

    def test_runs_on_a_stack_as_it_is(self, name):
        members = [shaken(MODULES[name]()) for _ in range(3)]
        inputs, vertical = torch.randn(3, ROWS, WIDTH).double(), torch.randint(COUNT, (3, ROWS))
        twins = copy.deepcopy(members)
        alone = torch.stack([one(*given) for one, *given in zip(twins, inputs, vertical, strict=True)])
        fleet = Fleet(members).double()
        assert fleet.direct(inputs, vertical)
        torch.testing.assert_close(fleet(inputs, vertical), alone)


def test_what_is_shared_serves_an_unknown_vertical(inputs):
    """Zero out what the verticals have learned: star, towers and norms become the shared layer alone."""
    for form in ("pln", "star", "towers"):
        module = shaken(trunk(form, WIDTH, (5, 2), COUNT, 3))
        unknown = module(inputs, torch.full((ROWS,), COUNT))
        for one in module.modules():
            if isinstance(one, VerticalTable):
                one.weight.data.zero_()
        torch.testing.assert_close(module(inputs, VERTICAL), unknown)
