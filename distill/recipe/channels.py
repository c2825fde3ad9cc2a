"""What must hold between what moves from the teacher to the students, and the rest of a recipe."""

from collections.abc import Iterator

from distill.data.settings import DataSettings
from distill.data.tables import by_table
from distill.errors import suggestion
from distill.recipe.finding import Finding
from distill.recipe.moves import SharingChannel
from distill.recipe.sections import CrossFit, Domains, OutsideTeacher, Recipe, TrainedTeacher
from distill.recipe.tree import KeyPath

DISTILL: KeyPath = ("students", "distill")
INPUT: KeyPath = (*DISTILL, "input")
HISTORY: KeyPath = (*DISTILL, "history")
SHARING: KeyPath = (*DISTILL, "sharing")
KNOWN: tuple[KeyPath, ...] = (("data", "features"), ("teacher", "features"))
"""What decides which features a teacher sees."""


def channel_findings(recipe: Recipe) -> Iterator[Finding]:
    """Every relation of a channel that does not hold."""
    yield from _logit(recipe)
    yield from _ranking(recipe)
    yield from _history(recipe)
    if isinstance(recipe.teacher, OutsideTeacher):
        yield from _needs_weights(recipe)
    else:
        yield from _input(recipe)
        yield from _cache(recipe)
    if recipe.domain_start or not isinstance(recipe.teacher, OutsideTeacher):
        yield from _sharing(recipe)
    if recipe.domain_start and recipe.domains is not None:
        yield from _copies(recipe, recipe.domains)


def _logit(recipe: Recipe) -> Iterator[Finding]:
    channel, path = recipe.students.distill.logit, (*DISTILL, "logit")
    if channel.head == "serving" and channel.weight > 1:
        what = f"on the serving head the weight is the teacher's share of the blend, at most 1, not {channel.weight:g}."
        remedy = "Lower it, or use head: auxiliary."
        yield Finding((*path, "weight"), what, remedy, ((*path, "weight"), (*path, "head")))
    if channel.head == "serving" and channel.adapter is not None and channel.adapter.weight is not None:
        place = (*path, "adapter", "weight")
        what = "is that of a second auxiliary head, and there is no first."
        yield Finding(place, what, "Say head: auxiliary, or leave it out.", (place, (*path, "head")))


def _ranking(recipe: Recipe) -> Iterator[Finding]:
    channel, path = recipe.students.distill.ranking, (*DISTILL, "ranking")
    if channel.weight == 0:
        return
    if channel.group is None and recipe.data.user is None:
        what = "which rows are to be compared is open: there is neither data.user nor a group."
        yield Finding(path, what, "Name a column of users or sessions.", (("data", "user"), (*path, "group")))
    if channel.loss == "listwise_softmax" and recipe.students.distill.logit.head == "serving":
        what = "shares of exp(log-odds) pull against calibration, and the serving head would follow."
        remedy = "Use listwise, or logit.head: auxiliary."
        yield Finding((*path, "loss"), what, remedy, ((*path, "loss"), (*DISTILL, "logit", "head")))


def _history(recipe: Recipe) -> Iterator[Finding]:
    """Earlier impressions of a user need both to be known, and vectors with common axes."""
    channel, data, teacher = recipe.students.distill.history, recipe.data, recipe.teacher
    if channel is None:
        return
    for name in _unnamed(data):
        what = f"needs data.{name}: these are the earlier impressions of a user."
        yield Finding(HISTORY, what, "Name the column, or leave it out.", (("data", name),))
    if channel.hours is not None and channel.hours <= channel.age:
        what = f"of {channel.hours:g} hours end before they begin: they lag by {channel.age:g}."
        yield Finding((*HISTORY, "hours"), what, "Raise it, or lower age.", ((*HISTORY, "hours"), (*HISTORY, "age")))
    if data.time is not None and isinstance(teacher, TrainedTeacher) and isinstance(teacher.score, CrossFit):
        what = "teachers of different folds have no common axes, so their vectors have no mean."
        score = ("teacher", "score")
        yield Finding(HISTORY, what, "Score by time_ahead, or leave it out.", (HISTORY, score))


def _needs_weights(recipe: Recipe) -> Iterator[Finding]:
    """A table from outside holds what a teacher said, not the teacher."""
    distill = recipe.students.distill
    channels = {INPUT: distill.input, SHARING: None if recipe.domain_start else distill.sharing}
    for path in (path for path, channel in channels.items() if channel is not None):
        what = "needs the teacher's weights, and a teacher from outside has scores only."
        yield Finding(path, what, "Leave it out, or train a teacher here.", (path, ("teacher",)))


