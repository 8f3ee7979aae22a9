"""What the shop's rows look like: ids, spellings, values, rates, attribution."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import pyarrow.compute as pc
import pytest

from klaviyo_assets.sandbox.fivetran.shop import TABLES, Shop, profile
from klaviyo_assets_tests.unit.sandbox.fivetran.tables import of_type, rows

START, END = date(2026, 9, 1), datetime(2026, 10, 16, tzinfo=UTC)
ACME, BLOOM, CEDAR, DUNE = range(4)
# Klaviyo's windows by the touch's metric.
WINDOWS = {
    "Clicked Email": timedelta(days=5), "Opened Email": timedelta(days=5), "Clicked Text Message": timedelta(days=5),
    "Opened Push": timedelta(days=1), "Received Text Message": timedelta(hours=12),
}  # fmt: skip


@pytest.fixture(scope="module")
def tables():
    """Every table of the first four accounts."""
    return [Shop(profile(index), 7, 400, START).rows(END) for index in range(4)]


def values(table, column):
    return [value for value in table[column].to_pylist() if value is not None]


def test_every_table_of_the_schema_is_written_by_some_account(tables):
    assert set().union(*tables) == set(TABLES)


def test_keys_are_unique_and_never_null(tables):
    for carried in tables:
        for name, table in carried.items():
            keys = table.select(TABLES[name].key)
            assert all(column.null_count == 0 for column in keys.columns), name
            assert keys.group_by(list(TABLES[name].key)).aggregate([]).num_rows == table.num_rows, name


def test_a_day_has_about_its_events(tables):
    for carried in tables:
        assert 250 < carried["event"].num_rows / 45 < 550


def test_an_account_has_29_metrics_or_more_and_a_name_may_exist_twice(tables):
    names = values(tables[ACME]["metric"], "name")

    assert len(names) >= 29
    assert names.count("Placed Order") == 2
    assert values(tables[BLOOM]["metric"], "name").count("Placed Order") == 1
    assert "Received SMS" in values(tables[BLOOM]["metric"], "name")


def test_ids_look_like_klaviyos(tables):
    event = tables[ACME]["event"]

    assert all(re.fullmatch(r"[0-9A-Za-z]{8,11}", value) for value in values(event, "id"))
    assert all(re.fullmatch(r"01[0-9A-HJKMNP-TV-Z]{24}", value) for value in values(event, "person_id"))
    assert all(re.fullmatch(r"[0-9A-Za-z]{6}", value) for value in values(event, "flow_message_id"))
    assert all(re.fullmatch(r"\d+", value) for value in values(tables[ACME]["flow_action"], "id"))


def test_every_id_an_event_names_exists(tables):
    for carried in tables:
        event = carried["event"]
        for column, table in (("person_id", "person"), ("metric_id", "metric"), ("campaign_id", "campaign")):
            assert set(values(event, column)) <= set(values(carried[table], "id"))
        assert set(values(event, "flow_message_id")) <= set(values(carried["flow_message"], "id"))


def test_rates_are_realistic(tables):
    event = tables[ACME]["event"]
    received = len(of_type(event, "Received Email"))

    def share(name):
        sends = {(row["person_id"], row["property_cohort_message_send_cohort"]) for row in of_type(event, name)}
        return len(sends) / received

    assert 0.35 < share("Opened Email") < 0.5
    assert 0.015 < share("Clicked Email") < 0.04
    assert 0.003 < share("Bounced Email") < 0.015
    assert 0.0005 < share("Unsubscribed from Email Marketing") < 0.006


def test_machines_open_and_bots_click_some(tables):
    event = tables[ACME]["event"]

    machine = [row["property_apple_privacy_open"] for row in of_type(event, "Opened Email")]
    bots = [row for row in of_type(event, "Clicked Email") if row.get("property_bot_click")]
    assert 0.2 < sum(machine) / len(machine) < 0.8
    assert bots


def test_accounts_spell_custom_fields_in_three_ways(tables):
    assert "property_currency_code" in tables[ACME]["event"].column_names
    assert "custom_accepts_marketing" in tables[ACME]["person"].column_names
    assert "propertyCurrencyCode" in tables[CEDAR]["event"].column_names
    packed = of_type(tables[BLOOM]["event"], "Placed Order")[0]
    assert not [name for name in packed if name.startswith("property")]
    assert {"value", "currency_code", "items", "extra"} <= set(json.loads(packed["custom_property_fields"]))


def test_packed_amounts_are_json_whether_written_as_numbers_or_as_texts():
    """Spellings repeat after twelve accounts."""
    packing = [profile(index) for index in range(12) if profile(index).spelling == "packed"]
    events = [Shop(each, 1, 60, START).rows(datetime(2026, 9, 5, tzinfo=UTC))["event"] for each in packing]
    amounts = [
        [json.loads(text)["value"] for text in values(table, "custom_property_fields") if '"value"' in text]
        for table in events
    ]

    assert {each.numeric_values for each in packing} == {True, False}
    assert all(amounts)
    for each, written in zip(packing, amounts, strict=True):
        assert not each.numeric_values or all(isinstance(amount, float) for amount in written)


def test_values_are_mostly_plain_and_sometimes_not(tables):
    spelled = [row["property_value"] for row in of_type(tables[ACME]["event"], "Placed Order")]
    numbers = [row["property_value"] for row in of_type(tables[DUNE]["event"], "Placed Order")]

    plain = [text for text in spelled if re.fullmatch(r"\d+\.\d{6}", text)]
    assert 0.95 < len(plain) / len(spelled) < 1
    assert all(isinstance(number, float) for number in numbers)


def test_refunds_are_negative(tables):
    refunds = of_type(tables[ACME]["event"], "Refunded Order")

    assert refunds
    assert all(row["property_value"].startswith("-") for row in refunds)


def test_an_order_and_its_lines_share_a_second_and_agree(tables):
    event = tables[DUNE]["event"]
    lines = {}
    for row in of_type(event, "Ordered Product"):
        lines.setdefault((row.get("person_id"), row["datetime"]), []).append(row["property_value"])
    shopify = {row["id"] for row in rows(tables[DUNE]["metric"]) if row.get("integration_name") == "Shopify"}

    for order in of_type(event, "Placed Order"):
        # The lines of the last orders may still be on their way.
        if order["metric_id"] in shopify and order["datetime"] < END - timedelta(days=15):
            values_of_lines = lines[(order["person_id"], order["datetime"])]
            items = json.loads(order["property_items"])
            assert len(items) == order["property_item_count"] == len(values_of_lines)
            assert sum(item["price"] * item["quantity"] for item in items) == pytest.approx(sum(values_of_lines))


def test_some_orders_are_in_another_currency(tables):
    for carried, column, own in (
        (tables[ACME], "property_currency_code", "USD"),
        (tables[DUNE], "property_currency_code", "JPY"),
    ):
        currencies = {row[column] for row in of_type(carried["event"], "Placed Order")}
        assert own in currencies
        assert len(currencies) > 1


def test_some_visitors_are_anonymous_but_no_buyer_of_the_shop_is(tables):
    event = tables[BLOOM]["event"]

    assert [row for row in of_type(event, "Active on Site") if "person_id" not in row]
    assert all("person_id" in row for row in of_type(event, "Placed Order"))


def test_properties_come_in_time(tables):
    """Columns that do not exist in the shop's first days are there later."""
    early = Shop(profile(ACME), 7, 400, START).rows(datetime(2026, 9, 8, tzinfo=UTC))["event"]

    late_columns = {"property_attribute_loyalty_tier", "property_recipient_name", "property_attribute_goal"}
    for column in late_columns:
        assert column not in early.column_names or early[column].null_count == early.num_rows
        assert values(tables[ACME]["event"], column)


