"""Which column holds what: by the names that such columns usually have."""

import re
from collections.abc import Mapping, Sequence


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Compared without case, blanks and punctuation: userId, user_id and "User ID" are one name.
USUAL_NAMES: Mapping[str, frozenset[str]] = {
    "user": _names(
        "user userid users uid username customer customerid client clientid member memberid visitor "
        "visitorid account accountid reviewer reviewerid person personid profileid sessionid"
    ),
    "item": _names(
        "item itemid items iid movie movieid film filmid product productid sku asin parentasin isbn book "
        "bookid article articleid song songid track trackid artist artistid content contentid game gameid "
        "recipe recipeid business businessid anime animeid show showid video videoid"
    ),
    "rating": _names(
        "rating ratings rate stars star starrating score scores overall userrating bookrating preference"
    ),
    "time": _names(
        "timestamp time times ts date datetime createdat created ratedat updatedat eventtime unixreviewtime "
        "unixtimestamp reviewtime reviewdate when day"
    ),
    "id": _names("id"),
    "title": _names("title name label itemname producttitle movietitle"),
    "genres": _names("genres genre categories category"),
}


def candidates(role: str, names: Sequence[str]) -> list[int]:
    """Positions of the columns whose name is a usual one for this role."""
    return [place for place, name in enumerate(names) if plain(name) in USUAL_NAMES[role]]


def plain(name: str) -> str:
    """The name in lower case without blanks and punctuation."""
    return re.sub(r"[\W_]+", "", name).lower()
