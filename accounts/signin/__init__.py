"""Sign-in of people in the browser, with django-allauth: password, two-step sign-in, passkeys, recovery codes and sessions.

The pages call the verbs that the APIs call, and have the limits of the API's login (`accounts.login_limits`). The admin pages have
no login of their own.
"""
