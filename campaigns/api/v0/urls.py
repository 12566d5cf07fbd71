from campaigns.api.v0 import views
from iris.api.views import both

# `campaigns/number/<id>` comes first: `number` must not be taken for the id of a campaign.
urlpatterns = [
    *both("campaigns", views.Campaigns.as_view(), name="v0-campaigns"),
    *both("campaigns/number/<id:campaign_id>", views.Numbers.as_view(), name="v0-campaign-numbers"),
    *both("campaigns/number/<id:number_id>/delete", views.DeleteNumber.as_view(), name="v0-number-delete"),
    *both("campaigns/<id:campaign_id>/update", views.Update.as_view(), name="v0-campaign-update"),
    *both("campaigns/<id:campaign_id>/delete", views.Delete.as_view(), name="v0-campaign-delete"),
    *both("campaigns/<id:campaign_id>/details", views.Details.as_view(), name="v0-campaign"),
    *both("campaigns/<id:campaign_id>/begin", views.Begin.as_view(), name="v0-campaign-begin"),
    *both("campaigns/<id:campaign_id>/stop", views.Stop.as_view(), name="v0-campaign-stop"),
    *both("campaigns/<id:campaign_id>/pause", views.Pause.as_view(), name="v0-campaign-pause"),
    *both("campaigns/<id:campaign_id>/resume", views.Resume.as_view(), name="v0-campaign-resume"),
    *both("number/<id:number_id>", views.Number.as_view(), name="v0-number"),
]
