"""A recipe as text with every default filled in."""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from distill.recipe.loading import complete
from distill.recipe.sections import Recipe


def show(recipe: Recipe) -> str:
    """The recipe as YAML with every default filled in; loading it gives an equal recipe."""
    return written(complete(recipe))


def written(tree: dict[str, Any]) -> str:
    """Sections of a recipe as YAML."""
    yaml, text = YAML(), io.StringIO()
    yaml.width = 120
    yaml.representer.add_representer(type(None), _null)
    yaml.dump(_laid_out(tree), text)
    return text.getvalue()


def _null(representer: Any, _value: None) -> Any:
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _laid_out(value: Any) -> Any:
    """The same, with lists of numbers and plain names on one line; other text is only safe on lines of its own."""
    if isinstance(value, dict):
        return {key: _laid_out(below) for key, below in value.items()}
    if not isinstance(value, list):
        return value
    row = CommentedSeq(map(_laid_out, value))
    if all(re.fullmatch(r"\w[\w.-]*", str(item)) for item in value):
        row.fa.set_flow_style()
    return row
