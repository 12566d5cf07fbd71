from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.core import checks
from django.db.backends.signals import connection_created


class AccountsConfig(AppConfig):
    name = "accounts"
    label = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from accounts import actors, audit
        from accounts.checks import check_rates

        checks.register(check_rates)
        connection_created.connect(actors.tell_new_connection, dispatch_uid="accounts.tell_new_connection")
        # Django sends these for the admin pages. The APIs have logins of their own.
        user_logged_in.connect(audit.note_admin_sign_in, dispatch_uid="accounts.note_admin_sign_in")
        user_logged_out.connect(audit.note_admin_sign_out, dispatch_uid="accounts.note_admin_sign_out")
