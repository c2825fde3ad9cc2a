"""A fleet gives every member what it would get alone."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn

import students
from distill.fleet import Fleet, seeded
from distill.layers import Dropout, FieldEmbedding
from distill.layers.embedding import Embedded
from distill.losses import binary_cross_entropy
from distill.optimizer import MemberAdam, Rates
from distill.ranker import Ranker
from distill.types import Features, FeatureSchema, Prediction

MEMBERS, ROWS, STEPS = 5, 12, 50
NAMES = ("item", "hour", "device")


def schema(member: int) -> FeatureSchema:
    """Tables of unequal height, as unequal verticals have."""
    return FeatureSchema(("click",), 1, {"item": 20 + 7 * member, "hour": 5, "device": 3}, NAMES, ("age", "price"))


def features(step: int, members: int) -> Features:
    generator = torch.Generator().manual_seed(step)
    ids = [torch.randint(0, size, (MEMBERS, ROWS), generator=generator) for size in (20, 5, 3)]
    numbers = torch.randn(MEMBERS, ROWS, 2, generator=generator)
    vertical = torch.zeros(members, ROWS, dtype=torch.long)
    return Features(vertical, torch.stack(ids, -1)[:members], numbers[:members].double(), {}, {})


def labels(step: int, members: int) -> Tensor:
    return torch.rand(MEMBERS, ROWS, 1, generator=torch.Generator().manual_seed(-step - 1)).round().double()[:members]


def members_of(name: str, dropout: Sequence[float] = (0.0,) * MEMBERS) -> list[nn.Module]:
    ranker = getattr(students, name, Plain)
    known = ranker.Config.model_fields
    wanted = {"embedding": 4, "hidden": (8, 6), "heads": 2} if "heads" in known else {"embedding": 4, "hidden": (8, 6)}
    configs = [
        ranker.Config(**{key: value for key, value in (wanted | {"dropout": rate}).items() if key in known})
        for rate in dropout
    ]
    return [module.double() for module in seeded(lambda place: ranker(schema(place), configs[place]), range(MEMBERS))]


def one(tree: Features, member: int) -> Features:
    return Features(tree.vertical[member], tree.categorical[member], tree.numeric[member], {}, {})


def loss(logit: Tensor, label: Tensor) -> Tensor:
    return binary_cross_entropy(logit, label).mean((-2, -1))


SETTINGS = [
    {"learning_rate": rate, "weight_decay": decay, "beta1": beta1, "beta2": beta2, "l2": 0.0}
    for rate, decay, beta1, beta2 in [
        (1e-2, 0.0, 0.9, 0.999),
        (1e-3, 0.1, 0.8, 0.999),
        (5e-3, 0.0, 0.9, 0.99),
        (1e-2, 0.01, 0.0, 0.999),
        (2e-3, 0.0, 0.9, 0.999),
    ]
]
DROPOUT = [0.2, 0.0, 0.5, 0.2, 0.1]


class Solo:
    """An ordinary training loop for one ordinary module: torch's AdamW, or a row-wise rule as its paper writes it."""

    def __init__(self, module: nn.Module, settings: dict[str, float], rule: str) -> None:
        self.module, self.settings, self.rule = module, settings, rule
        self.tables = [] if rule == "adam" else [one for one in module.modules() if isinstance(one, FieldEmbedding)]
        own = {id(table.weight) for table in self.tables}
        rest = [one for one in module.parameters() if id(one) not in own]
        betas = (settings["beta1"], settings["beta2"])
        self.adam = torch.optim.AdamW(rest, settings["learning_rate"], betas, weight_decay=settings["weight_decay"])
        self.moments = [torch.zeros(2, *table.weight.shape).double() for table in self.tables]
        self.reads: list[list[Tensor]] = [[] for _ in self.tables]
        self.steps = 0
        for table, reads in zip(self.tables, self.reads, strict=True):
            table.embed = partial(noting, table, table.embed, reads)

    def step(self, inputs: Features, target: Tensor) -> None:
        self.module.zero_grad()
        loss(self.module(inputs).logit, target).backward()
        self.adam.step()
        self.steps += 1
        with torch.no_grad():
            for table, moments, reads in zip(self.tables, self.moments, self.reads, strict=True):
                read = torch.cat(reads).unique()
                reads.clear()
                getattr(self, self.rule)(table.weight, moments, read, table.weight.grad[read])

    def rowwise_adam(self, table: Tensor, moments: Tensor, read: Tensor, gradient: Tensor) -> None:
        rate, decay, beta1, beta2 = list(self.settings.values())[:4]
        moments[0, read] = beta1 * moments[0, read] + (1 - beta1) * gradient
        moments[1, read] = beta2 * moments[1, read] + (1 - beta2) * gradient**2
        mean = moments[0, read] / (1 - beta1**self.steps)
        spread = (moments[1, read] / (1 - beta2**self.steps)).sqrt() + 1e-8
        table[read] -= rate * (decay * table[read] + mean / spread)

    def rowwise_adagrad(self, table: Tensor, moments: Tensor, read: Tensor, gradient: Tensor) -> None:
        rate, decay = self.settings["learning_rate"], self.settings["weight_decay"]
        moments[0, read] += (gradient**2).mean(-1, keepdim=True)
        table[read] -= rate * (decay * table[read] + gradient / (moments[0, read].sqrt() + 1e-8))


