"""The optimizer of a stack against torch's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from distill.layers import lookup
from distill.optimizer import MemberAdam, Rates, StackAdam, table_rule
from distill.optimizer.tables import _Merge

MEMBERS, HEIGHT, WIDTH, STEPS = 3, 7, 2, 20


def settings(**changes: float) -> list[dict[str, float]]:
    plain = {"learning_rate": 1e-2, "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "l2": 0.0}
    return [plain | changes | {"learning_rate": 1e-2 * (1 + member)} for member in range(MEMBERS)]


def stack(seed: int = 0) -> nn.Parameter:
    generator = torch.Generator().manual_seed(seed)
    return nn.Parameter(torch.randn(MEMBERS, HEIGHT, WIDTH, generator=generator, dtype=torch.float64))


def cost(table: Tensor, ids: Tensor, sparse: bool) -> Tensor:
    return (lookup(table, ids, sparse=sparse)[0] - 1).square().sum()


def reads(step: int, high: int = HEIGHT) -> Tensor:
    return torch.randint(high, (MEMBERS, 9), generator=torch.Generator().manual_seed(step))


def ours(rule: str, own: list[dict[str, float]], ids: list[Tensor]) -> Tensor:
    table = stack()
    adam = MemberAdam([table], Rates.of(own), [table], rule)
    for step in ids:
        adam.zero_grad()
        cost(table, step, sparse=True).backward()
        adam.step()
    return table.detach()


def theirs(make, own: list[dict[str, float]], ids: list[Tensor], sparse: bool = False) -> Tensor:
    tables = [nn.Parameter(one.clone()) for one in stack().detach()]
    for member, table in enumerate(tables):
        optimizer = make([table], own[member])
        for step in ids:
            optimizer.zero_grad()
            cost(table, step[member], sparse).backward()
            optimizer.step()
    return torch.stack(tables).detach()


def test_a_whole_table_is_stepped_as_by_adam_with_l2() -> None:
    """L2 pulls at every row, read or not: torch's Adam calls it weight decay."""
    ids = [reads(step, high=4) for step in range(STEPS)]
    make = lambda own, one: torch.optim.Adam(own, one["learning_rate"], weight_decay=one["l2"])  # noqa: E731
    own = settings(l2=0.1)
    found = ours("adam", own, ids)
    assert torch.allclose(found, theirs(make, own, ids), atol=1e-12)
    assert not torch.allclose(found[:, 4:], stack()[:, 4:])


def test_both_kinds_of_decay_at_once() -> None:
    """Decoupled decay is taken off first, at the learning rate; then comes Adam with L2."""
    ids = [reads(step) for step in range(STEPS)]

    class Both(torch.optim.Adam):
        def step(self) -> None:
            with torch.no_grad():
                for group in self.param_groups:
                    group["params"][0].mul_(1 - group["lr"] * 0.5)
            super().step()

    own = settings(l2=0.1, weight_decay=0.5)
    make = lambda table, one: Both(table, one["learning_rate"], weight_decay=one["l2"])  # noqa: E731
    assert torch.allclose(ours("adam", own, ids), theirs(make, own, ids), atol=1e-12)


def test_row_by_row_is_adam_where_every_row_is_read() -> None:
    """Weight decay included."""
    every = torch.arange(HEIGHT).repeat(MEMBERS, 2)
    ids = [every[:, torch.randperm(2 * HEIGHT)] for _ in range(STEPS)]
    own = settings(weight_decay=0.1)
    make = lambda table, one: torch.optim.AdamW(table, one["learning_rate"], weight_decay=0.1)  # noqa: E731
    assert torch.allclose(ours("rowwise_adam", own, ids), theirs(make, own, ids), atol=1e-12)


def test_row_by_row_is_sparse_adam() -> None:
    """As torch's SparseAdam does it, but for where epsilon stands."""
    ids = [reads(step) for step in range(STEPS)]
    make = lambda table, one: torch.optim.SparseAdam(table, one["learning_rate"])  # noqa: E731
    found = ours("rowwise_adam", settings(), ids)
    assert torch.allclose(found, theirs(make, settings(), ids, sparse=True), atol=1e-6)


