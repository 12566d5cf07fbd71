from campaigns.api.v0.numbers import NumberViewSet
from campaigns.api.v0.views import CampaignViewSet
from iris.api.views import both

CHANGES = {"put": "update", "post": "update", "patch": "update"}

# `campaigns/number/<id>` comes first, so that `number` is not matched as the id of a campaign.
urlpatterns = [
    *both("campaigns", CampaignViewSet.as_view({"get": "list", "post": "create"}), name="v0-campaigns"),
    *both(
        "campaigns/number/<id:campaign_id>",
        NumberViewSet.as_view({"get": "list", "post": "create"}),
        name="v0-campaign-numbers",
    ),
    *both(
        "campaigns/number/<id:number_id>/delete",
        NumberViewSet.as_view({"delete": "destroy"}),
        name="v0-number-delete",
    ),
    *both(
        "campaigns/<id:campaign_id>/update", CampaignViewSet.as_view({**CHANGES}), name="v0-campaign-update"
    ),
    *both(
        "campaigns/<id:campaign_id>/delete",
        CampaignViewSet.as_view({"delete": "destroy"}),
        name="v0-campaign-delete",
    ),
    *both(
        "campaigns/<id:campaign_id>/details", CampaignViewSet.as_view({"get": "retrieve"}), name="v0-campaign"
    ),
    *(
        route
        for action in ("begin", "stop", "pause", "resume")
        for route in both(
            f"campaigns/<id:campaign_id>/{action}",
            CampaignViewSet.as_view({"post": action}),
            name=f"v0-campaign-{action}",
        )
    ),
    *both("number/<id:number_id>", NumberViewSet.as_view({"get": "retrieve", **CHANGES}), name="v0-number"),
]
