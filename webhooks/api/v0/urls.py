from iris.api.views import with_and_without_slash
from webhooks.api.v0.views import WebhookViewSet

urlpatterns = [
    *with_and_without_slash(
        "webhooks", WebhookViewSet.as_view({"get": "list", "post": "create"}), name="v0-webhooks"
    ),
    *with_and_without_slash(
        "webhooks/<id:webhook_id>",
        WebhookViewSet.as_view(
            {"get": "retrieve", **dict.fromkeys(("put", "post", "patch"), "update"), "delete": "destroy"}
        ),
        name="v0-webhook",
    ),
    *(
        route
        for action in ("rotate", "test", "replay")
        for route in with_and_without_slash(
            f"webhooks/<id:webhook_id>/{action}",
            WebhookViewSet.as_view({"post": action}),
            name=f"v0-webhook-{action}",
        )
    ),
    *with_and_without_slash(
        "webhooks/<id:webhook_id>/deliveries",
        WebhookViewSet.as_view({"get": "deliveries"}),
        name="v0-webhook-deliveries",
    ),
]