@pytest.mark.parametrize("rule", ["rowwise_adam", "rowwise_adagrad"])
def test_what_is_not_read_keeps_still(rule: str) -> None:
    """To the bit, whatever decays."""
    ids = [reads(step, high=4) for step in range(STEPS)]
    found = ours(rule, settings(weight_decay=0.1), ids)
    assert torch.equal(found[:, 4:], stack().detach()[:, 4:])
    assert not torch.equal(found[:, :4], stack().detach()[:, :4])


@given(st.lists(st.integers(0, 9), max_size=30))
def test_gradients_of_equal_rows_are_added_up(ids: list[int]) -> None:
    """As by sorting, without sorting."""
    gradient = torch.randn(len(ids), 3, dtype=torch.float64)
    rows, merged = _Merge(torch.zeros(1, 10, 3))(torch.tensor(ids, dtype=torch.int64), gradient)
    whole = torch.zeros(10, 3, dtype=torch.float64).index_put_((torch.tensor(ids).long(),), gradient, accumulate=True)
    assert sorted(rows.tolist()) == sorted(set(ids))
    assert torch.allclose(whole[rows], merged)


def test_a_table_read_twice_in_one_step_counts_both() -> None:
    """Two reads leave one member's entries in two places of the gradient."""
    first, second = reads(0), reads(1)
    results = []
    for apart in (True, False):
        table = stack()
        adam = MemberAdam([table], Rates.of(settings()), [table], "rowwise_adam")
        if apart:
            (cost(table, first, sparse=True) + cost(table, second, sparse=True)).backward()
        else:
            cost(table, torch.cat([first, second], 1), sparse=True).backward()
        adam.step()
        results.append(table.detach())
    assert torch.allclose(*results, atol=1e-12)


def test_the_rule_is_the_faster_one() -> None:
    """A table that is mostly read is stepped as a whole."""
    assert table_rule(height=12_000, reads=128 * 12) == "adam"
    assert table_rule(height=1_000_000, reads=128 * 12) == "rowwise_adam"


@pytest.mark.parametrize("rule", ["adam", "rowwise_adam", "rowwise_adagrad"])
def test_a_stack_stepped_as_a_whole_goes_where_its_members_go(rule: str) -> None:
    """With every setting different, one member failed with a NaN, and one gone from the stack half way."""
    own = [
        one
        | {"weight_decay": 0.1 * member, "beta1": 0.9 - 0.1 * member, "l2": 0.01 * (rule == "adam")}
        | {"table_pull": 3.0 * member}
        for member, one in enumerate(settings())
    ]
    found = []
    for kind in (MemberAdam, StackAdam):
        table, dense = stack(), nn.Parameter(torch.linspace(-1, 1, MEMBERS * WIDTH).double().view(MEMBERS, WIDTH))
        adam = kind([table, dense], Rates.of(own), [table], rule)
        adam.scale = [1.0, 0.5, 0.25]
        for step in range(STEPS):
            if step == STEPS // 2:
                table.data, dense.data = table.data[:2], dense.data[:2]
                table.grad = dense.grad = None
                adam.narrow(2)
            adam.zero_grad()
            live = len(table)
            total = cost(table, reads(step)[:live], sparse=True) + (dense - 2).square().sum()
            total.backward()
            del total  # It knows the tables as they were.
            if step == 3:
                dense.grad[1] = torch.nan
                table.grad._values().view(live, -1)[1] = torch.nan  # as its loss is from then on
                adam.quarantine(torch.tensor([True, False, True]))
            adam.step()
        found.append(torch.cat([table.detach().flatten(), dense.detach().flatten()]))
    assert found[0].isfinite().all()
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-13)


def stepped(kind: type[MemberAdam], rule: str, own: list[dict[str, float]]) -> tuple[Tensor, Tensor]:
    table, dense = stack(), nn.Parameter(torch.linspace(-1, 1, MEMBERS * WIDTH).double().view(MEMBERS, WIDTH))
    adam = kind([table, dense], Rates.of(own), [table], rule)
    for step in range(STEPS):
        adam.zero_grad()
        (cost(table, reads(step), sparse=True) + (dense - 2).square().sum()).backward()
        adam.step()
    return table.detach(), dense.detach()


