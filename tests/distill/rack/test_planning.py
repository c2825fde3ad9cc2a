"""The plan of a recipe's teacher: every size, as large as asked for."""

import json

import pytest

from distill.errors import RecipeError
from distill.rack import Rack, rack_plan
from distill.recipe import load
