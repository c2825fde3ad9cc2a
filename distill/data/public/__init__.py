"""Public sets of impressions that users know: from the files as published to our format."""

from distill.data.public.aliccp import ALI_CCP
from distill.data.public.amazon import AMAZON
from distill.data.public.avazu import AVAZU
from distill.data.public.criteo import CRITEO
from distill.data.public.frappe import FRAPPE
from distill.data.public.kuairand import KUAIRAND
from distill.data.public.movielens import MOVIELENS
from distill.data.public.openbandit import OPEN_BANDIT
from distill.data.public.publicset import PublicSet
from distill.data.public.taobao import TAOBAO

__all__ = [
    "ALI_CCP",
    "AMAZON",
    "AVAZU",
    "CRITEO",
    "FRAPPE",
    "KUAIRAND",
    "MOVIELENS",
    "OPEN_BANDIT",
    "TAOBAO",
    "PublicSet",
]
