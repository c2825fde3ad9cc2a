"""Small runs whose leaderboard can be made by hand."""

import numpy as np

from distill.report import Entry, Outcomes, Results


def outcomes(
    rows: int = 400, seed: int = 0, rate: float = -1.0, users: int = 200, covered: bool = True, tasks: int = 1
) -> Outcomes:
    """Test rows of one vertical, with a teacher who is nearly right."""
    draw = np.random.default_rng(seed)
    truth = rate + draw.normal(size=(rows, tasks))
    return Outcomes(
        label=(draw.random((rows, tasks)) < 1 / (1 + np.exp(-truth))).astype(np.float32),
        valid=np.ones((rows, tasks), dtype=bool),
        weight=np.ones(rows),
        cluster=draw.integers(0, users, rows),
        teacher=(truth + 0.05 * draw.normal(size=(rows, tasks))).astype(np.float32),
        covered=np.full(rows, covered),
    )


def entry(vertical: str, scored: Outcomes, noise: float | None, control: bool = False, seed: int = 0) -> Entry:
    """A student whose log-odds are those of the teacher with `noise`; None is one that failed."""
    arm = "control" if control else "distilled"
    draw = np.random.default_rng([seed, len(arm), *vertical.encode()])
    return Entry(
        member=f"{vertical}/{arm}/{seed}",
        vertical=vertical,
        domain="travel",
        arm=arm,
        control=None if control else f"{vertical}/control/{seed}",
        seed=seed,
        settings={"weight": 0.5, "passes": 3 if control else 2},
        architecture="students.DNN",
        teacher="teachers.History",
        knowledge_kind="time_ahead",
        rows_train=8 * len(scored.label),
        logit=None if noise is None else (scored.teacher + noise * draw.normal(size=scored.label.shape)).astype("f4"),
        reason="the loss was not finite in pass 2" if noise is None else "",
    )


def run(worlds: dict[str, Outcomes], noises: dict[str, tuple[float | None, float | None]], seeds: int = 1) -> Results:
    """A run with a student (noise first) and a control (noise second) of each vertical and seed."""
    return Results(
        recipe="sample",
        fingerprint="0123",
        seconds={"teacher": 1.5},
        tasks=("click", "conversion")[: next(iter(worlds.values())).label.shape[1]],
        outcomes=worlds,
        entries=[
            entry(vertical, worlds[vertical], noise, control, seed)
            for vertical, pair in noises.items()
            for seed in range(seeds)
            for control, noise in zip((False, True), pair, strict=True)
        ],
    )
