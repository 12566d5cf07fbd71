"""Run a whole iris that calls over a SIP trunk, in processes of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live import LiveIris


class SipIris(LiveIris):
    """An iris with one SIP trunk. `trunk` is its table [carriers.line] for carriers.toml. The test starts its worker."""

    def __init__(self, home: Path, trunk: str, **environment: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        carriers = home / "carriers.toml"
        carriers.write_text(f'{trunk}\n[routes]\ncall = ["line"]\nsms = []\n')
        super().__init__(home / "home", IRIS_CARRIERS_FILE=str(carriers), **environment)

    def call(self, name: str, numbers: Sequence[int], message: str) -> int:
        """Begin a campaign that calls these numbers. Return its id."""
        created = self.demo.post(
            "/api/system/campaigns/",
            json={"name": name, "services": "PHONE", "individual_number": list(numbers)},
        )
        assert created.status_code == 201, created.text
        campaign: int = created.json()["data"]["details"][0]["id"]
        begun = self.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": message})
        assert begun.status_code == 200, begun.text
        return campaign

    def call_from_a_bought_number(self) -> str:
        """Return the demo account's numbers, buy another one, and return it."""
        owned = self.demo.get("/api/system/owned/phone_numbers").json()["data"]["owned_numbers"]
        for number in owned:
            self._choose("DELETE", number)
        mine = {number["phone_number"] for number in owned}
        for_sale = self.demo.get("/api/system/phone_numbers").json()["data"]["number_lists"]
        chosen = next(number for number in for_sale if number["phone_number"] not in mine)
        self._choose("POST", chosen)
        return str(chosen["phone_number"])

    def _choose(self, method: str, number: dict[str, Any]) -> None:
        sid = {"phone_sid": number["phone_number_sid"]}
        answer = self.demo.request(method, "/api/system/phone_numbers", json=sid)
        assert answer.status_code == 200, answer.text


@contextmanager
def sip_iris(home: Path, trunk: str, **environment: str) -> Iterator[SipIris]:
    iris = SipIris(home, trunk, **environment)
    try:
        iris.start()
        yield iris
        iris.check_ledger()
    finally:
        iris.stop()
