"""The OpenAPI 3.1 schema of both dialects and of iris's additions.

Request bodies and filters come from the serializers and filter sets that parse them: each field says with `json_schema`
what it accepts. Views build their responses by hand, so each app describes these beside its routes, in `api/v0/schema.py`
and `api/v1/schema.py`. `manage.py schema --check` compares the result with the routes.
"""
