from iris.api.views import with_and_without_slash
from people.api.v0.views import PeopleViewSet

urlpatterns = [
    *with_and_without_slash(
        "people/export", PeopleViewSet.as_view({"post": "export"}), name="v0-people-export"
    ),
    *with_and_without_slash("people/erase", PeopleViewSet.as_view({"post": "erase"}), name="v0-people-erase"),
    *with_and_without_slash(
        "people/requests", PeopleViewSet.as_view({"get": "list"}), name="v0-people-requests"
    ),
    *with_and_without_slash(
        "people/requests/<id:request_id>",
        PeopleViewSet.as_view({"get": "retrieve"}),
        name="v0-people-request",
    ),
]
