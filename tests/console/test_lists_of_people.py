"""Saved lists and templates in the console: made, changed, used in the steps of a campaign, and downloaded."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import AuditEntry
from campaigns.models import ContactList, ListUse, SheetImport, TextTemplate
from campaigns.recipients import background_imports, lists
from console import paging
from tests.campaigns.lists.making import make_list
from tests.console.world import World, client_for
from tests.factories import make_member

pytestmark = pytest.mark.django_db
SHEET = "number,name\n9841000001,सीता\n12,राम\n".encode()


def test_a_list_is_made_from_a_sheet_with_a_wrong_row(world: World, client: Client) -> None:
    file = SimpleUploadedFile("people.csv", SHEET)
    made = client.post(world.address("new-list"), {"name": "Class 8", "description": "", "sheet": file})
    page = client.get(made.headers["Location"]).content.decode()
    for part in ("Class 8", "1 person added.", "Rows that were left out", "<td>3</td>", "सीता"):
        assert part in page
    assert "Rows that were left out" not in client.get(made.headers["Location"]).content.decode()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"number\n12\n"])
def test_a_sheet_that_cannot_be_used_makes_no_list_and_loses_no_name(
    world: World, client: Client, content: bytes
) -> None:
    before = ContactList.objects.count()
    file = SimpleUploadedFile("people.csv", content)
    page = client.post(world.address("new-list"), {"name": "Class 8", "sheet": file}).content.decode()
    assert 'role="alert"' in page
    assert 'value="Class 8"' in page
    assert ContactList.objects.count() == before


def test_a_large_sheet_updates_the_page_until_it_is_imported(
    world: World, client: Client, settings: Any, tmp_path: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.IRIS_BACKGROUND_IMPORT_BYTES = 0
    file = SimpleUploadedFile("people.csv", SHEET)
    address = client.post(world.address("new-list"), {"name": "Class 8", "sheet": file}).headers["Location"]
    page = client.get(address).content.decode()
    assert "The sheet is being imported" in page
    assert f'hx-get="{address}"' in page
    background_imports.import_all()
    assert SheetImport.objects.filter(contact_list__name="Class 8", status="done").exists()
    part = client.get(address, HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part
    assert "hx-get" not in part
    assert "Rows that were left out" in part


def test_people_are_added_removed_and_found(world: World, client: Client) -> None:
    address = world.address("list")
    added = client.post(world.address("list-change"), {"numbers": "9851000007\n12"})
    assert added.headers["Location"] == address
    assert "9851000007" in client.get(f"{address}?q=985-1000007").content.decode()
    assert "Nobody in this list has this number." in client.get(f"{address}?q=9851000008").content.decode()
    assert 'role="alert"' in client.get(f"{address}?q=abc").content.decode()
    one = ContactList.objects.get(pk=world.arguments("list")["list_id"]).contacts.get(number="9851000007")
    client.post(world.address("list-remove"), {"contact": one.pk})
    assert "9851000007" not in client.get(f"{address}?q=985-1000007").content.decode().partition("<main")[0]
    assert client.post(world.address("list-remove"), {"contact": one.pk}).status_code == 404
    renamed = client.post(world.address("list-change"), {"name": "Mothers", "description": "x"})
    assert renamed.headers["Location"] == address
    assert "Mothers" in client.get(address).content.decode()


def test_long_lists_have_pages(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 2)
    made = make_list(owner=world.account, rows=[(f"98410000{n:02}", {}) for n in range(5)])
    address, seen = world.address("list", list_id=made.pk), list[str]()
    query = ""
    for _ in range(3):
        page = client.get(address + query).content.decode()
        seen += [f"98410000{n:02}" for n in range(4, -1, -1) if f'class="phone">98410000{n:02}<' in page]
        query = f"?before={page.rpartition('before=')[2].partition(chr(34))[0]}"
    assert seen == [f"98410000{n:02}" for n in range(4, -1, -1)]


def test_a_download_can_be_uploaded_again(world: World, client: Client) -> None:
    made = make_list(owner=world.account, rows=[("9841000001", {"tags_name": "=1+1"}), ("9841000002", {})])
    response = client.get(world.address("list-export", list_id=made.pk))
    content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
    assert content.decode() == "\ufeffnumber,name\r\n9841000001,'=1+1\r\n9841000002,\r\n"
    assert AuditEntry.objects.get(action="exported", kind="list").object_id == made.pk
    again = lists.create_list(account=world.account, name="Again", sheet=BytesIO(content))
    assert again.added == 2


def test_a_list_is_deleted_and_campaigns_keep_their_people(world: World, client: Client) -> None:
    used = ListUse.objects.filter(contact_list=world.arguments("list")["list_id"]).get().campaign
    before = used.recipients.count()
    lists_of_account = world.address("lists")
    assert client.post(world.address("list-delete")).headers["Location"] == lists_of_account
    assert used.recipients.count() == before
    assert client.post(f"{lists_of_account}999999/delete/").status_code == 404


def test_a_list_is_chosen_for_a_campaign(world: World, client: Client) -> None:
    made = make_list(owner=world.account, name="Mothers", rows=[("9851000007", {})])
    address = world.address("step-people")
    assert "Mothers (1)" in client.get(address).content.decode()
    client.post(address, {"list": made.pk})
    assert world.draft.recipients.filter(number="9851000007").count() == 1
    assert "Already in this campaign:" in client.get(address).content.decode()
    client.post(address, {"list": made.pk})
    assert world.draft.recipients.count() == 3
    for strange in ("999999999", "x", "9" * 30):
        assert 'role="alert"' in client.post(address, {"list": strange}).content.decode()


def test_a_template_is_written_changed_and_used(world: World, client: Client) -> None:
    words = {"name": "Road", "message": "The road is closed.", "sms_message": "", "voice": ""}
    made = client.post(world.address("new-template"), words)
    page = client.get(made.headers["Location"]).content.decode()
    assert "Version 1" in page
    template = TextTemplate.objects.get(name="Road")
    change = world.address("template-change", template_id=template.pk)
    client.post(change, {**words, "message": "The road is open."})
    page = client.get(made.headers["Location"]).content.decode()
    for part in ("Version 2", "The road is open.", "Version 1", "The road is closed."):
        assert part in page
    client.post(change, {**words, "message": "The road is open."})
    template.refresh_from_db()
    assert template.latest == 2
    client.post(world.address("message-template"), {"template": template.pk})
    page = client.get(world.address("step-message")).content.decode()
    assert "From the template “Road”, version 2." in page
    assert "The road is open.</textarea>" in page
    client.post(
        world.address("step-message"),
        {"message": "Mine", "sms_message": "", "voice": "np_rija", "speed": "1"},
    )
    assert "The words were changed here." in client.get(world.address("step-message")).content.decode()
    assert client.post(world.address("message-template"), {"template": "x"}).status_code == 404


@pytest.mark.parametrize("message", ["", "x" * 10_001])
def test_a_wrong_template_is_said_and_nothing_is_lost(world: World, client: Client, message: str) -> None:
    words = {"name": "Road", "message": message, "sms_message": "Short", "voice": ""}
    page = client.post(world.address("new-template"), words).content.decode()
    assert 'role="alert"' in page
    assert "Short</textarea>" in page
    assert not TextTemplate.objects.filter(name="Road").exists()


def test_a_viewer_sees_no_button_that_would_not_work(world: World) -> None:
    viewer = client_for(make_member(world.account, "viewer"))
    for name in ("lists", "list", "templates", "template"):
        main = viewer.get(world.address(name)).content.decode().partition("<main")[2]
        assert "csrfmiddlewaretoken" not in main
        assert "/change/" not in main
        assert "/new/" not in main


def test_the_words_of_a_campaign_become_a_template(world: World, client: Client) -> None:
    words = {"message": "Namaste {name}", "sms_message": "Hi", "voice": "np_binod", "speed": "1"}
    address = world.address("step-message")
    page = client.post(address, {**words, "as_template": "yes", "new_template": " "}).content.decode()
    assert "Write what the template is called." in page
    assert "Namaste {name}" in page
    before = TextTemplate.objects.count()
    page = client.post(
        address, {**words, "as_template": "yes", "new_template": "Greeting"}, follow=True
    ).content.decode()
    assert "From the template “Greeting”, version 1." in page
    assert "The words were changed here." not in page
    assert TextTemplate.objects.count() == before + 1
    version = TextTemplate.objects.latest("pk").versions.get()
    assert (version.message, version.sms_message, version.voice) == ("Namaste {name}", "Hi", "np_binod")
    world.draft.refresh_from_db()
    assert world.draft.message == "Namaste {name}"
    page = client.post(
        address, {**words, "message": "", "as_template": "yes", "new_template": "Empty"}
    ).content.decode()
    assert 'role="alert"' in page
    assert TextTemplate.objects.count() == before + 1
