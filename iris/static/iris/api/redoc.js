// Shows the OpenAPI document in Redoc. A script of its own, because pages contain no inline scripts.
"use strict";

const place = document.getElementById("api");
// The search would need a worker that is made of inline code.
Redoc.init(place.dataset.schema, { disableSearch: true, hideLoading: true }, place);