def noting(table: FieldEmbedding, embed: Callable[..., Embedded], reads: list[Tensor], features: Features) -> Embedded:
    """Embeds, and notes which rows are read: a ranker may show a table some of its columns only."""
    reads.append((features.categorical + table.offset).flatten())
    return embed(features)


class Plain(Ranker):
    """Counts axes from the front, as nobody forbids: it cannot be called on a stack."""

    class Config(students.DNN.Config):
        """The same settings."""

    def __init__(self, schema: FeatureSchema, config: Config) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(schema, config.embedding)
        self.hidden = nn.Linear(self.embedding.width, config.hidden[0])
        self.dropout = Dropout(config.dropout, salt=0)
        self.head = nn.Linear(config.hidden[0], 1)

    def forward(self, features: Features) -> Prediction:
        fields, numbers = self.embedding.vectors(features)
        hidden = self.dropout(self.hidden(torch.cat([fields.flatten(1), numbers], 1)).tanh())
        return Prediction(self.head(hidden), hidden)


RULES = ("adam", "rowwise_adam", "rowwise_adagrad")
SOME = {("Plain", "rowwise_adam"), ("DNN", "adam"), ("DCNv2", "adam"), ("DeepFM", "rowwise_adam")}
"""What is tried in every run; the rest of every student by every rule where slow tests are asked for."""

EVERY_WAY = [
    *(
        pytest.param(name, True, rule, marks=[] if (name, rule) in SOME else pytest.mark.slow)
        for name, rule in product([*students.__all__, "Plain"], RULES)  # called on the stack; Plain mapped by vmap
    ),
    *(pytest.param("DeepFM", False, rule, marks=pytest.mark.slow) for rule in RULES),  # one member after another
    *(("Plain", False, rule) for rule in RULES[1:]),
]


@pytest.mark.parametrize(("name", "batched", "rule"), EVERY_WAY)
def test_a_fleet_trains_each_member_as_if_alone(name: str, batched: bool, rule: str) -> None:
    """fp64, 50 steps, every setting of its own, members that leave: weights differ by 1e-12 at most."""
    modules = members_of(name, DROPOUT)
    alone = [Solo(copy.deepcopy(one), own, rule) for one, own in zip(modules, SETTINGS, strict=True)]
    fleet = Fleet(modules, batched=batched)
    assert fleet.direct(features(0, MEMBERS)) == (name != "Plain")
    adam = MemberAdam(fleet.parameters(), Rates.of(SETTINGS), fleet.tables(), rule)
    for step in range(STEPS):
        live = MEMBERS if step < 30 else 3
        if live < len(fleet):
            fleet.narrow(live)
            adam.narrow(live)
        clock = torch.tensor([[member, step] for member in range(live)])
        fleet.set_clock(clock)
        adam.zero_grad()
        inputs, targets = features(step, live), labels(step, live)
        loss(fleet(inputs).logit, targets).sum().backward()
        adam.step()
        for member in range(live):
            set_clock(alone[member].module, clock[member])
            alone[member].step(one(inputs, member), targets[member])
    for member in range(3):
        state = fleet.state(member)
        assert state.keys() == alone[member].module.state_dict().keys()
        for key, weight in alone[member].module.named_parameters():
            torch.testing.assert_close(state[key], weight.detach(), rtol=0, atol=1e-12, msg=key)


