"""Searching a campaign's numbers in both dialects."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.models import Campaign, Recipient, RunStatus, Service
from campaigns.reports import recipient_search, states
from campaigns.reports.recipient_search import Criteria, search
from telephony import numbering
from telephony.models import DeliveryStatus
from tests import v0
from tests.factories import make_account, make_delivery_of, make_empty_campaign, make_recipient, make_run
from tests.scale import at_scale
from tests.v1 import caller as v1

S = DeliveryStatus
ENDED = [None, S.COMPLETED, S.HUNGUP, S.UNANSWERED, S.FAILED, S.TERMINATED]
LIVE = [RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.STOPPING]
CHOSEN = ["all", "statuses", "individual", "filled", "trial"]  # the recipients that a run calls


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=1000)


@pytest.fixture
def campaign(account: Account) -> Campaign:
    return make_empty_campaign(
        owner=account, tags=["tags_name", "tags_ward", "tags_50%"], service=Service.CALL
    )


@pytest.fixture
def find(account: Account, campaign: Campaign) -> Callable[[str], list[int]]:
    """Return a function that returns the ids that a query finds in both dialects, and in v0 also without pages."""
    of_v0, of_v1 = v0.Caller(account), v1.Caller(account)

    def find(query: str) -> list[int]:
        whole = of_v0.get(f"/api/system/campaigns/number/{campaign.pk}?{query}")["data"]["number-lists"]
        page = of_v0.get(f"/api/system/campaigns/number/{campaign.pk}?{query}&page=1")["data"]
        results = of_v1.get(f"campaign-detail/{campaign.pk}/?{query}")
        ids = [found["id"] for found in whole]
        assert ids == [found["id"] for found in page["number-lists"]]
        assert ids == [found["id"] for found in results["results"]]
        assert page["pagination"]["total_items"] == results["count"] == len(ids)
        return ids

    return find


def refused(account: Account, campaign: Campaign, query: str) -> str:
    """Return the message with which both dialects refuse a query."""
    said = v0.Caller(account).fails("GET", f"/api/system/campaigns/number/{campaign.pk}?{query}", status=400)
    also = v1.Caller(account).fails("GET", f"campaign-detail/{campaign.pk}/?{query}", status=400)
    assert said["message"] == also["message"]
    return str(said["message"])


class TestStatus:
    @pytest.fixture
    def recipients(self, campaign: Campaign) -> list[Recipient]:
        """Three recipients of each final status."""
        return [
            make_recipient(campaign=campaign, number=9800000100 + n, status=ENDED[n % 6]) for n in range(18)
        ]

    def check(self, campaign: Campaign, find: Callable[[str], list[int]]) -> None:
        """Check that each status word finds exactly the recipients that are shown with it."""
        listed = list(campaign.recipients.order_by("-pk"))
        shown = {
            state.recipient.pk: RECIPIENT_STATUSES[state.status]
            for state in states.states_of(campaign, listed)
        }
        for word in set(RECIPIENT_STATUSES.values()):
            assert find(f"status={quote(word)}") == [pk for pk, its in shown.items() if its == word], word

    def test_status_filters_match_the_shown_status_without_a_run(
        self, campaign: Campaign, recipients: list[Recipient], find: Callable[[str], list[int]]
    ) -> None:
        make_run(campaign=campaign, status=RunStatus.COMPLETED)
        self.check(campaign, find)

    @pytest.mark.field
    @pytest.mark.parametrize(
        ("status", "chosen"),
        at_scale([(LIVE[at % 3], chosen) for at, chosen in enumerate(CHOSEN)], list(product(LIVE, CHOSEN))),
    )
    def test_status_filters_match_the_shown_status_during_a_run(
        self,
        campaign: Campaign,
        recipients: list[Recipient],
        find: Callable[[str], list[int]],
        status: RunStatus,
        chosen: str,
    ) -> None:
        """The last two recipients were added during the run. Half of the others have deliveries in progress."""
        fields: dict[str, dict[str, Any]] = {
            "all": {},
            "statuses": {"statuses": [S.FAILED, S.HUNGUP]},
            "individual": {"individual": [recipient.pk for recipient in recipients[::4]]},
            "filled": {"filled_at": "2026-01-01T00:00Z"},
            "trial": {"trial": True},
        }
        run = make_run(
            campaign=campaign,
            status=status,
            cursor=recipients[9].pk,
            **{"last_recipient": recipients[15].pk, **fields[chosen]},
        )
        moving = [S.QUEUED, S.SUBMITTING, S.UNKNOWN, S.SUBMITTED, S.RINGING, S.ANSWERED]
        for recipient, delivered in zip(recipients[:10:2], moving, strict=False):
            make_delivery_of(run=run, recipient=recipient, status=delivered)
        make_delivery_of(run=run, recipient=recipients[1], status=S.FAILED)
        self.check(campaign, find)

    def test_several_statuses_in_any_spelling_can_be_combined(
        self, campaign: Campaign, recipients: list[Recipient], find: Callable[[str], list[int]]
    ) -> None:
        both = [pk.pk for pk in reversed(recipients) if pk.status in (S.FAILED, S.HUNGUP)]
        for query in (
            "status=failed,hungup",
            "status=Failed&status=hungup",
            "status[]=failed&status[]=hungup",
        ):
            assert find(query) == both
        assert len(find("status=")) == 18

    def test_an_unknown_status_is_refused(self, account: Account, campaign: Campaign) -> None:
        assert refused(account, campaign, "status=broken").startswith(
            "status: “broken” is not known here: use not"
        )


class TestNumberAndTags:
    def test_a_number_is_found_in_any_spelling(
        self, campaign: Campaign, find: Callable[[str], list[int]]
    ) -> None:
        first = make_recipient(campaign=campaign, number="9841000001")
        make_recipient(campaign=campaign, number="9841000002")
        second = make_recipient(campaign=campaign, number="+977 984-1000001")
        for number in ("9841000001", "%2B9779841000001", "+9779841000001", "977 9841000001"):
            assert find(f"number={number}") == [second.pk, first.pk]
        assert find("number=9841000003") == []

    def test_a_number_valid_in_no_country_is_found_as_it_was_sent(
        self, campaign: Campaign, find: Callable[[str], list[int]]
    ) -> None:
        assert numbering.parse("1231231234").to == ""
        one = make_recipient(campaign=campaign, number="1231231234")
        make_recipient(campaign=campaign, number="1231231235")
        assert find("number=1231231234") == [one.pk]

    @pytest.mark.parametrize("number", ["abc", "12", "9" * 30])
    def test_an_invalid_number_is_refused(self, account: Account, campaign: Campaign, number: str) -> None:
        assert refused(account, campaign, f"number={number}").startswith("number: ")

    def test_numbers_can_be_filtered_by_tag_values(
        self, campaign: Campaign, find: Callable[[str], list[int]]
    ) -> None:
        def make(**tags: Any) -> int:
            return make_recipient(campaign=campaign, tags={f"tags_{tag}": it for tag, it in tags.items()}).pk

        sita, ram, hari = make(name="Sita", ward=5), make(name="Ram: 2", ward="5"), make(name="Hari", ward=6)
        Recipient.objects.filter(pk=hari).update(tags={"tags_name": "Hari", "tags_ward": 5.0})
        assert find("tag=tags_name:Sita") == find("tag=name:Sita") == [sita]
        assert find("tag=name:Ram: 2") == [ram]
        assert find("tag=ward:5") == [hari, ram, sita]
        assert find("tag=ward:5&tag=name:Sita") == [sita]
        assert find("tag=name:sita") == find("tag=name:") == []
        make_recipient(campaign=campaign, tags={"tags_50%": "50%"})
        assert len(find("tag=50%25:50%25")) == 1

    def test_invalid_tag_filters_are_refused(self, account: Account, campaign: Campaign) -> None:
        assert refused(account, campaign, "tag=age:7") == (
            "tag: Unknown tag “tags_age”. This campaign has: tags_name, tags_ward, tags_50%."
        )
        assert "Write it as tags_ward:5" in refused(account, campaign, "tag=100%25")
        assert "Write it as tags_ward:5" in refused(account, campaign, "tag=:5")
        assert "at most 10" in refused(account, campaign, "&".join(f"tag=a{n}:1" for n in range(11)))
        untagged = make_empty_campaign(owner=account)
        assert refused(account, untagged, "tag=age:7").endswith("This campaign has none.")

    def test_a_recipient_must_match_all_filters(
        self, campaign: Campaign, find: Callable[[str], list[int]]
    ) -> None:
        told = {"tags_name": "Sita"}
        one = make_recipient(campaign=campaign, number=9841000001, tags=told, status=S.FAILED)
        make_recipient(campaign=campaign, number=9841000001, tags=told)
        make_recipient(campaign=campaign, number=9841000001, status=S.FAILED)
        make_recipient(campaign=campaign, number=9841000002, tags=told, status=S.FAILED)
        assert find("number=9841000001&tag=name:Sita&status=failed") == [one.pk]


class TestStretches:
    @pytest.fixture
    def failed(self, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Return every fifth of twenty recipients, newest first. A stretch has four recipients."""
        monkeypatch.setattr(recipient_search, "MAX_EXAMINED", 4)
        make = [
            make_recipient(
                campaign=campaign, tags={"tags_ward": n % 5}, status=S.UNANSWERED if n % 5 else None
            )
            for n in range(20)
        ]
        return [recipient.pk for recipient in reversed(make) if recipient.status is None]

    def followed(self, get: Callable[[str], Any], path: str) -> tuple[list[int], list[Any]]:
        """Follow the links of all pages. Return all ids found, and `before` of each response."""
        found: list[int] = []
        positions = []
        following: str | None = path
        while following:
            answer = get(following)
            listed, paging = answer.get("results"), answer
            if listed is None:
                listed, paging = answer["data"]["number-lists"], answer["data"]["pagination"]
                links = [link for link in paging["links"] if "page=1" in link]
                assert paging["has_next"] == bool(links)
                following = links[-1] if links else None
            else:
                following = answer["next"]
            found += [one["id"] for one in listed]
            positions.append(paging["before"])
            if following:
                parts = urlsplit(following)
                following = f"{parts.path}?{parts.query}"
        return found, positions

    @pytest.mark.parametrize("query", ["tag=ward:0", "status=not started", "number=9800000001&tag=ward:0"])
    def test_following_the_links_searches_the_whole_campaign(
        self, account: Account, campaign: Campaign, failed: list[int], query: str
    ) -> None:
        of_v0, of_v1 = v0.Caller(account), v1.Caller(account)
        paths = (
            (of_v0.get, f"/api/system/campaigns/number/{campaign.pk}/?page=1&{query}"),
            (of_v1.get, f"/api/v1/campaign-detail/{campaign.pk}/?{query}"),
            (of_v1.get, f"/api/v1/campaign-detail/{campaign.pk}/?page_size=1&{query}"),
        )
        for get, path in paths:
            found, positions = self.followed(get, path)
            assert found == failed
            assert positions[-1] is None
            assert len(set(positions)) == 5

    def test_v0_without_pages_searches_the_whole_campaign(
        self, account: Account, campaign: Campaign, failed: list[int]
    ) -> None:
        path = f"/api/system/campaigns/number/{campaign.pk}/?tag=ward:0"
        found = [one["id"] for one in v0.Caller(account).get(path)["data"]["number-lists"]]
        assert found == failed
        older = v0.Caller(account).get(f"{path}&before={failed[1]}")["data"]["number-lists"]
        assert [one["id"] for one in older] == failed[2:]

    def test_a_search_for_recipients_not_reached_skips_all_others(
        self, campaign: Campaign, failed: list[int]
    ) -> None:
        Recipient.objects.filter(pk__in=failed).update(status=S.FAILED)
        campaign.recipients.filter(status=S.UNANSWERED).update(status=S.COMPLETED)
        stretch = search(campaign, Criteria(statuses=frozenset({S.FAILED})))
        assert [recipient.pk for recipient in stretch.rows] == failed
        assert stretch.ends_at is None

    @pytest.mark.parametrize("before", ["0", "-1", "abc", "1.5", "9" * 20, "१"])
    def test_an_invalid_before_id_is_refused(self, account: Account, campaign: Campaign, before: str) -> None:
        assert "Ids are whole numbers above 0" in refused(account, campaign, f"before={before}")