def test_the_old_schema_keeps_the_subject_on_the_campaign(tables):
    assert "campaign_message" not in tables[CEDAR]
    assert values(tables[CEDAR]["campaign"], "subject")
    assert not values(tables[ACME]["campaign"], "subject")
    assert values(tables[ACME]["campaign_message"], "content_subject")


def test_some_campaigns_have_variations(tables):
    sends = of_type(tables[ACME]["event"], "Received Email")
    by_campaign = {}
    for row in sends:
        by_campaign.setdefault(row.get("campaign_id"), set()).add(row.get("_variation"))

    assert any(len(found) == 2 for campaign, found in by_campaign.items() if campaign)


def test_people_who_left_are_not_mailed_again(tables):
    event = tables[ACME]["event"]
    left = {row["person_id"]: row["datetime"] for row in of_type(event, "Unsubscribed from Email Marketing")}

    assert left
    for row in of_type(event, "Received Email"):
        sent = datetime.fromtimestamp(int(row["property_cohort_message_send_cohort"].split(":")[0]), UTC)
        assert sent < left.get(row["person_id"], END)


def test_consent_and_lists_agree_with_what_happened(tables):
    carried = tables[ACME]
    left = {row["person_id"] for row in of_type(carried["event"], "Unsubscribed from Email Marketing")}
    excluded = set(values(carried["global_exclusion"], "person_id"))
    newsletter = rows(carried["list"])[0]["id"]
    off = {
        row["person_id"]
        for row in rows(carried["list_person"])
        if row["_fivetran_deleted"] and row["list_id"] == newsletter
    }

    assert left <= excluded
    assert left <= off


