"""The optimizer of a stack of members: each one stepped as if alone, tables by the rows that were read."""

from distill.optimizer.adam import MemberAdam
from distill.optimizer.rates import Rates
from distill.optimizer.stack_adam import StackAdam
from distill.optimizer.tables import Tables, table_rule

__all__ = ["MemberAdam", "Rates", "StackAdam", "Tables", "table_rule"]
