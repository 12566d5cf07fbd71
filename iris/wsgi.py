"""What gunicorn serves: `gunicorn iris.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from iris.bodies import ignore_charset

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")

application = ignore_charset(get_wsgi_application())
