"""The addresses of the OpenAPI document and of the pages that show it."""

from iris.api.openapi import views
from iris.api.views import with_and_without_slash

urlpatterns = [
    *with_and_without_slash("schema", views.schema, name="api-schema"),
    *with_and_without_slash("docs", views.swagger, name="api-docs"),
    *with_and_without_slash("redoc", views.redoc, name="api-redoc"),
    *with_and_without_slash("docs/errors", views.errors, name="api-errors"),
    *with_and_without_slash("docs/errors/<slug:code>", views.error, name="api-error"),
]
