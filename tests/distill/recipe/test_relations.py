"""What must hold between sections."""

# ruff: noqa: E501 -- a case a line

from collections.abc import Callable

import pytest

from distill.recipe import Recipe, warnings

Loads = Callable[..., Recipe]
Faults = Callable[..., list[str]]

DOMAINS = ["data.domain=domain", "domains={model: {class: toys.Line}}"]

COPIES = ["data.domain=domain", "domains={}", "students.distill.logit.source=teacher"]
"""What students need that begin as copies of their domain model."""

BROKEN = [
    (["data.path="], 'recipe.yaml:2:1: data: the impressions are missing: neither "path" nor "world" is given. Name a file: data.path=FILE.'),
    (["store=s3://bucket/runs"], "is an address, where a folder is needed. Mount it, or name a shared folder."),
    (["data.world.seed=3"], 'data.world: does not go with "path". Keep one; take the other away with null.'),
    (["data.time=", "data.user="], 'recipe.yaml:12:1: teacher: how the teacher scores is open: "score" is missing, and the data name neither time nor user. Add data.time (best) or data.user.'),
    (["data.time=", "teacher.score.kind=time_ahead"], "time_ahead needs data.time. Name the column of times, or score by cross_fit."),
    (["teacher.train.epochs=2"], "time_ahead makes one pass in time order, not 2. Set 1, or score by cross_fit."),
    (["data.time=", "data.split={by: time, valid: 3, test: 4}"], "data.split.by: a split by time needs data.time. Name the column of times."),
    (["data.split={by: time, valid: 3, test: 4, gap: 2d}"], 'data.split.gap: "2d" is no number, as the times are. Write 0 or more.'),
    (["data.split={by: time, valid: 3, test: 4, gap: -1}"], 'data.split.gap: "-1.0" is no number, as the times are. Write 0 or more.'),
    (["data.split={by: time, valid: 2024-02-03, test: 2024-02-04, gap: 3}"], 'data.split.gap: "3.0" is no duration. Write it as 36h or 2d.'),
    (
        ["data.negatives.students=0.5", "data.label={click: label, buy: bought}"],
        "no constant corrects the log-odds of 2 tasks at once. Leave it out, or name one task.",
    ),
    (["data.split={by: time, valid: 4, test: 4}"], "data.split.test: test must begin after valid. valid is 4.0."),
    (["data.split={by: time, valid: 2024-02-03, test: 2024-02-01}"], "data.split.test: test must begin after valid. valid is 2024-02-03."),
    (["data.split={by: time, valid: 2024-02-03, test: 5}"], "data.split.test: valid and test must both be numbers, or both dates."),
    (["data.split={by: time, valid: 2024-02-31, test: 2024-03-01}"], 'data.split.valid: "2024-02-31" is no time. Write a number or a date: 2024-05-31.'),
    (["data.split={by: hash, column: user, valid: 0.5, test: 0.5}"], "valid and test take 1 of the keys; nothing is left to train on. Lower one of them."),
    (["data.features.tags.shares=ctiy"], 'there is no feature "ctiy". Did you mean "city"?'),
    (["data.features.tags.shares=age"], '"age" is numeric, not categorical. Valid: city.'),
    (["data.features.history.columns.seen=ctiy"], 'there is no feature "ctiy". Did you mean "city"?'),
    (["data.features.city={kind: categorical, hash: 9, hide: 0.5}"], "data.features.city.hide: hides ids of a hash, in which none is ever unseen. Leave it out."),
    (["data.features.history.hide={sen: 0.5}"], 'data.features.history.hide.sen: "sen" is no column of this history. Did you mean "seen"?'),
    (["data.features.city={kind: categorical, hash: 9}", "data.features.history.hide={seen: 0.5}"], 'hides ids of "city", which is a hash, in which none is ever unseen. Leave it out.'),
    (["teacher.features=[agee]"], 'teacher.features.0: there is no feature "agee". Did you mean "age"?'),
    (["students.features=[age, cty]"], 'students.features.1: there is no feature "cty". Did you mean "city"?'),
    (["students.features=[age, age]"], 'students.features.1: "age" is named twice. Remove one.'),
    (["data.features.label=numeric"], 'column "label" is the label; a ranker must not see it. Remove this feature.'),
    (["data.label={click: clicked, sale: sold}", "data.features.x={kind: numeric, column: sold}"], 'column "sold" is the label; a ranker must not see it. Remove this feature.'),
    (["data.features.h={kind: sequence, newest: last, columns: {label: city}}"], 'column "label" is the label; a ranker must not see it. Remove this feature.'),
    (["data.features.split=categorical"], 'column "split" is the split; a ranker must not see it. Remove this feature.'),
    (["data.row_id=id", "data.features.id=categorical"], 'column "id" is the row id; a ranker must not see it. Remove this feature.'),
    (["teacher.knowledge=k.parquet"], "a teacher from outside needs data.row_id, by which its scores find their rows. Name the column."),
    (["students.distill.logit.weight=1.5"], "on the serving head the weight is the teacher's share of the blend, at most 1, not 1.5. Lower it, or use head: auxiliary."),
    (["students.distill.input.features=[ctiy]"], 'students.distill.input.features.0: there is no feature "ctiy". Did you mean "city"?'),
    (["teacher.features=[city, history]", "students.distill.input.features=[city, age]"], 'students.distill.input.features.1: the teacher does not see "age". Valid: city, history.'),
    (["teacher.features=[history, city]", "students.distill.input.features=[tags, city]"], 'students.distill.input.features.0: the teacher does not see "tags". Valid: city, history.'),
    (["students.distill.input.features=[age, age]"], 'students.distill.input.features.1: "age" is named twice. Remove one.'),
    (["teacher.features=[agee, city]", "students.distill.input.features=[age]"], 'teacher.features.0: there is no feature "agee". Did you mean "age"?'),
    (["students.distill.input.features=[]"], "expected 1 or more entries, not an empty list."),
    (["students.features=[age]", "students.distill.sharing={}"], "no embedding table of the students is one of the teacher's. Let both see one of: city, history/bought_before."),
    (["teacher.features=[city]", "students.features=[history]", "data.features.history.columns.seen=", "students.distill.sharing={}"], "Let both see one of: city, history/seen, history/bought_before."),
    (["students.distill.fallback.level=1"], "expected a number below 1, not 1."),
    (["students.distill.sharing={tables: frozen, rate: 0.5}"], "students.distill.sharing.rate: frozen embeddings have no rate. Leave it out, or say tables: start."),
    (["students.distill.sharing={pull: 2}"], "students.distill.sharing.pull: embeddings that are start are not drawn back. Leave it out, or say tables: pulled."),
    (["data.user=", "students.distill.input={features: [city], age: 3}"], "students.distill.input.age: needs data.user: the vector is that of a user at an earlier time. Name the column, or leave it out."),
    (["data.user=", "students.distill.history={}"], 'override "students.distill.history={}": needs data.user: these are the earlier impressions of a user. Name the column, or leave it out.'),
    (["students.distill.history={hours: 3, age: 3}"], "students.distill.history.hours: of 3 hours end before they begin: they lag by 3. Raise it, or lower age."),
    (["students.distill.history={}", "teacher.score={kind: cross_fit, by: user}"], 'override "students.distill.history={}": teachers of different folds have no common axes, so their vectors have no mean. Score by time_ahead, or leave it out.'),
    (["students.distill.logit.adapter={weight: 1}"], "adapter.weight: is that of a second auxiliary head, and there is no first. Say head: auxiliary, or leave it out."),
    (["students.distill.logit.loss=sofmax"], 'override "students.distill.logit.loss=sofmax": expected "binary_cross_entropy", not "sofmax".'),
    (["students.distill.logit=null"], 'override "students.distill.logit=null": expected keys and values, not nothing. To switch it off, set its weight to 0.'),
    (["students.distill.sharing={rank: 2}"], "students.distill.sharing.rank: is that of differences from a copy, and of the teacher only embeddings are copied. Say source: domain, or leave it out."),
    (["students.distill.sharing={rank: 2, pull: 2, tables: frozen}"], "students.distill.sharing.rank: is that of differences from a copy, and of the teacher only embeddings are copied. Say source: domain and leave tables and pull out, or leave it out."),
    ([*COPIES, "students.distill.sharing={source: domain, rank: 2, pull: 2, tables: frozen}"], "students.distill.sharing.tables: is for the teacher's embeddings, and these students begin as copies of their domain model. Leave tables and pull out."),
    ([*COPIES, "students.distill.sharing={source: domain, pull: 2}"], "students.distill.sharing.pull: is for the teacher's embeddings, and these students begin as copies of their domain model. Leave pull out; rate: 0 freezes a copy."),
    ([*COPIES, "students.distill.sharing={source: domain, rank: 2, rate: 0}"], "students.distill.sharing.rank: differences from the domain model learn nothing at rate: 0. Leave it out, or raise the rate."),
    (["students.distill.history.length=0"], "expected a number of at least 1, not 0."),
    (["data.user=", "students.distill.ranking.weight=1"], "students.distill.ranking: which rows are to be compared is open: there is neither data.user nor a group. Name a column of users or sessions."),
    (["students.distill.ranking={weight: 1, loss: listwise_softmax}"], "students.distill.ranking.loss: shares of exp(log-odds) pull against calibration, and the serving head would follow. Use listwise, or logit.head: auxiliary."),
    (["students.distill.sharing.rate=-1"], "expected a number of at least 0, not -1."),
    (["students.distill.representation.loss=cosin"], 'Did you mean "cosine"?'),
    (["students.distill.logit.loss=softmax"], "softmax over a single logit is always 1, so its gradient is exactly zero and nothing is learned. Use binary_cross_entropy."),
    (["students.distill.logit.source=domain"], 'override "students.distill.logit.source=domain": "domain" means the models of domains, and the section "domains" is missing. Add it, or say teacher.'),
    ([*DOMAINS, "data.domain="], "which verticals belong together is open: there is neither data.domain nor domains.clusters. Name the column, or how many clusters to find."),
    (
        [*DOMAINS, "data.time=", "teacher.score={kind: cross_fit, by: user}"],
        "needs data.time: a label could reach its own score over the marks of a teacher that was cross-fitted. Name the column of times, or leave the section out.",
    ),
    ([*DOMAINS, "domains.train.epochs=2"], "domain models make one pass in time order, not 2. Set 1."),
    ([*DOMAINS, "domains.features=[agee]"], 'domains.features.0: there is no feature "agee". Did you mean "age"?'),
    ([*DOMAINS, "domains.train.l2=0.1"], "pulls at every embedding, and tables: auto may step only those that were read. Say tables: adam beside it."),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), BROKEN)
