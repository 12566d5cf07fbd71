from django.urls import path

from telephony.carriers.sandbox_views import inbox, messages

urlpatterns = [
    path("", inbox, name="sandbox-inbox"),
    path("messages", messages, name="sandbox-messages"),
    path("messages/", messages),
]
