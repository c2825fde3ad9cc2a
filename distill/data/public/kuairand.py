"""KuaiRand (Kuaishou, 2022): short videos in fifteen tabs, some of them shown at random; 1K, 27K or Pure."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from distill.data.public.lines import NUMBER, WHOLE, Lines
from distill.data.public.publicset import PublicSet

LOG = ("user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_rand", "tab")
VIDEO = ["author_id", "video_type", "upload_type", "music_id", "tag"]
USER = ["user_active_degree", "follow_user_num_range", "fans_user_num_range", "friend_user_num_range"]
USER += ["register_days_range", *(f"onehot_feat{number}" for number in range(18))]


def _read(files: Mapping[str, list[Path]]) -> pl.LazyFrame:
    users = pl.scan_csv(files["user_features*.csv"], infer_schema_length=None).select("user_id", *USER)
    videos = pl.scan_csv(files["video_features_basic*.csv"], infer_schema_length=None)
    return (
        pl.scan_csv(files["log_*.csv"], infer_schema_length=None)
        .select(*LOG, (pl.col("hourmin") // 100).alias("hour"))
        .join(users, on="user_id", how="left", maintain_order="left")
        .join(videos.select("video_id", "video_duration", *VIDEO), on="video_id", how="left", maintain_order="left")
        .with_columns(vertical=pl.format("tab_{}", "tab"), label="is_click")
        .rename({"time_ms": "time"})
    )


KUAIRAND = PublicSet(
    name="kuairand",
    files={
        "log_*.csv": LOG,
        "user_features*.csv": ("user_id", *USER),
        "video_features_basic*.csv": ("video_id", "video_duration", *VIDEO),
    },
    read=_read,
    lines=Lines(forms=dict.fromkeys(LOG, WHOLE) | {"video_duration": NUMBER}),
    rows=None,
    licence="Kuaishou, CC BY-SA 4.0 as stated there.",
    citation="C. Gao et al., KuaiRand: An Unbiased Sequential Recommendation Dataset, CIKM 2022.",
    split="LFM4Ads: train before 3 May 2022, validation to 5 May, test from 6 May.",
    published="LFM4Ads (arXiv 2508.14948) gives AUC a tab on KuaiRand-1K, the mean of 100 runs.",
    data={
        "time": "time",
        "user": "user_id",
        "split": {"by": "time", "valid": 1_651_507_200_000, "test": 1_651_766_400_000},
        "features": dict.fromkeys(["video_id", "hour", *VIDEO, *USER], "categorical")
        | {"video_duration": {"kind": "numeric", "transform": ["log1p", "standardise"], "missing": "mean"}},
    },
)