def set_clock(module: nn.Module, clock: Tensor) -> None:
    for name, buffer in module.named_buffers():
        if name.rpartition(".")[2] == "clock":
            buffer.copy_(clock)


class Mixing(nn.Module):
    """Runs on a stack without complaint, and is wrong there: the second axis from the front is no longer the width."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1, 1))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.gate * inputs.cumsum(1)


def test_a_module_that_would_mix_up_the_stack_is_mapped() -> None:
    """Even if its fresh weights, here zero, hide the mistake."""
    fleet, inputs = Fleet([Mixing() for _ in range(3)]), torch.randn(3, 4, 5)
    assert not fleet.direct(inputs)
    with torch.no_grad():
        next(fleet.parameters()).fill_(1)
    assert torch.equal(fleet(inputs), inputs + inputs.cumsum(2))


def test_a_member_in_single_precision_reaches_the_same_loss() -> None:
    """fp32 is compared by its loss: Adam's sign-like steps blow up rounding in single weights."""
    modules = [module.float() for module in members_of("DCNv2")]
    alone = copy.deepcopy(modules[1])
    fleet = Fleet(modules)
    adam = MemberAdam(fleet.parameters(), Rates.of(SETTINGS), fleet.tables())
    solo = torch.optim.AdamW(alone.parameters(), 1e-3, (0.8, 0.999), weight_decay=0.1)
    for step in range(STEPS):
        inputs, targets = features(step, MEMBERS), labels(step, MEMBERS).float()
        inputs = inputs._replace(numeric=inputs.numeric.float())
        for optimizer in (adam, solo):
            optimizer.zero_grad()
        loss(fleet(inputs).logit, targets).sum().backward()
        loss(alone(one(inputs, 1)).logit, targets[1]).backward()
        adam.step()
        solo.step()
    fresh, target = features(99, MEMBERS), labels(99, MEMBERS).float()
    fresh = fresh._replace(numeric=fresh.numeric.float())
    together = loss(fleet(fresh).logit, target)[1]
    assert together.item() == pytest.approx(loss(alone(one(fresh, 1)).logit, target[1]).item(), rel=1e-3)


def test_a_member_that_turns_nan_changes_no_bit_of_the_others() -> None:
    """It is masked, not repacked."""
    results = []
    for poison in (False, True):
        fleet = Fleet(members_of("DNN"))
        adam = MemberAdam(fleet.parameters(), Rates.of(SETTINGS), fleet.tables())
        for step in range(10):
            inputs = features(step, MEMBERS)
            if poison and step == 4:
                inputs.numeric[2] = float("nan")
            adam.zero_grad()
            costs = loss(fleet(inputs).logit, labels(step, MEMBERS))
            adam.quarantine(costs.detach().isfinite())
            costs.sum().backward()
            adam.step()
        results.append([fleet.state(member) for member in range(MEMBERS)])
    for member in (0, 1, 3, 4):
        assert all(torch.equal(results[0][member][key], results[1][member][key]) for key in results[0][member])
    assert all(tensor.isfinite().all() for tensor in results[1][2].values())


def test_a_member_comes_out_as_the_ordinary_module_it_was() -> None:
    """Same class, same shapes, same scores, and its weights are its own."""
    modules = members_of("DCNv2")
    alone = copy.deepcopy(modules[3])
    fleet = Fleet(modules)
    member, inputs = fleet.member(3), one(features(0, MEMBERS), 3)
    assert type(member) is type(alone)
    assert torch.equal(member(inputs).logit, alone(inputs).logit)
    assert torch.allclose(fleet.alone(3, inputs).logit, alone(inputs).logit, atol=1e-15)
    with torch.no_grad():
        fleet.parameters().__next__().zero_()
    assert torch.equal(member(inputs).logit, alone(inputs).logit)


def test_initial_weights_depend_on_the_seed_and_not_on_the_place() -> None:
    """A taller neighbour or another order changes nothing."""
    config = students.DNN.Config(embedding=4, hidden=(8,))
    first = seeded(lambda place: students.DNN(schema(place), config), [7, 8])
    second = seeded(lambda place: students.DNN(schema(1 - place), config), [8, 7])
    for key, tensor in first[0].state_dict().items():
        assert torch.equal(tensor, second[1].state_dict()[key])
    assert torch.equal(Fleet(first).state(0)["embedding.weight"], Fleet(second).state(1)["embedding.weight"])
