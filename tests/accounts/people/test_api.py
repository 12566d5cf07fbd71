"""Requests to export and to erase: who may ask, what they answer, and what an export has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import apikeys, twins
from accounts.models import Account, AuditEntry, PersonRequest
from accounts.models.people import RequestKind, RequestStage
from accounts.people import requests
from accounts.permissions import KEY_SCOPES, Permission
from accounts.tasks import erase_expired, look_for_person_requests, work_on_person_requests
from campaigns import runs
from campaigns.models import Answer, SurveyAnswer
from otp.services import send_otp
from telephony import people
from telephony.models import Channel
from tests.accounts.people.erasing import tables_with, work
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import client_of, make_account, make_campaign, make_member, opt_out

pytestmark = pytest.mark.django_db

NUMBER, TO = "9841000012", "+9779841000012"
PEOPLE = "/api/system/people"


@pytest.fixture
def account() -> Account:
    return make_account(credits=1000)


@pytest.fixture
def client(account: Account) -> APIClient:
    return client_of(account)


def ask(client: APIClient, what: str, number: object = NUMBER, **extra: Any) -> Any:
    return client.post(f"{PEOPLE}/{what}/", {"number": number}, format="json", **extra)


def shown(client: APIClient, pk: int) -> dict[str, Any]:
    answer = client.get(f"{PEOPLE}/requests/{pk}/")
    assert answer.status_code == 200, answer.content
    request: dict[str, Any] = answer.json()["data"]["request"]
    return request


class TestAsking:
    @pytest.mark.parametrize("what", ["export", "erase"])
    def test_request_is_carried_out_in_the_background(self, client: APIClient, what: str) -> None:
        answer = ask(client, what)
        assert answer.status_code == 202, answer.content
        request = answer.json()["data"]["request"]
        assert (request["kind"], request["status"], request["finished_at"]) == (what, "running", None)
        assert NUMBER not in answer.content.decode()
        look_for_person_requests()
        work_on_person_requests()
        done = shown(client, request["id"])
        assert (done["status"], done["waits_for"]) == ("done", None)
        (listed,) = client.get(f"{PEOPLE}/requests/").json()["data"]["requests"]
        assert listed["id"] == request["id"]

    @pytest.mark.parametrize(
        "number", [9841000012, "+977 984-1000012", "00977 9841000012", "०९८४१००००१२".replace("०९", "९", 1)]
    )
    def test_spellings_of_one_number_are_one_request(self, client: APIClient, number: object) -> None:
        first = ask(client, "erase").json()["data"]["request"]["id"]
        assert ask(client, "erase", number).json()["data"]["request"]["id"] == first
        assert PersonRequest.objects.count() == 1
        assert AuditEntry.objects.filter(action="person_erased").count() == 1

    def test_export_and_erasure_of_a_number_are_two_requests(self, client: APIClient) -> None:
        assert (
            ask(client, "export").json()["data"]["request"] != ask(client, "erase").json()["data"]["request"]
        )

    @pytest.mark.parametrize("what", ["export", "erase"])
    @pytest.mark.parametrize(
        "number", [None, "", "nobody", "12345", 98410, ["9841000012"], {"a": 1}, True, "1" * 99]
    )
    def test_what_is_no_number_is_a_400(self, client: APIClient, what: str, number: object) -> None:
        answer = ask(client, what, number)
        assert answer.status_code == 400, answer.content
        assert not PersonRequest.objects.exists()

    def test_number_that_cannot_exist_is_a_400_that_says_what_to_do(self, client: APIClient) -> None:
        answer = ask(client, "erase", "1234567")
        assert answer.status_code == 400
        assert "deleted in their campaign" in answer.json()["message"]

    def test_repeated_request_erases_its_own_answer_too(self, account: Account, client: APIClient) -> None:
        first = ask(client, "erase", HTTP_IDEMPOTENCY_KEY="one").json()
        assert ask(client, "erase", HTTP_IDEMPOTENCY_KEY="one").json() == first
        work()
        assert tables_with(NUMBER) == set()

    def test_audit_log_says_who_asked_without_the_number(self, client: APIClient) -> None:
        ask(client, "erase")
        entries = client.get("/api/system/audit/", {"action": "person_erased"}).json()["data"]["entries"]
        assert "asked to erase a person's data" in entries[0]["sentence"]
        work()
        assert tables_with(NUMBER) == set()


class TestWho:
    @pytest.mark.parametrize("preset", ["viewer", "author", "sender"])
    def test_members_without_manage_account_cannot(self, account: Account, preset: str) -> None:
        client = client_of(make_member(account, preset))
        pk = people.ask(account=account, kind=RequestKind.EXPORT, number=NUMBER).pk
        answers = [
            ask(client, "erase"),
            ask(client, "export"),
            client.get(f"{PEOPLE}/requests/"),
            client.get(f"{PEOPLE}/requests/{pk}/"),
        ]
        assert [answer.status_code for answer in answers] == [403] * 4
        assert PersonRequest.objects.count() == 1

    def test_strangers_cannot(self, account: Account) -> None:
        pk = people.ask(account=account, kind=RequestKind.EXPORT, number=NUMBER).pk
        assert APIClient().post(f"{PEOPLE}/erase/", {"number": NUMBER}).status_code == 401
        other = client_of(make_account())
        assert other.get(f"{PEOPLE}/requests/{pk}/").status_code == 404
        assert other.get(f"{PEOPLE}/requests/").json()["data"]["requests"] == []

    def test_test_key_erases_only_in_the_twin(self, account: Account) -> None:
        twin = twins.open_twin(account=account)
        _, key = apikeys.create(account=twin, created_by=None, name="t", scopes=frozenset(KEY_SCOPES))
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        make_campaign(owner=account, numbers=[NUMBER])
        make_campaign(owner=twin, numbers=[NUMBER])
        assert ask(client, "erase").status_code == 202
        work()
        assert list(account.campaigns.get().recipients.values_list("to", flat=True)) == [TO]
        assert list(twin.campaigns.get().recipients.values_list("to", flat=True)) == [""]


class TestExport:
    def exported(self, client: APIClient) -> dict[str, Any]:
        pk = ask(client, "export").json()["data"]["request"]["id"]
        work()
        request = shown(client, pk)
        assert request["status"] == "done"
        result: dict[str, Any] = request["result"]
        assert request["found"] == {kind: len(rows) for kind, rows in result.items()}
        return result

    def test_export_has_everything_about_the_person_and_nothing_about_others(
        self, account: Account, client: APIClient, settings: Any
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 100_000
        plans = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH)]
        survey = make_survey(owner=account, numbers=[NUMBER, "9841000034"], plans=plans)
        runs.begin(campaign=survey)
        code = send_otp(account=account, number=NUMBER, message="{otp}", channel=Channel.SMS).code
        run_to_the_end()
        opt_out(account.pk, TO, "STOP")
        result = self.exported(client)
        (recipient,) = result["recipients"]
        assert (recipient["number"], recipient["campaign"]["name"]) == (NUMBER, survey.name)
        keys, spoken = recipient["answers"]
        assert (keys["question"], keys["answer"]) == ("Are you well?", "2")
        assert spoken["recorded"]
        assert APIClient().get(spoken["recording"]).status_code == 200
        (call,) = result["messages"]
        assert (call["channel"], call["keys"]) == ("call", "2")
        assert [one["source"] for one in result["opt_outs"]] == ["STOP"]
        assert len(result["otps"]) == 1
        assert code not in str(result["otps"])
        assert "9841000034" not in str(result)

    def test_addresses_of_recordings_need_listen(
        self, account: Account, client: APIClient, settings: Any
    ) -> None:
        settings.IRIS_SANDBOX_SPEED = 100_000
        survey = make_survey(owner=account, numbers=[NUMBER], plans=[asks(0, "Speak", answer=Answer.SPEECH)])
        runs.begin(campaign=survey)
        run_to_the_end()
        pk = ask(client, "export").json()["data"]["request"]["id"]
        work()
        _, key = apikeys.create(
            account=account, created_by=None, name="k", scopes=frozenset(KEY_SCOPES) - {Permission.LISTEN}
        )
        deaf = APIClient()
        deaf.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        name = SurveyAnswer.objects.get().text
        assert name in str(shown(client, pk))
        (answer,) = shown(deaf, pk)["result"]["recipients"][0]["answers"]
        assert (answer["recorded"], answer["recording"]) == (True, None)
        assert name not in str(shown(deaf, pk))
        report = f"/api/v1/download/survey/{survey.survey.pk}/report/"
        assert name in client.get(report).getvalue().decode()
        csv = deaf.get(report).getvalue().decode()
        assert name not in csv
        assert "recorded" in csv
        assert name not in deaf.get(f"/api/v1/campaign-detail/{survey.pk}/").getvalue().decode()

    def test_export_of_nothing_is_empty(self, client: APIClient) -> None:
        assert not any(self.exported(client).values())

    def test_erasure_removes_the_results_of_exports(self, account: Account, client: APIClient) -> None:
        make_campaign(owner=account, numbers=[NUMBER])
        done = ask(client, "export").json()["data"]["request"]["id"]
        work()
        open_one = ask(client, "export").json()["data"]["request"]["id"]
        ask(client, "erase")
        work()
        assert shown(client, done)["result"] is None
        assert shown(client, open_one)["result"] is None
        assert tables_with(NUMBER) == set()

    def test_results_are_kept_for_a_week(self, account: Account, client: APIClient) -> None:
        make_campaign(owner=account, numbers=[NUMBER])
        pk = ask(client, "export").json()["data"]["request"]["id"]
        work()
        erase_expired()
        assert shown(client, pk)["result"]["recipients"]
        PersonRequest.objects.update(finished_at=timezone.now() - requests.KEEP_RESULT - timedelta(minutes=1))
        erase_expired()
        assert shown(client, pk)["result"] is None
        assert PersonRequest.objects.get().stage == RequestStage.DONE
