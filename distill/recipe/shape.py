"""What may stand where in a recipe, read from the sections' own annotations."""

from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Discriminator, Tag

from distill.errors import RecipeError
from distill.ranker import resolve
from distill.recipe.sections import Model


def peel(annotation: Any) -> tuple[Any, Discriminator | None]:
    """The type behind `Annotated` and `| None`, and what tells its variants apart."""
    discriminator = None
    while True:
        if get_origin(annotation) is Annotated:
            discriminator = next((m for m in annotation.__metadata__ if isinstance(m, Discriminator)), discriminator)
            annotation = annotation.__origin__
            continue
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        if get_origin(annotation) not in (Union, UnionType) or len(kinds) != 1:
            return annotation, discriminator
        annotation = kinds[0]


def is_section(annotation: Any) -> bool:
    """Whether a section with keys of its own stands there, whichever variant."""
    kind, discriminator = peel(annotation)
    return discriminator is not None or (isinstance(kind, type) and issubclass(kind, BaseModel))


@cache
def hints(model: type[BaseModel]) -> dict[str, Any]:
    """Key as written in a recipe -> annotation."""
    types = get_type_hints(model, include_extras=True)
    return {field.alias or name: types[name] for name, field in model.model_fields.items()}


def variants(annotation: Any) -> dict[str, type[BaseModel]]:
    """Tag -> section, where a key or the keys decide which section it is; else nothing."""
    kind, discriminator = peel(annotation)
    if discriminator is None:
        return {}
    return {_tag(variant, discriminator): peel(variant)[0] for variant in get_args(kind)}


def _tag(variant: Any, discriminator: Discriminator) -> str:
    if isinstance(discriminator.discriminator, str):
        return get_args(hints(variant)[discriminator.discriminator])[0]
    return next(mark.tag for mark in variant.__metadata__ if isinstance(mark, Tag))


def tag_key(annotation: Any) -> str | None:
    """The key whose value decides what the other keys may be: `kind`, `by`, `class`; or None."""
    kind, discriminator = peel(annotation)
    if kind is Model:
        return "class"
    return discriminator.discriminator if discriminator and isinstance(discriminator.discriminator, str) else None


def tag(annotation: Any, value: Any) -> str | None:
    """Which variant a map is; None where it does not say, or there are none."""
    key, (_, discriminator) = tag_key(annotation), peel(annotation)
    if not isinstance(value, dict):
        return None
    if key is not None:
        return value[key] if isinstance(value.get(key), str) else None
    return discriminator.discriminator(value) if discriminator else None


def said(annotation: Any, value: Any) -> str | None:
    """Which variant a part of a map is, if it has a key that this variant must have; else None."""
    found, model = tag(annotation, value), section(annotation, value)
    if tag_key(annotation) is not None or model is None:
        return found
    needed = {field.alias or name for name, field in model.model_fields.items() if field.is_required()}
    return found if needed & value.keys() else None


def section(annotation: Any, value: Any) -> type[BaseModel] | None:
    """The section that checks a map; None for free maps, for plain values, and where the tag is unknown."""
    kind, discriminator = peel(annotation)
    if discriminator is not None:
        return variants(annotation).get(tag(annotation, value) or "")
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def keys(annotation: Any, value: Any) -> dict[str, Any]:
    """Key -> annotation, for the keys that a map may have; for a free map, for those it has."""
    kind, _ = peel(annotation)
    if get_origin(kind) is dict and isinstance(value, dict):
        return dict.fromkeys(value, get_args(kind)[1])
    model = section(annotation, value)
    if model is Model:
        configs = _config(tag(annotation, value))
        return hints(Model) | {key: hint for config in configs for key, hint in hints(config).items()}
    return hints(model) if model else {}


def optional(annotation: Any, value: Any) -> set[str]:
    """The keys that a map may leave out."""
    model = section(annotation, value)
    models = [model, *_config(tag(annotation, value))] if model is Model else [model] if model else []
    fields = [(field.alias or name, field) for model in models for name, field in model.model_fields.items()]
    return {key for key, field in fields if not field.is_required()}


def _config(path: str | None) -> list[type[BaseModel]]:
    """The `Config` of a ranker; none where the class path leads nowhere."""
    try:
        return [resolve(path).Config] if path else []
    except (RecipeError, ImportError):
        return []


def all_keys(annotation: Any) -> set[str]:
    """The keys of every variant together."""
    kind, _ = peel(annotation)
    models = variants(annotation).values() or ([kind] if is_section(annotation) else [])
    return {key for model in models for key in hints(model)}


def below(annotation: Any, value: Any, path: tuple[str | int, ...]) -> Any:
    """The annotation at the end of a path into a map; None where it leads out of the recipe."""
    for key in path:
        if isinstance(value, list):
            kind, value = peel(annotation)[0], value[key] if isinstance(key, int) and key < len(value) else None
            annotation = next(iter(get_args(kind)), None)
        else:
            annotation = keys(annotation, value).get(str(key))
            value = value.get(key) if isinstance(value, dict) else None
    return annotation


def paths(annotation: Any) -> Iterator[tuple[str, ...]]:
    """Every key path that a recipe knows, `*` for free names; without the rankers' own settings."""
    kind, _ = peel(annotation)
    if get_origin(kind) is dict:
        yield from (("*", *rest) for rest in paths(get_args(kind)[1]))
    for model in variants(annotation).values() or ([kind] if is_section(annotation) else []):
        for key, inner in hints(model).items():
            yield (key,)
            yield from ((key, *rest) for rest in paths(inner))


def stand_in(annotation: Any) -> Any:
    """A value that fits, so that a check can go on after a fault."""
    kind, _ = peel(annotation)
    if is_section(annotation):
        model = next(iter(variants(annotation).values()), kind)
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        needed = {
            key: hint for key, hint in hints(model).items() if fields[key].is_required() or key == tag_key(annotation)
        }
        return {key: stand_in(hint) for key, hint in needed.items()}
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) is dict:
        return {"x": stand_in(get_args(kind)[1])}
    simple = {bool: True, int: 1, float: 1.0}
    return [] if get_origin(kind) in (tuple, list) else simple.get(kind, "x")
