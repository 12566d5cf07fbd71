from campaigns.api.v0.departments import DepartmentViewSet
from campaigns.api.v0.hearing import HearingViewSet
from campaigns.api.v0.numbers import NumberViewSet
from campaigns.api.v0.report_files import ReportViewSet
from campaigns.api.v0.statement import StatementViewSet
from campaigns.api.v0.views import CampaignViewSet
from campaigns.api.v0.why import WhyViewSet
from iris.api.views import with_and_without_slash

CHANGES = {"put": "update", "post": "update", "patch": "update"}

# `campaigns/number/<id>` comes first, so that `number` is not matched as the id of a campaign.
urlpatterns = [
    *with_and_without_slash(
        "campaigns", CampaignViewSet.as_view({"get": "list", "post": "create"}), name="v0-campaigns"
    ),
    *with_and_without_slash(
        "campaigns/number/<id:campaign_id>",
        NumberViewSet.as_view({"get": "list", "post": "create"}),
        name="v0-campaign-numbers",
    ),
    *with_and_without_slash(
        "campaigns/number/<id:number_id>/delete",
        NumberViewSet.as_view({"delete": "destroy"}),
        name="v0-number-delete",
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/update", CampaignViewSet.as_view({**CHANGES}), name="v0-campaign-update"
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/delete",
        CampaignViewSet.as_view({"delete": "destroy"}),
        name="v0-campaign-delete",
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/details", CampaignViewSet.as_view({"get": "retrieve"}), name="v0-campaign"
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/report", ReportViewSet.as_view({"get": "retrieve"}), name="v0-report"
    ),
    *(
        route
        for action in ("begin", "approve", "reject", "stop", "pause", "resume")
        for route in with_and_without_slash(
            f"campaigns/<id:campaign_id>/{action}",
            CampaignViewSet.as_view({"post": action}),
            name=f"v0-campaign-{action}",
        )
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/next_wave",
        CampaignViewSet.as_view({"post": "next_wave"}),
        name="v0-campaign-next-wave",
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/why", WhyViewSet.as_view({"get": "campaign"}), name="v0-campaign-why"
    ),
    *with_and_without_slash(
        "campaigns/<id:campaign_id>/heard",
        HearingViewSet.as_view({"get": "retrieve"}),
        name="v0-campaign-heard",
    ),
    *with_and_without_slash(
        "number/<id:number_id>/why", WhyViewSet.as_view({"get": "number"}), name="v0-number-why"
    ),
    *with_and_without_slash(
        "number/<id:number_id>", NumberViewSet.as_view({"get": "retrieve", **CHANGES}), name="v0-number"
    ),
    *with_and_without_slash(
        "departments", DepartmentViewSet.as_view({"get": "list", "post": "create"}), name="v0-departments"
    ),
    *with_and_without_slash(
        "departments/<id:department_id>", DepartmentViewSet.as_view({"patch": "rename"}), name="v0-department"
    ),
    *with_and_without_slash(
        "departments/<id:department_id>/transfer",
        DepartmentViewSet.as_view({"post": "transfer"}),
        name="v0-department-transfer",
    ),
    *with_and_without_slash(
        "credits/statement", StatementViewSet.as_view({"get": "retrieve"}), name="v0-statement"
    ),
]