@pytest.mark.parametrize("rule", ["adam", "rowwise_adam", "rowwise_adagrad"])
@pytest.mark.parametrize("kind", [MemberAdam, StackAdam])
def test_tables_learn_at_a_rate_of_their_own(kind: type[MemberAdam], rule: str) -> None:
    """None at all keeps every bit, whatever decays; half is what half the learning rate does; the rest goes on."""
    plain = settings(weight_decay=0.1, l2=0.01 * (rule == "adam"))
    paces = (0.0, 0.5, 1.0)
    table, dense = stepped(kind, rule, [one | {"table_rate": pace} for one, pace in zip(plain, paces, strict=True)])
    slower = [
        one | {"learning_rate": one["learning_rate"] * max(pace, 1e-9)} for one, pace in zip(plain, paces, strict=True)
    ]
    assert torch.equal(table[0], stack()[0])
    assert torch.allclose(table[1:], stepped(kind, rule, slower)[0][1:], rtol=0, atol=1e-12)
    assert torch.equal(dense, stepped(kind, rule, plain)[1])


@pytest.mark.parametrize("kind", [MemberAdam, StackAdam])
@pytest.mark.parametrize("longest", [0.5, 1e6])
def test_a_long_gradient_is_shortened_as_by_torch(kind: type[MemberAdam], longest: float) -> None:
    """Of all weights of a member together, a table's equal reads added up; the steps show it, since Adam's second step
    depends on how long the first gradient was."""
    own, bend = settings(), torch.linspace(-1, 1, MEMBERS * WIDTH, dtype=torch.float64).view(MEMBERS, 1, WIDTH)
    table, dense = stack(), nn.Parameter(bend.clone())
    adam = kind([table, dense], Rates.of(own), [table], "adam", longest)
    for step in range(3):
        adam.zero_grad()
        ((lookup(table, reads(step), sparse=True)[0] * dense) * (1 + step)).square().sum().backward()
        adam.step()
    for member in range(MEMBERS):
        rows, vector = nn.Parameter(stack().detach()[member]), nn.Parameter(bend[member].clone())
        every = torch.optim.Adam([rows, vector], own[member]["learning_rate"])
        for step in range(3):
            every.zero_grad()
            ids = reads(step)[member]
            ((lookup(rows, ids)[0] * vector) * (1 + step)).square().sum().backward()
            torch.nn.utils.clip_grad_norm_([rows, vector], longest)
            every.step()
        assert torch.allclose(dense[member], vector, atol=1e-9)
        assert torch.allclose(table[member], rows, atol=1e-9)


@pytest.mark.parametrize("rule", ["adam", "rowwise_adam", "rowwise_adagrad"])
@pytest.mark.parametrize("kind", [MemberAdam, StackAdam])
def test_tables_are_drawn_back_to_where_they_began(kind: type[MemberAdam], rule: str) -> None:
    """As weight decay draws to zero: a table that begins at c and is drawn there goes, moved by -c, where one that
    begins at 0 goes under decay. A member that is not drawn goes where it goes without, and so do dense weights."""
    away = torch.linspace(-2, 2, WIDTH).double()

    def gone(own: list[dict[str, float]], start: Tensor) -> Tensor:
        table = nn.Parameter(start.expand(MEMBERS, HEIGHT, WIDTH).clone())
        adam = kind([table], Rates.of(own), [table], rule)
        for step in range(STEPS):
            adam.zero_grad()
            (lookup(table, reads(step), sparse=True)[0] - start - 1).square().sum().backward()
            adam.step()
        return table.detach() - start

    drawn = [one | {"table_pull": pull} for one, pull in zip(settings(), (0.0, 1.0, 4.0), strict=True)]
    decays = [one | {"weight_decay": pull} for one, pull in zip(settings(), (0.0, 1.0, 4.0), strict=True)]
    found = gone(drawn, away)
    torch.testing.assert_close(found, gone(decays, torch.zeros(WIDTH).double()), rtol=0, atol=1e-10)
    torch.testing.assert_close(found[0], gone(settings(), away)[0], rtol=0, atol=1e-12)
    assert found[2].abs().sum() < found[1].abs().sum()
    assert torch.equal(stepped(kind, rule, drawn)[1], stepped(kind, rule, settings())[1])
