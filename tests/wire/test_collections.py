"""Collections of the standard library come back as what they are."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

import pytest

from pinjra.core.errors import ProtocolViolation
from pinjra.core.values import Opaque
from pinjra.wire.frames import dump, load
from pinjra.wire.values.codec import decode, encode


def cross(value: object) -> Any:
    tree, blobs = encode(value)
    return decode(load(dump(tree)), blobs)


ordered = OrderedDict([("b", 1), ("a", 2)])
ordered.move_to_end("b")


@pytest.mark.parametrize(
    "value",
    [
        Counter("abracadabra"),
        Counter({(1, 2): 3, "a": -1}),
        ordered,
        OrderedDict([((1,), [2])]),
        defaultdict(list, {"a": [1]}),
        defaultdict(int, {1: 2}),
        deque([1, (2,)], maxlen=5),
        deque(),
    ],
    ids=repr,
)
def test_a_collection_comes_back_with_its_class_and_order(value: Any) -> None:
    found = cross([value])[0]
    assert (type(found), found, repr(found)) == (type(value), value, repr(value))


def test_a_factory_of_the_guests_own_stays_behind() -> None:
    found = cross(defaultdict(lambda: 5, {"a": 1}))
    assert (type(found), found.default_factory, dict(found)) == (defaultdict, None, {"a": 1})


def test_views_of_a_dict_are_lists() -> None:
    some = {"a": 1, 2: "b"}
    assert cross([some.keys(), some.values(), some.items()]) == [["a", 2], [1, "b"], [("a", 1), (2, "b")]]


def test_a_collection_that_holds_itself_ends() -> None:
    loop: deque[object] = deque()
    loop.append(loop)
    assert isinstance(cross(loop)[0], Opaque)
    counts: Counter[str] = Counter()
    counts["self"] = counts  # type: ignore[assignment]
    assert isinstance(cross(counts)["self"], Opaque)


@pytest.mark.parametrize(
    "tree",
    [
        ["K", "deque", ["l", 1, 2], 1],
        ["K", "deque", ["l"], 1 << 50],
        ["K", "deque", {"a": 1}, None],
        ["K", "Counter", ["l", 1], None],
        ["K", "system", {"a": 1}, None],
        ["K", "defaultdict", {}, 5],
        ["K", ["l"], {}, None],
        ["K", "Counter"],
    ],
)
def test_what_is_no_collection_is_refused(tree: Any) -> None:
    with pytest.raises(ProtocolViolation):
        decode(tree)
