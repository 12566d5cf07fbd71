from typing import Any

from campaigns.api.v1.contacts import ContactViewSet
from campaigns.api.v1.reports import DashboardView
from campaigns.api.v1.surveys import SurveyViewSet
from campaigns.api.v1.templates import SurveyTemplateViewSet
from campaigns.api.v1.views import CampaignViewSet
from iris.api.views import both

CAMPAIGN = "<id:campaign_id>"
CONTACT = "<id:contact_id>"
TEMPLATE = "<id:template_id>"


campaigns = CampaignViewSet.as_view
contacts = ContactViewSet.as_view
surveys = SurveyViewSet.as_view
templates = SurveyTemplateViewSet.as_view


def any_of(methods: str, action: str) -> dict[str, Any]:
    """Map several HTTP methods to one action, because clients use all of them."""
    return dict.fromkeys(methods.split(), action)


# An id matches any segment. Campaign ids and contact ids have the same position; the rest of the path distinguishes them.
urlpatterns = [
    *both("campaign", campaigns({"get": "list"}), name="v1-campaigns"),
    *both("campaign/create", campaigns({"post": "create"}), name="v1-campaign-create"),
    *both(
        f"campaign/create/{CAMPAIGN}/message",
        campaigns(any_of("patch put post", "message")),
        name="v1-campaign-message",
    ),
    *both(
        f"campaign/create/{CAMPAIGN}/detail",
        contacts(any_of("patch post put", "add_sheet")),
        name="v1-campaign-sheet",
    ),
    *both(
        f"campaign/create/{CAMPAIGN}/survey",
        surveys({"get": "steps", **any_of("post put patch", "update_steps")}),
        name="v1-survey-steps",
    ),
    *both(f"campaign/emergency-stop/{CAMPAIGN}", campaigns({"post": "stop"}), name="v1-campaign-stop"),
    *both(
        f"campaign/{CAMPAIGN}",
        campaigns({"get": "retrieve", **any_of("patch put post", "update"), "delete": "destroy"}),
        name="v1-campaign",
    ),
    *both(f"campaign/{CAMPAIGN}/add-contact", contacts({"post": "add"}), name="v1-contact-add"),
    *both(f"campaign/{CAMPAIGN}/contacts", contacts({"get": "list"}), name="v1-contacts-before"),
    *both(
        f"campaign/{CONTACT}/attributes",
        contacts({"get": "attributes", "patch": "update_attributes"}),
        name="v1-attributes",
    ),
    *both(f"campaign-detail/{CAMPAIGN}", contacts({"get": "list"}), name="v1-contacts"),
    *both(
        f"phone-number/update/{CONTACT}",
        contacts(any_of("patch put post", "update")),
        name="v1-contact-update",
    ),
    *both(
        f"phone-number/delete/{CONTACT}",
        contacts({"delete": "destroy", "get": "attributes"}),
        name="v1-contact-delete",
    ),
    *both(f"run-campaign/{CAMPAIGN}", campaigns({"post": "run"}), name="v1-campaign-run"),
    *both(f"demo-call/{CONTACT}", contacts({"post": "demo_call"}), name="v1-demo-call"),
    *both(f"test-speak/riri/{CAMPAIGN}", campaigns({"post": "test_speak"}), name="v1-test-speak"),
    *both(f"download/report/{CAMPAIGN}", campaigns(any_of("get post", "report")), name="v1-report"),
    *both(f"run-survey/{CAMPAIGN}", surveys({"post": "run"}), name="v1-survey-run"),
    *both(f"test-survey/{CONTACT}", surveys({"post": "test"}), name="v1-survey-test"),
    *both(
        "download/survey/<id:survey_id>/report",
        surveys(any_of("get post", "report")),
        name="v1-survey-report",
    ),
    *both("survey-templates", templates({"get": "list", "post": "create"}), name="v1-survey-templates"),
    *both(
        f"survey-templates/{TEMPLATE}",
        templates({"get": "retrieve", **any_of("patch put", "update"), "delete": "destroy"}),
        name="v1-survey-template",
    ),
    *both(
        f"survey-templates/{TEMPLATE}/apply-to-campaign",
        templates({"post": "apply"}),
        name="v1-survey-template-apply",
    ),
    *both("dashboard", DashboardView.as_view(), name="v1-dashboard"),
]
