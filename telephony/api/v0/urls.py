from iris.api.views import with_and_without_slash
from telephony.api.v0.optouts import OptOutViewSet
from telephony.api.v0.people import PeopleViewSet
from telephony.api.v0.seeds import SeedViewSet
from telephony.api.v0.senders import SenderViewSet
from telephony.api.v0.tariff import TariffViewSet
from telephony.api.v0.views import PhoneNumberViewSet, TestVoice

urlpatterns = [
    *with_and_without_slash(
        "owned/phone_numbers", PhoneNumberViewSet.as_view({"get": "owned"}), name="v0-owned-phone-numbers"
    ),
    *with_and_without_slash(
        "phone_numbers",
        PhoneNumberViewSet.as_view({"get": "list", "post": "buy", "delete": "release"}),
        name="v0-phone-numbers",
    ),
    *with_and_without_slash(
        "optouts", OptOutViewSet.as_view({"get": "list", "post": "create"}), name="v0-optouts"
    ),
    *with_and_without_slash(
        "optouts/<str:number>", OptOutViewSet.as_view({"delete": "destroy"}), name="v0-optout"
    ),
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
    *with_and_without_slash(
        "seed_numbers", SeedViewSet.as_view({"get": "retrieve", "put": "update"}), name="v0-seed-numbers"
    ),
    *with_and_without_slash(
        "seed_numbers/results", SeedViewSet.as_view({"get": "results"}), name="v0-seed-results"
    ),
    *with_and_without_slash(
        "seed_numbers/results/<id:delivery_id>",
        SeedViewSet.as_view({"put": "tell"}),
        name="v0-seed-result",
    ),
    *with_and_without_slash(
        "senders", SenderViewSet.as_view({"get": "list", "post": "create"}), name="v0-senders"
    ),
    *with_and_without_slash(
        "senders/<id:sender_id>", SenderViewSet.as_view({"delete": "destroy"}), name="v0-sender"
    ),
    *with_and_without_slash("tariff", TariffViewSet.as_view({"get": "list"}), name="v0-tariff"),
    *with_and_without_slash("test/voice", TestVoice.as_view(), name="v0-test-voice"),
]
