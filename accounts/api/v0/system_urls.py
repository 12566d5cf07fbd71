"""The paths of accounts under /api/system/."""

from accounts.api.v0.audit import AuditViewSet
from accounts.api.v0.keys import KeyViewSet
from accounts.api.v0.members import AccountViewSet, MemberViewSet
from accounts.api.v0.request_log import RequestLogViewSet
from accounts.api.v0.settings import SettingsViewSet
from accounts.api.v0.twins import TwinViewSet
from iris.api.views import with_and_without_slash

urlpatterns = [
    *with_and_without_slash("accounts", AccountViewSet.as_view({"get": "list"}), name="v0-accounts"),
    *with_and_without_slash(
        "twin", TwinViewSet.as_view({"get": "retrieve", "post": "fill_up"}), name="v0-twin"
    ),
    *with_and_without_slash(
        "members", MemberViewSet.as_view({"get": "list", "post": "create"}), name="v0-members"
    ),
    *with_and_without_slash(
        "members/<id:member_id>",
        MemberViewSet.as_view({**dict.fromkeys(("put", "post", "patch"), "update"), "delete": "destroy"}),
        name="v0-member",
    ),
    *with_and_without_slash("keys", KeyViewSet.as_view({"get": "list", "post": "create"}), name="v0-keys"),
    # Not DELETE on the list: a client that forgets an id must not revoke everything.
    *with_and_without_slash(
        "keys/revoke_all", KeyViewSet.as_view({"post": "revoke_all"}), name="v0-keys-revoke-all"
    ),
    *with_and_without_slash("keys/<id:key_id>", KeyViewSet.as_view({"delete": "revoke"}), name="v0-key"),
    *with_and_without_slash(
        "settings",
        SettingsViewSet.as_view({"get": "retrieve", **dict.fromkeys(("put", "post", "patch"), "update")}),
        name="v0-settings",
    ),
    *with_and_without_slash("audit", AuditViewSet.as_view({"get": "list"}), name="v0-audit"),
    *with_and_without_slash("requests", RequestLogViewSet.as_view({"get": "list"}), name="v0-requests"),
]
