"""Lines like those of KDD Cup 2012, track 2, and the profiles of their users.

A line counts how often an ad was shown and clicked. The numbers of distinct values are those of the
whole log; popularity, depths and the share of unknown users are assumed, since no sample is public.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from nasrec_opt.data._counter_random import hashed, key_of, uniform
from nasrec_opt.data._log_layout import Draw, GeneratedRows, Layout, Missing, Users, logged_column

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROWS = 149_639_105
IMPRESSION_POWER = 2.085  # gives the 1.57 impressions a line of the log
DEPTHS = np.array([0.25, 0.65, 1.0])  # cumulated shares of 1, 2 and 3
UNKNOWN_USERS, USERS_WITHOUT_PROFILE = 0.2, 0.03


_column = partial(logged_column, ROWS)
COLUMNS = (
    _column("ad_id", 641707, 0.01, 0.008, 0.007, 0.006, 0.005, 0.004, 0.0015, 0.0005),
    _column("display_url", 26273, 0.08, 0.04, 0.02, 0.015, 0.01, 0.008, 0.004, follows="ad_id"),
    _column("advertiser_id", 14847, 0.05, 0.03, 0.02, 0.015, 0.01, 0.008, 0.004, follows="ad_id"),
    _column("query_id", 22122010, 0.01, 0.006, 0.004, 0.003, 0.002, 0.0015, 0.0006, 0.0002),
    _column("keyword_id", 1188089, 0.02, 0.01, 0.007, 0.005, 0.004, 0.003, follows="query_id"),
    _column("title_id", 3735796, 0.01, 0.007, 0.005, 0.004, 0.003, 0.002, 0.0008),
    _column("description_id", 2934101, 0.01, 0.008, 0.006, 0.005, 0.003, 0.002, follows="title_id"),
    _column("user_id", 20004010, 0.00002, 0.000015, 0.00001),
    _column("gender", 3, 0.6, 0.38, 0.02, follows="user_id", order="hashed"),
    _column("age", 6, 0.32, 0.26, 0.2, 0.12, 0.05, follows="user_id", order="hashed"),
)  # fmt: skip
NO_PROFILE = Missing(
    columns=("gender", "age"),
    share=USERS_WITHOUT_PROFILE,
    given="user_id",
    share_given=1.0,
    by="user_id",
)
GENDERS, AGES = np.array([1, 2, 0]), np.array([3, 4, 2, 5, 1, 6])


def draw_numbers(seed: int, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Impressions, depth and position, and the last two with about mean 0 and variance 1."""
    first = uniform(key_of(seed, "number", "impression"), numbers)
    impressions = np.floor((1 - first) ** (-1 / IMPRESSION_POWER))
    chosen = uniform(key_of(seed, "number", "depth"), numbers)
    depth = 1.0 + np.searchsorted(DEPTHS, chosen, side="right")
    position = 1 + np.floor(depth * uniform(key_of(seed, "number", "position"), numbers))
    standard = np.stack([np.zeros(len(numbers)), (depth - 2.1) / 0.77, (position - 1.55) / 0.72])
    return np.stack([impressions, depth, position]), standard


def frame(seed: int, rows: GeneratedRows, clicks: IntArray) -> pl.DataFrame:
    """The twelve columns of `training.txt`; an unknown user is 0."""
    impressions, depth, position = rows.dense.astype(np.int64)
    ids = {column.name: ranks + 1 for column, ranks in zip(COLUMNS, rows.sparse, strict=True)}
    return pl.DataFrame(
        {
            "clicks": clicks,
            "impressions": impressions,
            "display_url": hashed(key_of(0, "display_url"), ids["display_url"]),
            "ad_id": ids["ad_id"],
            "advertiser_id": ids["advertiser_id"],
            "depth": depth,
            "position": position,
        }
        | {name: ids[name] for name in ("query_id", "keyword_id", "title_id")}
        | {name: ids[name] for name in ("description_id", "user_id")}
    )


def profiles(draw: Draw, users: IntArray) -> pl.DataFrame:
    """User id, gender (1 or 2, 0 unknown) and age (1 to 6), where a user has a profile."""
    users = users[~draw.is_missing(NO_PROFILE, users)]
    return pl.DataFrame(
        {
            "user_id": users + 1,
            "gender": GENDERS[draw.following("gender", users)],
            "age": AGES[draw.following("age", users)],
        }
    )


def impressions(rows: GeneratedRows) -> IntArray:
    """How often each line's ad was shown."""
    return np.asarray(rows.dense[0], np.int64)


KDD2012 = Layout(
    name="kdd2012",
    file="training.txt",
    dense=("impression", "depth", "position"),
    least=(1, 1, 1),
    columns=COLUMNS,
    missing=(Missing(columns=("user_id",), share=UNKNOWN_USERS), NO_PROFILE),
    draw_numbers=draw_numbers,
    pairs=(
        ("gender", "advertiser_id"), ("age", "keyword_id"), ("gender", "age"),
        ("display_url", "query_id"),
    ),
    triples=(("gender", "age", "advertiser_id"),),
    slopes=(0.0, 0.1, -0.5),
    click_rate=0.04,
    frame=frame,
    shows=impressions,
    users=Users(file="userid_profile.txt", column="user_id", frame=profiles),
)  # fmt: skip
