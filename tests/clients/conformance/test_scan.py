"""Scan: pages, segments, filters, selection (section 2.3; appendix D 22)."""

import pytest

from dynamo import NOT_FOUND, VALIDATION, av, item_of, plain, refused

PARTITIONS, SORTS = 40, 5


@pytest.fixture(scope="module")
def scanned(tables):
    """A table of forty partitions of five items."""
    table = tables.create("p:S c:N")
    table.put_many([{"p": f"p{p}", "c": c, "n": p, "x": "x" * 20} for p in range(PARTITIONS) for c in range(SORTS)])
    return table


WHOLE = {(f"p{p}", c) for p in range(PARTITIONS) for c in range(SORTS)}


def pages(table, **more):
    found = []
    while True:
        answer = table.scan(**more)
        found.append(answer)
        if "LastEvaluatedKey" not in answer:
            return found
        more["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        assert len(found) < 1000


def keys_of(found):
    return [(item["p"]["S"], int(item["c"]["N"])) for page in found for item in page["Items"]]


@pytest.mark.parametrize("limit", [None, 1, 7, 50, 200, 1000])
def test_d22_walk_by_pages(scanned, limit):
    found = pages(scanned, **({"Limit": limit} if limit else {}))
    keys = keys_of(found)
    assert len(keys) == len(WHOLE) and set(keys) == WHOLE
    assert all(page["Count"] == page["ScannedCount"] == len(page["Items"]) for page in found)
    if limit:
        assert all(page["ScannedCount"] <= limit for page in found)


def test_2_3_inside_a_partition_items_are_in_order(scanned):
    keys = keys_of(pages(scanned, Limit=3))
    order = list(dict.fromkeys(p for p, _ in keys))
    assert keys == [(p, c) for p in order for c in range(SORTS)]


@pytest.mark.parametrize("segments", [1, 2, 3, 7, 16, 100, 1000000])
def test_d22_segments_partition_the_table(scanned, segments):
    if segments == 1000000:
        # The last of a million is taken; walking all of them is not the point.
        assert scanned.scan(TotalSegments=segments, Segment=segments - 1)["Count"] <= len(WHOLE)
        return
    keys = [
        key for segment in range(segments) for key in keys_of(pages(scanned, TotalSegments=segments, Segment=segment))
    ]
    assert len(keys) == len(WHOLE) and set(keys) == WHOLE


def test_d22_segments_by_pages(scanned):
    found = [pages(scanned, TotalSegments=4, Segment=segment, Limit=9) for segment in range(4)]
    keys = [key for each in found for key in keys_of(each)]
    assert len(keys) == len(WHOLE) and set(keys) == WHOLE


ZERO_BASED = "The Segment parameter is zero-based and must be less than parameter TotalSegments"
SEGMENTS = [
    (
        {"Segment": 0},
        "The TotalSegments parameter is required but was not present in the request when Segment parameter is present",
    ),
    (
        {"TotalSegments": 2},
        "The Segment parameter is required but was not present in the request when parameter TotalSegments is present",
    ),
    ({"Segment": 2, "TotalSegments": 2}, ZERO_BASED),
    ({"Segment": 5, "TotalSegments": 2}, ZERO_BASED),
    (
        {"Segment": -1, "TotalSegments": 2},
        "Value '-1' at 'segment' failed to satisfy constraint: Member must have value greater than or equal to 0",
    ),
    (
        {"Segment": 0, "TotalSegments": 0},
        "Value '0' at 'totalSegments' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    (
        {"Segment": 0, "TotalSegments": 1000001},
        "Value '1000001' at 'totalSegments' failed to satisfy constraint: Member must have value less than or equal to 1000000",
    ),
    (
        {"Segment": 1000000, "TotalSegments": 1000000},
        "Value '1000000' at 'segment' failed to satisfy constraint: Member must have value less than or equal to 999999",
    ),
]


@pytest.mark.parametrize("more, text", SEGMENTS, ids=[str(case[0]) for case in SEGMENTS])
def test_2_3_segments_refused(scanned, more, text):
    with refused(VALIDATION, text):
        scanned.scan(**more)


def test_2_3_start_in_another_segment(scanned):
    by_segment = [keys_of(pages(scanned, TotalSegments=4, Segment=segment)) for segment in range(4)]
    homes = [segment for segment in range(4) if by_segment[segment]]
    assert len(homes) > 1, "forty partitions are in more than one of four segments"
    home, other = homes[:2]
    p, c = by_segment[home][0]
    start = item_of({"p": p, "c": c})
    scanned.scan(TotalSegments=4, Segment=home, ExclusiveStartKey=start)
    with refused(VALIDATION, "xclusive"):
        scanned.scan(TotalSegments=4, Segment=other, ExclusiveStartKey=start)


@pytest.mark.parametrize(
    "start, text",
    [
        ({"p": "p1"}, "The provided starting key is invalid"),
        ({"p": "p1", "c": 1, "x": 1}, "The provided starting key is invalid"),
        ({"p": "p1", "x": 1}, "The provided starting key is invalid"),
        ({}, "The provided starting key is invalid"),
        ({"p": "p1", "c": "1"}, "The provided key element does not match the schema"),
    ],
)
def test_2_3_start_refused(scanned, start, text):
    with refused(VALIDATION, text):
        scanned.scan(ExclusiveStartKey=item_of(start))


def test_2_3_start_at_a_key_that_does_not_exist(scanned):
    start = {"p": {"S": "p3"}, "c": {"N": "2.5"}}
    keys = keys_of(pages(scanned, ExclusiveStartKey=start))
    assert [key for key in keys if key[0] == "p3"] == [("p3", 3), ("p3", 4)]


@pytest.mark.parametrize(
    "text, values, expected",
    [
        ("n = :n", {":n": 3}, {("p3", c) for c in range(SORTS)}),
        ("p = :p", {":p": "p3"}, {("p3", c) for c in range(SORTS)}),
        ("c = :c AND n < :n", {":c": 1, ":n": 5}, {(f"p{p}", 1) for p in range(5)}),
        (
            "begins_with(p, :p) AND c IN (:c)",
            {":p": "p1", ":c": 0},
            {("p1", 0)} | {(f"p{p}", 0) for p in range(10, 20)},
        ),
        ("attribute_not_exists(x)", {}, set()),
    ],
)
def test_2_3_filter(scanned, text, values, expected):
    given = {"ExpressionAttributeValues": item_of(values)} if values else {}
    found = pages(scanned, FilterExpression=text, Limit=60, **given)
    assert set(keys_of(found)) == expected
    assert sum(page["ScannedCount"] for page in found) == len(WHOLE)
    assert sum(page["Count"] for page in found) == len(expected)


def test_2_3_select_count(scanned):
    found = pages(scanned, Select="COUNT", Limit=70)
    assert not any("Items" in page for page in found)
    assert sum(page["Count"] for page in found) == len(WHOLE)


@pytest.mark.parametrize(
    "more",
    [
        {"Select": "SPECIFIC_ATTRIBUTES"},
        {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        {"Select": "COUNT", "ProjectionExpression": "n"},
        {"Select": "ALL_ATTRIBUTES", "ProjectionExpression": "n"},
        {"Select": "dog"},
        {"Limit": 0},
        {"Limit": -1},
        {"IndexName": "nowhere"},
        {"FilterExpression": ""},
        {"ReturnConsumedCapacity": "dog"},
    ],
    ids=str,
)
def test_2_3_scan_refused(scanned, more):
    with refused():
        scanned.scan(**more)


def test_2_3_unknown_index(scanned):
    with refused(VALIDATION, "The table does not have the specified index: nowhere"):
        scanned.scan(IndexName="nowhere")


def test_2_3_projection(scanned):
    found = pages(scanned, ProjectionExpression="n")
    assert sorted(plain(item)["n"] for page in found for item in page["Items"]) == sorted(
        p for p in range(PARTITIONS) for _ in range(SORTS)
    )
    assert all(item.keys() == {"n"} for page in found for item in page["Items"])


def test_2_3_empty_table(tables):
    answer = tables.create("p:S").scan()
    assert (answer["Items"], answer["Count"], answer["ScannedCount"]) == ([], 0, 0)
    assert "LastEvaluatedKey" not in answer


def test_2_1_6_a_scan_costs_what_it_evaluates(scanned):
    asked = {
        "ReturnConsumedCapacity": "TOTAL",
        "FilterExpression": "n = :n",
        "ExpressionAttributeValues": {":n": av(-1)},
    }
    strong = sum(page["ConsumedCapacity"]["CapacityUnits"] for page in pages(scanned, **asked))
    weak = sum(page["ConsumedCapacity"]["CapacityUnits"] for page in pages(scanned, ConsistentRead=False, **asked))
    # 200 items of some 30 bytes are two units of 4 kB; a partition rounds up for itself.
    assert strong >= 2 and weak == strong / 2


@pytest.mark.parametrize("more", [{}, {"Select": "COUNT"}], ids=str)
def test_d22_a_page_ends_at_a_megabyte(tables, more):
    table = tables.create("p:S c:N")
    for c in range(5):
        table.put({"p": "large", "c": c, "x": "x" * 400_000})
    scanned = [page["ScannedCount"] for page in pages(table, **more)]
    assert sum(scanned) == 5 and max(scanned) <= 3 and len(scanned) >= 2


def test_2_3_scan_of_an_unknown_table(db):
    with refused(NOT_FOUND, "Requested resource not found"):
        db.scan(TableName="conformance-unknown")


def test_d27_paginator_of_scan(scanned):
    found = scanned.db.get_paginator("scan").paginate(
        TableName=scanned.name, ConsistentRead=True, PaginationConfig={"PageSize": 33}
    )
    assert set(keys_of(found)) == WHOLE
