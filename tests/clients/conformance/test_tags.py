"""Tags of tables (section 2.2)."""

import pytest

from dynamo import NOT_FOUND, VALIDATION, refused, schema_of, table_status, until
from stream_reader import STREAM


def tags_of(db, arn):
    """All tags, over as many pages as it takes."""
    found, more = {}, {}
    while True:
        page = db.list_tags_of_resource(ResourceArn=arn, **more)
        assert len(page["Tags"]) <= 10
        for tag in page["Tags"]:
            assert tag["Key"] not in found
            found[tag["Key"]] = tag["Value"]
        if "NextToken" not in page:
            return found
        more = {"NextToken": page["NextToken"]}


def until_tags(db, arn, expected):
    """Tags may take effect a while after they are set."""
    until(lambda: tags_of(db, arn) == expected, f"the tags {expected}")


def as_list(tags):
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(scope="module")
def untagged(tables):
    return tables.create("p:S")


@pytest.fixture
def tagged(tables):
    return tables.create("p:S", Tags=as_list({"a": "1", "b": "2"}))


def test_2_2_tags_at_creation(tagged, db):
    until_tags(db, tagged.arn, {"a": "1", "b": "2"})


def test_2_2_no_tags(hash_table, db):
    answer = db.list_tags_of_resource(ResourceArn=hash_table.arn)
    assert answer["Tags"] == [] and "NextToken" not in answer


def test_2_2_tag_adds_and_replaces(tagged, db):
    db.tag_resource(ResourceArn=tagged.arn, Tags=as_list({"b": "3", "c": ""}))
    until_tags(db, tagged.arn, {"a": "1", "b": "3", "c": ""})


def test_2_2_untag(tagged, db):
    db.untag_resource(ResourceArn=tagged.arn, TagKeys=["a", "never there"])
    until_tags(db, tagged.arn, {"b": "2"})


def test_2_2_pages_of_ten(tables, db):
    tags = {f"key{at:02}": f"value{at}" for at in range(23)}
    table = tables.create("p:S", Tags=as_list(tags))
    until_tags(db, table.arn, tags)
    assert len(db.list_tags_of_resource(ResourceArn=table.arn)["Tags"]) == 10


def test_2_2_fifty_and_one_more(tables, db):
    tags = {f"key{at:02}": "" for at in range(50)}
    table = tables.create("p:S", Tags=as_list(tags))
    until_tags(db, table.arn, tags)
    with refused():
        db.tag_resource(ResourceArn=table.arn, Tags=as_list({"one more": ""}))
    until_tags(db, table.arn, tags)


def test_2_2_fifty_one_at_creation_is_no_table(tables, db):
    name = tables.name()
    with refused():
        db.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            Tags=as_list({f"key{at:02}": "" for at in range(51)}),
            **schema_of("p:S"),
        )
    assert table_status(db, name) is None


@pytest.mark.parametrize(
    "key, value",
    [
        ("k", ""),
        ("k" * 128, "v" * 256),
        ("\u00e9\u4e2d", "\u00fc"),
        ("a b", "c d"),
        ("+-=._:/@", "+-=._:/@"),
        ("0", "9"),
    ],
)
def test_2_2_tag_that_is_taken(untagged, db, key, value):
    db.tag_resource(ResourceArn=untagged.arn, Tags=as_list({key: value}))
    until(lambda: tags_of(db, untagged.arn).get(key) == value, "the tag")


BAD_TAGS = {
    "empty key": {"Key": "", "Value": "v"},
    "long key": {"Key": "k" * 129, "Value": "v"},
    "long value": {"Key": "k", "Value": "v" * 257},
    "no value": {"Key": "k"},
    "no key": {"Value": "v"},
    "reserved": {"Key": "aws:k", "Value": "v"},
    "character of a key": {"Key": "k!", "Value": "v"},
    "character of a value": {"Key": "k", "Value": "v#"},
}


@pytest.mark.parametrize("case", BAD_TAGS)
def test_2_2_tag_refused(hash_table, db, case):
    with refused():
        db.tag_resource(ResourceArn=hash_table.arn, Tags=[BAD_TAGS[case]])


@pytest.mark.parametrize("case", BAD_TAGS)
def test_2_2_tag_refused_at_creation(tables, db, case):
    name = tables.name()
    with refused():
        db.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", Tags=[BAD_TAGS[case]], **schema_of("p:S"))
    assert table_status(db, name) is None


CALLS = {
    "tag_resource": {"Tags": [{"Key": "k", "Value": "v"}]},
    "untag_resource": {"TagKeys": ["k"]},
    "list_tags_of_resource": {},
}


@pytest.mark.parametrize("operation", CALLS)
def test_2_2_unknown_table(hash_table, db, operation):
    with refused(NOT_FOUND):
        getattr(db, operation)(ResourceArn=hash_table.arn + "-no", **CALLS[operation])


@pytest.mark.parametrize("operation", CALLS)
def test_2_2_malformed_arn(hash_table, db, operation):
    with refused(VALIDATION, "ARNs must start with 'arn:'"):
        getattr(db, operation)(ResourceArn=hash_table.name, **CALLS[operation])


@pytest.mark.parametrize("operation", CALLS)
def test_2_2_arn_of_an_index(hash_table, db, operation):
    with refused(VALIDATION, "Invalid", "ResourceArn"):
        getattr(db, operation)(ResourceArn=hash_table.arn + "/index/some", **CALLS[operation])


@pytest.mark.parametrize("operation", CALLS)
def test_2_2_no_arn(db, operation):
    with refused():
        getattr(db, operation)(**CALLS[operation])


def test_2_2_the_arn_of_a_stream_is_taken(tables, db):
    table = tables.create("p:S", StreamSpecification=STREAM)
    db.tag_resource(ResourceArn=table.stream, Tags=as_list({"of": "stream"}))
    db.list_tags_of_resource(ResourceArn=table.stream)


def test_2_2_tags_go_with_their_table(tables, db, tagged):
    db.delete_table(TableName=tagged.name)
    until(lambda: table_status(db, tagged.name) is None, "the table being deleted")
    again = tables.create("p:S", TableName=tagged.name)
    assert tags_of(db, again.arn) == {}


def test_d27_paginator_of_tags(tables, db):
    tags = {f"key{at:02}": "" for at in range(15)}
    table = tables.create("p:S", Tags=as_list(tags))
    until_tags(db, table.arn, tags)
    pages = db.get_paginator("list_tags_of_resource").paginate(ResourceArn=table.arn)
    assert {tag["Key"] for page in pages for tag in page["Tags"]} == set(tags)