def test_a_broken_relation_is_one_message(faults: Faults, overrides: list[str], message: str) -> None:
    [found] = faults(None, *overrides)
    assert found.endswith(message)


def test_they_point_into_the_file(faults: Faults) -> None:
    assert faults({"shares: city": "shares: ctiy", "{epochs: 3}": "{epochs: 3}\n  features: [agee]"}) == [
        'recipe.yaml:10:32: data.features.tags.shares: there is no feature "ctiy". Did you mean "city"?',
        'recipe.yaml:17:14: students.features.0: there is no feature "agee". Did you mean "age"?',
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.path=", "data.world={}"],
        ["data.split={by: hash, column: user_id}", "data.features.user_id=categorical"],
        ["teacher.score.kind=in_sample", "teacher.train.epochs=3"],
        ["data.time=", "teacher.train.epochs=3"],
        ["students.distill.logit={weight: 3, head: auxiliary}"],
        DOMAINS,
        ["domains={model: {class: toys.Line}, clusters: 3}"],
        [*DOMAINS, "students.distill.logit.source=both"],
        [
            "students.distill.input.features=[city, history]",
            "students.distill.sharing={}",
            "students.distill.fallback={}",
        ],
        ["teacher.features=[tags]", "students.features=[city]", "students.distill.sharing.rate=0"],
        ["students.distill.ranking={weight: 1, loss: listwise_softmax}", "students.distill.logit.head=auxiliary"],
        ["data.user=", "students.distill.ranking={weight: 1, group: session}"],
        ["students.distill.sharing={tables: pulled, pull: 2, rate: 0.5}", "students.distill.ranking.loss=pairwise"],
        ["teacher={knowledge: k.parquet}", "data.row_id=id", "students.distill.representation.weight=1"],
        ["data.split={by: time, valid: 2024-02-03, test: 2024-02-04T12:00:00}"],
    ],
)
def test_sound_recipes_pass(sample: Loads, overrides: list[str]) -> None:
    sample(None, *overrides)


