"""The public logs that need no schema file: Criteo, Avazu and KDD Cup 2012.

`published` layouts are those of the paper's code (github.com/facebookresearch/NasRec, its folders
`tools` and `torchrec`, and `utils/config.py` for the sizes): ids are what is left of a value after
division by the size of its table less 1, and there is no threshold.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

from nasrec_opt.data._columns import Column
from nasrec_opt.data._schema import Count, Schema
from nasrec_opt.errors import DataError
from nasrec_opt.options import FORMATS, Layout

AVAZU = (
    "C1", "banner_pos", "site_id", "site_domain", "site_category", "app_id", "app_domain",
    "app_category", "device_id", "device_ip", "device_model", "device_type", "device_conn_type",
    "C14", "C15", "C16", "C17", "C18", "C19", "C20", "C21",
)  # fmt: skip
KDD = (
    "clicks", "impressions", "display_url", "ad_id", "advertiser_id", "depth", "position",
    "query_id", "keyword_id", "title_id", "description_id", "user_id",
)  # fmt: skip
KDD_NUMBERS = ("impressions", "depth", "position")
# Sizes of the published tables, in the order of the columns.
CRITEO_SIZES = (
    1461, 584, 10131227, 2202609, 306, 25, 12518, 634, 4, 93146, 5684, 8351593, 3195, 28, 14993,
    5461307, 11, 5653, 2174, 5, 7046548, 19, 16, 286182, 106, 142573,
)  # fmt: skip
AVAZU_SIZES = (
    10000, 241, 8, 8, 4738, 7746, 27, 8553, 560, 37, 2686409, 6729487, 8252, 6, 5, 2627, 9, 10,
    436, 5, 69, 173, 61,
)  # fmt: skip
KDD_SIZES = (26274, 641708, 14848, 22122011, 1188090, 3735797, 2934102, 20004011)
_HEX_OF_31_BITS = 2147483647  # by which the published scripts for Avazu and KDD divide first


def schema_of(
    name: str, *, layout: Layout = "default", count: Count | None = None, has_users: bool = False
) -> Schema:
    """Describe a public log.

    Args:
        name: One of `FORMATS`.
        layout: Ours, or the published one.
        count: For KDD Cup 2012, what becomes of a line that counts several shows; None means a row.
        has_users: For KDD Cup 2012, whether gender and age of the users are joined.

    Returns:
        The schema.

    Raises:
        DataError: `name` is unknown, or an option does not belong to this log.
    """
    if name not in FORMATS:
        raise DataError(f"format: expected one of {', '.join(FORMATS)}, got {name!r}")
    if name == "kdd2012":
        return _kdd(layout, count or "line", has_users)
    if count is not None:
        raise DataError(f"count: expected it with the format kdd2012, got it with {name}")
    return _criteo(layout) if name == "criteo" else _avazu(layout)


def find_schema(
    given: Path | str | Schema,
    *,
    layout: Layout = "default",
    count: Count | None = None,
    has_users: bool = False,
) -> Schema:
    """Turn what a user names as a format into a schema.

    Args:
        given: One of `FORMATS`, the path of a schema TOML, or a schema.
        layout: As for `schema_of`; a schema of one's own has none.
        count: As for `schema_of`.
        has_users: As for `schema_of`.

    Returns:
        The schema.

    Raises:
        DataError: The file is wrong, or an option does not belong to it.
    """
    if layout not in get_args(Layout):
        raise DataError(f"layout: expected {' or '.join(get_args(Layout))}, got {layout!r}")
    if not isinstance(given, Schema) and str(given) in FORMATS:
        return schema_of(str(given), layout=layout, count=count, has_users=has_users)
    for name, is_given in (("layout", layout != "default"), ("count", count is not None)):
        if is_given:
            raise DataError(f"{name}: expected it with one of {', '.join(FORMATS)}, got a schema")
    return given if isinstance(given, Schema) else Schema.from_toml(given)


def _criteo(layout: Layout) -> Schema:
    schema = Schema.criteo()
    if layout == "default":
        return schema
    numbers = [Column(name=name, transform="published") for name in schema.dense]
    texts = [
        Column(name=name, modulo=(size - 1,), base=16)
        for name, size in zip(schema.sparse, CRITEO_SIZES, strict=True)
    ]
    return replace(schema, options=(*numbers, *texts))


def _avazu(layout: Layout) -> Schema:
    if layout == "default":
        hour = Column(name="hour", format="%y%m%d%H", parts=("hour", "weekday"))
        return Schema(label="click", sparse=("hour", *AVAZU), dropped=("id",), options=(hour,))
    sparse = ("id", "hour", *AVAZU)
    return Schema(label="click", sparse=sparse, options=_remainders(sparse, AVAZU_SIZES))


def _kdd(layout: Layout, count: Count, has_users: bool) -> Schema:
    # Where each show is a row, their number is nothing that is known of a show.
    dense = KDD_NUMBERS if count == "line" else KDD_NUMBERS[1:]
    sparse = tuple(name for name in KDD if name not in ("clicks", *KDD_NUMBERS))
    options: tuple[Column, ...] = ()
    if layout == "published":
        numbers = [Column(name=name, transform="published") for name in dense]
        options = (*numbers, *_remainders(sparse, KDD_SIZES))
    return Schema(
        label="clicks",
        impressions="impressions",
        count=count,
        users="user_id" if has_users else "",
        dense=dense,
        sparse=sparse,
        columns=KDD,
        options=options,
        separator="\t",
        has_integers=True,
    )


def _remainders(names: tuple[str, ...], sizes: tuple[int, ...]) -> tuple[Column, ...]:
    return tuple(
        Column(name=name, modulo=(_HEX_OF_31_BITS, size - 1))
        for name, size in zip(names, sizes, strict=True)
    )
