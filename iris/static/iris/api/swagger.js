// Shows the OpenAPI document in Swagger UI. A script of its own, because pages contain no inline scripts.
"use strict";

const place = document.getElementById("api");
SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  validatorUrl: null, // asks no other server
});
