"""What gunicorn serves: `gunicorn iris.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

from iris.bodies import ignore_charset
from iris.patience import be_patient

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")

application = be_patient(ignore_charset(get_wsgi_application()))