@pytest.mark.parametrize(
    ("override", "where", "says"),
    [
        ("data.features.rating=numeric", "data.features.rating", "may be the answer"),
        ("data.features.x={kind: categorical, column: is_conversion}", "data.features.x", "may be the answer"),
        ("data.features.vertical=categorical", "data.features.vertical", "is the vertical"),
    ],
)
def test_features_that_are_often_a_mistake(sample: Loads, override: str, where: str, says: str) -> None:
    sample(None)
    recipe = sample({"rows.parquet": "recipe.yaml"}, override)
    [fault] = warnings(recipe)
    assert fault.where == where
    assert says in fault.what


OUTSIDE = {"model: {class: toys.Tower}": "knowledge: k.parquet", "  user: user_id\n": "  user: user_id\n  row_id: id\n"}


def test_an_outside_teacher_gives_no_weights(faults: Faults) -> None:
    """One message for each channel that would need them; its representations may be matched."""
    channels = {"students.distill.input.features": "[city]", "students.distill.sharing.rate": "0.5"}
    overrides = [f"{key}={value}" for key, value in channels.items()]
    found = faults(OUTSIDE, *overrides, "students.distill.representation.weight=1")
    says = "needs the teacher's weights, and a teacher from outside has scores only. Leave it out, or train a teacher here."
    assert len(found) == 2
    for message, channel in zip(sorted(found), ("input", "sharing"), strict=True):
        assert message.endswith(f"students.distill.{channel}: {says}")


