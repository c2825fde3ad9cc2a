"""The JSON Schema of recipes, for editors that complete and check them while they are written."""

import copy
from typing import Any

from distill.ranker import resolve
from distill.recipe.combining import EXTENDS
from distill.recipe.naming import rankers
from distill.recipe.sections import Model, Recipe

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> Schema:
    """The JSON Schema of a recipe file.

    A recipe that extends another may leave out what the other gives, in every section. A model's keys are those of its
    class. `age: numeric` is allowed for `age: {kind: numeric}`.
    """
    whole = Recipe.model_json_schema(by_alias=True)
    definitions = whole.pop("$defs")
    definitions[Model.__name__] = _model(definitions)
    features = definitions["DataSettings"]["properties"]["features"]
    features["additionalProperties"] = _with_shorthand(features["additionalProperties"], definitions)
    whole["properties"] = {EXTENDS: _extends(), **whole["properties"]}
    definitions |= {"Recipe": whole} | {f"Partial{name}": _partial(part) for name, part in definitions.items()}
    definitions["PartialRecipe"] = _partial(whole)
    return {
        "$schema": DIALECT,
        "title": whole["title"],
        "if": {"required": [EXTENDS]},
        "then": {"$ref": "#/$defs/PartialRecipe"},
        "else": {"$ref": "#/$defs/Recipe"},
        "$defs": definitions,
    }


def _extends() -> Schema:
    return {"type": "string", "description": "Another recipe to start from, relative to this file."}


def _model(definitions: dict[str, Schema]) -> Schema:
    """A ranker's keys by its class; definitions that a `Config` needs are added to the others."""
    kinds = []
    for path in rankers():
        config = resolve(path).Config.model_json_schema(by_alias=True)
        definitions |= config.pop("$defs", {})
        named = {"const": path, "description": (resolve(path).__doc__ or "").split("\n")[0]}
        required = ["class", *config.get("required", [])]
        kinds.append(
            config | {"title": path, "properties": {"class": named, **config["properties"]}, "required": required}
        )
    return {"description": Model.__doc__, "oneOf": kinds}


def _with_shorthand(feature: Schema, definitions: dict[str, Schema]) -> Schema:
    """A feature, or the kind alone where that kind needs nothing else."""
    mapping = feature["discriminator"]["mapping"]
    alone = [kind for kind, ref in mapping.items() if not definitions[ref.rpartition("/")[2]].get("required")]
    return {"anyOf": [{"enum": alone, "description": "Short for {kind: ...}."}, feature]}


def _partial(part: Any) -> Any:
    """The same with nothing required, for a recipe that extends another."""
    if isinstance(part, list):
        return [_partial(item) for item in part]
    if not isinstance(part, dict):
        return part
    same = {key: _partial(value) for key, value in part.items() if key not in ("required", "discriminator")}
    if isinstance(same.get("$ref"), str):
        same["$ref"] = same["$ref"].replace("#/$defs/", "#/$defs/Partial")
    if "oneOf" in same:
        same["anyOf"] = same.pop("oneOf")
    return copy.deepcopy(same)
