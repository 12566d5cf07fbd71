"""The answer of a browser about a passkey that does not exist."""

import json

FORGED = json.dumps(
    {
        "id": "AA",
        "rawId": "AA",
        "type": "public-key",
        "response": {
            "userHandle": "MQ",
            "clientDataJSON": "AA",
            "authenticatorData": "AA",
            "signature": "AA",
            "attestationObject": "AA",
        },
    }
)