def test_representations_of_several_teachers_are_a_warning(sample: Loads) -> None:
    crossed = ["data.path=", "data.world={}", "teacher.score={kind: cross_fit, by: user_id}"]
    [fault] = warnings(sample(None, *crossed, "students.distill.representation.weight=1"))
    assert (fault.where, "no common axes" in fault.what) == ("students.distill.representation", True)
    assert warnings(sample(None, *crossed)) == []


def test_scores_that_leak_are_a_warning_of_each_teacher(sample: Loads) -> None:
    """Nothing is said of sound ones, nor of a table from outside, of which nobody knows before it is read."""
    sample(None)
    leaky = "{model: {class: toys.Tower}, score: {kind: in_sample}}"
    sound = "{model: {class: toys.Tower}}"
    recipe = sample(
        {"rows.parquet": "recipe.yaml"}, "teacher.score.kind=in_sample", f"teachers={{a: {sound}, b: {leaky}}}"
    )
    found = warnings(recipe)
    assert [fault.where for fault in found] == ["teacher.score.kind", "teachers.b.score.kind"]
    assert all("leak their labels" in fault.what for fault in found)


@pytest.mark.parametrize(
    ("overrides", "idle"),
    [
        (["students.distill.logit.adapter={}"], ["logit.adapter"]),
        (
            ["teacher.seeds=2", "students.distill.logit={certainty: 1, combine: {gate: true}}"],
            ["logit.certainty", "logit.combine"],
        ),
        (["students.distill.schedule.decay=linear"], ["schedule"]),
        (["students.distill.schedule.decay=linear", "students.distill.representation.weight=1"], []),
        (
            [
                "students.distill.schedule.decay=linear",
                "students.distill.logit.adapter={}",
                "students.distill.ranking.weight=1",
            ],
            [],
        ),
        (["students.distill.logit={head: auxiliary, adapter: {weight: 1}}"], []),
        ([], []),
    ],
)
def test_what_refines_or_paces_marks_of_no_weight_is_a_warning(
    sample: Loads, overrides: list[str], idle: list[str]
) -> None:
    """No fault: sweeps switch marks off by their weight. The order within a user, and a second head, hear them too."""
    sample(None)
    here = {"rows.parquet": "recipe.yaml"}
    assert warnings(sample(here, *overrides)) == []
    found = warnings(sample(here, *overrides, "students.distill.logit.weight=0"))
    assert [fault.where for fault in found] == [f"students.distill.{name}" for name in idle]


def test_no_warning_without_a_reason(sample: Loads) -> None:
    recipe = sample({"rows.parquet": "recipe.yaml"}, "data.features.item_clicks_1h=numeric")
    assert warnings(recipe) == []


def test_a_path_to_nothing_is_a_warning(sample: Loads) -> None:
    [fault] = warnings(sample())
    assert fault.where == "data.path"


def test_domain_models_without_a_listener_are_a_warning(sample: Loads) -> None:
    sample(None)
    recipe = sample({"rows.parquet": "recipe.yaml"}, *DOMAINS, "students.distill.logit.source=teacher")
    [fault] = warnings(recipe)
    assert (fault.where, "no student learns" in fault.what) == ("domains", True)


def test_the_source_is_filled_in(sample: Loads) -> None:
    assert sample().students.distill.logit.source == "teacher"
    assert sample(None, *DOMAINS).students.distill.logit.source == "domain"
