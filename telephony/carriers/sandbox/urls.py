from django.urls import path

from telephony.carriers.sandbox.views import inbox, messages

urlpatterns = [
    path("", inbox, name="sandbox-inbox"),
    path("messages", messages, name="sandbox-messages"),
    path("messages/", messages),
]
