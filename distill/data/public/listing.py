"""The public sets that we know, by name."""

from distill.data.public.aliccp import ALI_CCP
from distill.data.public.amazon import AMAZON
from distill.data.public.avazu import AVAZU
from distill.data.public.criteo import CRITEO
from distill.data.public.frappe import FRAPPE
from distill.data.public.kuairand import KUAIRAND
from distill.data.public.movielens import MOVIELENS
from distill.data.public.openbandit import OPEN_BANDIT
from distill.data.public.taobao import TAOBAO

SETS = {one.name: one for one in (CRITEO, AVAZU, ALI_CCP, TAOBAO, KUAIRAND, MOVIELENS, AMAZON, FRAPPE, OPEN_BANDIT)}
"""The sets by the names under which the command line knows them."""