def test_people_join_and_leave_lists_that_exist_by_name_by_id_or_both(tables):
    event = tables[ACME]["event"]
    lists = {row["id"]: row["list_name"] for row in rows(tables[ACME]["list"])}
    stated = {
        name: [(row.get("property_list_id"), row.get("property_list")) for row in of_type(event, name)]
        for name in ("Subscribed to List", "Unsubscribed from List", "Subscribed to Text Message Marketing")
    }

    for pairs in stated.values():
        assert pairs
        assert all(list_id is not None or name is not None for list_id, name in pairs)
        assert all(lists[list_id] == name for list_id, name in pairs if list_id and name)
        assert {name for _, name in pairs} <= {*lists.values(), None}
    shapes = {(list_id is None, name is None) for pairs in stated.values() for list_id, name in pairs}
    assert shapes == {(False, False), (False, True), (True, False)}


def test_only_some_accounts_state_credits_and_spend_of_text_messages(tables):
    received = of_type(tables[ACME]["event"], "Received Text Message")

    assert all(row["property_text_message_credit_usage_amount"] >= row["property_segment_count"] for row in received)
    assert all(row["property_text_message_spend"] > 0 for row in received)
    assert "property_text_message_spend" not in tables[DUNE]["event"].column_names


def test_only_some_accounts_capture_deletes_of_events(tables):
    assert "_fivetran_deleted" in tables[ACME]["event"].column_names
    assert "_fivetran_deleted" not in tables[BLOOM]["event"].column_names


def test_accounts_record_attribution_in_their_own_shape(tables):
    new = json.loads(values(tables[ACME]["event"], "property_attribution")[0])
    old = json.loads(values(tables[CEDAR]["event"], "propertyAttribution")[0])
    linear = [json.loads(text) for text in values(tables[DUNE]["event"], "property_attribution")]

    assert new["relationships"]["attributed-event"]["data"]["type"] == "event"
    assert "$attributed_event_id" in old
    assert max(len(touches) for touches in linear) > 1
    assert not pc.any(pc.match_substring(tables[BLOOM]["event"]["custom_property_fields"], "attribution")).as_py()


def test_recorded_attribution_is_the_persons_last_touch_within_its_window(tables):
    """Checked for every order, by brute force over Klaviyo's rules."""
    event = tables[ACME]["event"]
    touches = {}
    for row in rows(event):
        if row["type"] in WINDOWS and "person_id" in row:
            touches.setdefault(row["person_id"], []).append(row)
    merged = {row["id"] for row in rows(tables[ACME]["person"]) if row["_fivetran_deleted"]}
    orders = [row for row in of_type(event, "Placed Order") if row.get("person_id") not in merged]

    attributed = 0
    for order in orders:
        eligible = [
            touch
            for touch in touches.get(order.get("person_id"), [])
            if timedelta(0) <= order["datetime"] - touch["datetime"] <= WINDOWS[touch["type"]]
        ]
        expected = max(eligible, key=preference, default=None)
        recorded = order.get("property_attribution")
        attributed += recorded is not None
        event_id = recorded and json.loads(recorded)["relationships"]["attributed-event"]["data"]["id"]
        assert event_id == (expected and expected["id"])
    assert 0.2 < attributed / len(orders) < 0.6


def preference(touch):
    """Later is better; then click before open before delivery; then the later id."""
    rank = ("Received", "Opened", "Clicked").index(touch["type"].split()[0])
    return touch["datetime"], rank, touch["id"]


def test_personal_data_is_there_to_be_hidden(tables):
    order = of_type(tables[ACME]["event"], "Placed Order")[0]
    text = of_type(tables[ACME]["event"], "Received Text Message")[0]

    extra = json.loads(order["property_extra"])
    assert "@" in extra["email"]
    assert extra["client_details"]["browser_ip"].startswith("203.0.113.")
    assert text["property_to_number"].startswith("+1")
