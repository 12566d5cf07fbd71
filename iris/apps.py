import gc

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin import apps as admin_apps

from iris import USUAL_GC_THRESHOLDS


class IrisConfig(AppConfig):
    name = "iris"
    label = "iris"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts.people import registry

        from . import checks, deploychecks  # noqa: F401

        registry.register("iris.kept_answers")

        gc.freeze()  # loaded modules stay in memory, so later collections need not examine them
        gc.set_threshold(*USUAL_GC_THRESHOLDS)


class AdminConfig(admin_apps.AdminConfig):
    """The admin pages, without those of allauth: these show the secrets of authenticator apps."""

    default = False
    default_site = "accounts.signin.admin_site.OperatorSite"

    def ready(self) -> None:
        super().ready()
        for model in list(admin.site._registry):
            if model.__module__.startswith("allauth."):
                admin.site.unregister(model)
