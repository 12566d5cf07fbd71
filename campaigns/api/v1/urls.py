from typing import Any

from campaigns.api.v1.contacts import ContactViewSet
from campaigns.api.v1.reports import DashboardView
from campaigns.api.v1.surveys import SurveyViewSet
from campaigns.api.v1.templates import SurveyTemplateViewSet
from campaigns.api.v1.views import CampaignViewSet
from iris.api.views import with_and_without_slash

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


# The converter `id` matches any path segment, so fixed words such as `create` come first. Campaign ids and contact ids have
# the same position. The rest of the path distinguishes them.
urlpatterns = [
    *with_and_without_slash("campaign", campaigns({"get": "list"}), name="v1-campaigns"),
    *with_and_without_slash("campaign/create", campaigns({"post": "create"}), name="v1-campaign-create"),
    *with_and_without_slash(
        f"campaign/create/{CAMPAIGN}/message",
        campaigns(any_of("patch put post", "message")),
        name="v1-campaign-message",
    ),
    *with_and_without_slash(
        f"campaign/create/{CAMPAIGN}/detail",
        contacts(any_of("patch post put", "add_sheet")),
        name="v1-campaign-sheet",
    ),
    *with_and_without_slash(
        f"campaign/create/{CAMPAIGN}/survey",
        surveys({"get": "steps", **any_of("post put patch", "update_steps")}),
        name="v1-survey-steps",
    ),
    *with_and_without_slash(
        f"campaign/emergency-stop/{CAMPAIGN}", campaigns({"post": "stop"}), name="v1-campaign-stop"
    ),
    *with_and_without_slash(
        f"campaign/{CAMPAIGN}",
        campaigns({"get": "retrieve", **any_of("patch put post", "update"), "delete": "destroy"}),
        name="v1-campaign",
    ),
    *with_and_without_slash(
        f"campaign/{CAMPAIGN}/add-contact", contacts({"post": "add"}), name="v1-contact-add"
    ),
    *with_and_without_slash(
        f"campaign/{CAMPAIGN}/contacts", contacts({"get": "list"}), name="v1-contacts-before"
    ),
    *with_and_without_slash(
        f"campaign/{CONTACT}/attributes",
        contacts({"get": "attributes", "patch": "update_attributes"}),
        name="v1-attributes",
    ),
    *with_and_without_slash(f"campaign-detail/{CAMPAIGN}", contacts({"get": "list"}), name="v1-contacts"),
    *with_and_without_slash(
        f"phone-number/update/{CONTACT}",
        contacts(any_of("patch put post", "update")),
        name="v1-contact-update",
    ),
    *with_and_without_slash(
        f"phone-number/delete/{CONTACT}",
        contacts({"delete": "destroy", "get": "attributes"}),
        name="v1-contact-delete",
    ),
    *with_and_without_slash(f"run-campaign/{CAMPAIGN}", campaigns({"post": "run"}), name="v1-campaign-run"),
    *with_and_without_slash(f"demo-call/{CONTACT}", contacts({"post": "demo_call"}), name="v1-demo-call"),
    *with_and_without_slash(
        f"test-speak/riri/{CAMPAIGN}", campaigns({"post": "test_speak"}), name="v1-test-speak"
    ),
    *with_and_without_slash(
        f"download/report/{CAMPAIGN}", campaigns(any_of("get post", "report")), name="v1-report"
    ),
    *with_and_without_slash(f"run-survey/{CAMPAIGN}", surveys({"post": "run"}), name="v1-survey-run"),
    *with_and_without_slash(f"test-survey/{CONTACT}", surveys({"post": "test"}), name="v1-survey-test"),
    *with_and_without_slash(
        "download/survey/<id:survey_id>/report",
        surveys(any_of("get post", "report")),
        name="v1-survey-report",
    ),
    *with_and_without_slash(
        "survey-templates", templates({"get": "list", "post": "create"}), name="v1-survey-templates"
    ),
    *with_and_without_slash(
        f"survey-templates/{TEMPLATE}",
        templates({"get": "retrieve", **any_of("patch put", "update"), "delete": "destroy"}),
        name="v1-survey-template",
    ),
    *with_and_without_slash(
        f"survey-templates/{TEMPLATE}/apply-to-campaign",
        templates({"post": "apply"}),
        name="v1-survey-template-apply",
    ),
    *with_and_without_slash("dashboard", DashboardView.as_view(), name="v1-dashboard"),
]
