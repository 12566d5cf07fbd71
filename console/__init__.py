"""Web pages for people. They call the verbs that the APIs call, and add no rules of their own. Nothing imports them."""
