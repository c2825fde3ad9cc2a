"""What a row of a leaderboard has, by name: known without reading one, so that a wrong name is refused at once."""

SIGNS = {"helped": "▲", "unchanged": "=", "hurt": "▼", "undecided": "?", "failed": "✗"}
"""What may become of a student, in the order of the table; the sign reads without colour."""

COLUMNS = (
    *("member", "vertical", "domain", "task", "arm", "seed", "architecture", "teacher", "knowledge_kind"),
    *("rows_train", "rows_test", "positives_test", "entropy_test", "coverage", "knowledge_age", "gradient_cosine"),
    *("ne", "auc", "logloss", "calibration", "calibration_se", "rce", "ne_free", "pr_auc"),
    *("gauc", "gauc_kept", "avg_auc", "ece", "ece_debiased", "kl_teacher", "rank_teacher"),
    *("ne_control", "ne_teacher", "ne_platt", "ne_adapter", "ne_domain", "ne_gain", "ne_gain_low", "ne_gain_high"),
    *("gap_closed", "gap_closed_low", "gap_closed_high", "p_value", "detectable", "rows_wanted"),
    *("verdict", "verdict_adjusted", "status", "reason", "run_id"),
)
"""Numbers and words of a row, by which a table may be sorted. Only recipes with domain models have `ne_domain`, only
those with adapters `ne_platt` and `ne_adapter`."""