class TestALargeCampaign:
    """The cost of a search does not grow with the campaign."""

    @pytest.fixture
    def large(self, account: Account) -> Campaign:
        """A campaign of 30,000 recipients, and a later campaign whose recipients must not be read."""
        campaign = make_empty_campaign(owner=account, tags=["tags_ward"], number_count=30_000)
        with connection.cursor() as cursor:
            for one in (campaign, make_empty_campaign(owner=account)):
                cursor.execute(
                    """INSERT INTO campaigns_recipient (campaign_id, number, "to", tags, status)
                       SELECT %s, n, '+977' || n, jsonb_build_object('tags_ward', i %% 7),
                              CASE WHEN i %% 1000 = 0 THEN 103 ELSE 100 END
                         FROM generate_series(1, 30000) AS i,
                              LATERAL (SELECT (9800000000 + i)::text AS n) AS numbers""",
                    [one.pk],
                )
            cursor.execute("ANALYZE campaigns_recipient")
        return campaign

    @pytest.mark.parametrize(
        ("query", "index"),
        [
            ("number=9800000007", "recipient_of_campaign"),
            ("tag=ward:9", "recipient_of_campaign"),
            ("status=completed", "recipient_of_campaign"),
            ("status=failed", "recipient_not_reached"),
            ("status=failed,hungup&tag=ward:9", "recipient_not_reached"),
        ],
    )
    @pytest.mark.parametrize("running", [False, True])
    def test_a_search_reads_one_stretch_by_an_index(
        self, account: Account, large: Campaign, query: str, index: str, running: bool
    ) -> None:
        if running:
            make_run(campaign=large, cursor=large.recipients.latest("pk").pk, last_recipient=2**40)
        caller = v1.Caller(account)
        with CaptureQueriesContext(connection) as captured:
            caller.get(f"campaign-detail/{large.pk}/?{query}")
        asked = [it["sql"] for it in captured if 'FROM "campaigns_recipient"' in it["sql"]]
        # The counts by network cover the whole campaign and are cached for a minute. Their query is ignored here.
        asked = [sql for sql in asked if "LEFT(" not in sql]
        assert 2 <= len(asked) <= 3
        for sql in asked:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF) {sql}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert f"using {index} on campaigns_recipient" in plan or f"Scan on {index}" in plan, plan
            assert "Seq Scan on campaigns_recipient" not in plan, plan
            read = [float(rows) for rows in re.findall(r"actual rows=([\d.]+)", plan)]
            thrown_away = [int(rows) for rows in re.findall(r"Rows Removed by Filter: (\d+)", plan)]
            assert max(read) + sum(thrown_away) <= recipient_search.MAX_EXAMINED + 1, plan
