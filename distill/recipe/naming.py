"""What to say of a name that means nothing where it stands, and which name was probably meant."""

from typing import Any, NamedTuple

from distill.errors import RecipeError, nearest, suggestion
from distill.ranker import available, packages, resolve
from distill.recipe import shape
from distill.recipe.combining import EXTENDS
from distill.recipe.sections import Recipe
from distill.recipe.tree import KeyPath


class Naming(NamedTuple):
    """What is wrong with a name, what to do, and the name that was probably meant."""

    what: str
    remedy: str
    meant: str | None = None


def wrong_key(annotation: Any, value: dict[str, Any], key: str, path: KeyPath) -> Naming:
    """Of a key that a section does not have; `annotation` and `value` are the section's, `path` leads to the key."""
    valid = list(shape.keys(annotation, value))
    every = shape.all_keys(annotation)
    if key == EXTENDS and annotation is Recipe:
        return Naming("stands in a file, not in an override.", "")
    if key in every and not nearest(key, _absent(valid, value)):
        return Naming(*_other_variant(annotation, value, key))
    free = sorted((every or set(valid)) - set(value)) if shape.tag_key(annotation) is None else _absent(valid, value)
    meant = nearest(key, free) or nearest(key, valid)
    if meant:
        return Naming("unknown key.", f'Did you mean "{meant}"?', meant)
    elsewhere = _elsewhere(key, tuple(map(str, path[:-1])))
    if elsewhere:
        return Naming("unknown key.", f'Did you mean "{elsewhere}"?')
    return Naming("unknown key.", suggestion(key, [*valid, EXTENDS] if annotation is Recipe else valid))


def wrong_tag(annotation: Any, found: Any) -> Naming:
    """Of a `kind` (or `by`) that a section does not know."""
    valid = list(shape.variants(annotation))
    meant = nearest(str(found), valid)
    return Naming(f'"{found}" is none of {", ".join(valid)}.', f'Did you mean "{meant}"?' if meant else "", meant)


def wrong_class(path: str) -> Naming | None:
    """Of a class path that leads to no ranker; None where it leads to one."""
    try:
        resolve(path)
    except RecipeError as error:
        meant = _nearest_class(path)
        return Naming(error.faults[0].what, f'Did you mean "{meant}"?' if meant else suggestion("", rankers()), meant)
    except ImportError as error:
        return Naming(f'"{path}" cannot be imported: {error}.', "Mend its package, or name another class.")
    return None


def rankers() -> list[str]:
    """Class paths of every ranker that a recipe may name."""
    return [path for package in packages() for path in available(package)]


def _nearest_class(path: str) -> str | None:
    """The ranker whose class is called most like it, in the same package if there is one."""
    package, _, name = path.rpartition(".")
    there_last = sorted(rankers(), key=lambda valid: valid.startswith(f"{package.lower()}."))
    by_name = {valid.rpartition(".")[2]: valid for valid in there_last}
    meant = nearest(name, by_name)
    return by_name[meant] if meant else None


def _absent(valid: list[str], value: dict[str, Any]) -> list[str]:
    return [key for key in valid if key not in value]


def _other_variant(annotation: Any, value: dict[str, Any], key: str) -> tuple[str, str]:
    """Of a key that belongs to a section of another kind than this one."""
    tag_key, own = shape.tag_key(annotation), shape.keys(annotation, value)
    owners = [name for name, model in shape.variants(annotation).items() if key in shape.hints(model)]
    if tag_key:
        return f'does not go with "{tag_key}: {value[tag_key]}".', f'It belongs to "{tag_key}: {" or ".join(owners)}".'
    beside = next(name for name in own if name in value)
    return f'does not go with "{beside}".', "Keep one of the two."


def _elsewhere(key: str, section: tuple[str, ...]) -> str | None:
    """The key path where a key belongs that stands in the wrong section; None where there are several, or none."""
    homes = sorted({path for path in shape.paths(Recipe) if path[-1] == key and "*" not in path})
    near = [path for path in homes if path[: len(section)] == section] or homes
    return ".".join(near[0]) if len(near) == 1 else None