def _input(recipe: Recipe) -> Iterator[Finding]:
    channel, seen = recipe.students.distill.input, _features(recipe, recipe.teacher.features)
    for index, name in enumerate(channel.features if channel else ()):
        place = (*INPUT, "features", index)
        reads = (place, *KNOWN, ("data", "features", name))
        if name not in recipe.data.features:
            yield Finding(place, f'there is no feature "{name}".', suggestion(name, seen), reads)
        elif name not in seen:
            yield Finding(place, f'the teacher does not see "{name}".', suggestion(name, seen), reads)
        elif name in channel.features[:index]:
            yield Finding(place, f'"{name}" is named twice.', "Remove one.")


def _cache(recipe: Recipe) -> Iterator[Finding]:
    """The age of a cached vector needs to be known."""
    channel, data = recipe.students.distill.input, recipe.data
    for name in _unnamed(data) if channel is not None and channel.age > 0 else ():
        what = f"needs data.{name}: the vector is that of a user at an earlier time."
        yield Finding((*INPUT, "age"), what, "Name the column, or leave it out.", (("data", name),))


def _unnamed(data: DataSettings) -> list[str]:
    """Which columns are missing of those that say whose impression a row is, and when it was."""
    return [name for name in ("user", "time") if getattr(data, name) is None]


def _sharing(recipe: Recipe) -> Iterator[Finding]:
    sharing = recipe.students.distill.sharing
    if sharing is None:
        return
    if sharing.source == "domain" or sharing.rank is not None:
        yield from _whole(sharing)
        return
    yield from _tables(sharing)
    features = recipe.data.features
    theirs, ours = (
        by_table({name: features[name] for name in _features(recipe, section.features)})
        for section in (recipe.teacher, recipe.students)
    )
    if not theirs.keys() & ours.keys():
        what = "no embedding table of the students is one of the teacher's."
        remedy = f"Let both see one of: {', '.join(by_table(features))}." if by_table(features) else "Leave it out."
        yield Finding(SHARING, what, remedy, (SHARING, *KNOWN, ("students", "features")))


def _whole(sharing: SharingChannel) -> Iterator[Finding]:
    """What goes with a copy of the domain model; told as one, since what mends one key alone may not suit the next."""
    rank, others = (*SHARING, "rank"), [name for name in ("tables", "pull") if _given(sharing, name)]
    named, reads = " and ".join(others), tuple((*SHARING, name) for name in ("source", *others))
    if sharing.source == "teacher":
        what = "is that of differences from a copy, and of the teacher only embeddings are copied."
        leave = f" and leave {named} out" if others else ""
        yield Finding(rank, what, f"Say source: domain{leave}, or leave it out.", reads)
        return
    if others:
        what = "is for the teacher's embeddings, and these students begin as copies of their domain model."
        freeze = "" if sharing.rank is not None else "; rate: 0 freezes a copy"
        yield Finding((*SHARING, others[0]), what, f"Leave {named} out{freeze}.", reads)
    if sharing.rank is not None and sharing.rate == 0:
        what = "differences from the domain model learn nothing at rate: 0."
        yield Finding(rank, what, "Leave it out, or raise the rate.", ((*SHARING, "rate"),))


def _tables(sharing: SharingChannel) -> Iterator[Finding]:
    """What goes with the teacher's embeddings."""
    if sharing.tables == "frozen" and _given(sharing, "rate"):
        yield Finding((*SHARING, "rate"), "frozen embeddings have no rate.", "Leave it out, or say tables: start.")
    if sharing.tables != "pulled" and _given(sharing, "pull"):
        what = f"embeddings that are {sharing.tables} are not drawn back."
        yield Finding((*SHARING, "pull"), what, "Leave it out, or say tables: pulled.", ((*SHARING, "tables"),))


def _given(sharing: SharingChannel, name: str) -> bool:
    """Whether a key says more than its default: a recipe that is shown in full says that too, and must load again."""
    return getattr(sharing, name) != SharingChannel.model_fields[name].default


def _copies(recipe: Recipe, domains: Domains) -> Iterator[Finding]:
    """A student that begins as a copy of its domain model must be as large as it, and see what it sees."""
    students = recipe.students
    if domains.model is not None and domains.model.shape != students.model.shape:
        what = "students that begin as copies need a domain model of their own class and widths."
        yield Finding(("domains", "model"), what, "Leave it out.", (("students", "model"),))
    if students.distill.input is not None and recipe.source != "teacher":
        what = (
            "domain models that see the teacher's vector, as their copies do, know later labels, so their marks leak."
        )
        path = (*DISTILL, "logit", "source")
        yield Finding(path, what, "Say teacher.", (path, INPUT, SHARING))
    if domains.features and _features(recipe, domains.features) != _features(recipe, students.features):
        what = "students that begin as copies need a domain model that sees the same features."
        yield Finding(("domains", "features"), what, "Leave them out.", (("students", "features"),))


def _features(recipe: Recipe, named: tuple[str, ...] | None) -> list[str]:
    """What somebody sees; every feature where one of the names is wrong, which is told elsewhere."""
    every = list(recipe.data.features)
    return [name for name in every if name in named] if named is not None and set(named) <= set(every) else every
