from django.apps import AppConfig


class IrisConfig(AppConfig):
    name = "iris"
    label = "iris"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, deploychecks  # noqa: F401
