"""Send SMS to an SMSC that others wrote: Net::SMPP for Perl."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from telephony.models import OptOut, Trunk
from tests.scale import at_scale
from tests.telephony.smpp.processes import reusable_port
from tests.telephony.smpp.scripted import open_trunk

COUNT = at_scale(20, 300)
NEPALI = "नमस्कार, भोलि बिहान दश बजे वडा कार्यालयमा बैठक हुनेछ। कृपया समयमै आउनुहोला। धन्यवाद।"


@pytest.fixture
def perl_smsc(require_program: Callable[[str], str]) -> Iterator[int]:
    """Run the SMSC, and yield its port."""
    perl = require_program("perl")
    if subprocess.run([perl, "-MNet::SMPP", "-e", "1"], capture_output=True, check=False).returncode:
        sentence = "Net::SMPP for Perl (Debian: libnet-smpp-perl) is not installed."
        if os.environ.get("IRIS_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{sentence} IRIS_REQUIRE_SERVICES=1 asks for it.", pytrace=False)
        pytest.skip(sentence)
    port = reusable_port()
    script = Path(__file__).with_name("net_smpp.pl")
    with subprocess.Popen([perl, str(script), str(port)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield port
        process.kill()


@pytest.mark.field
@pytest.mark.django_db(transaction=True)
def test_sms_to_an_smsc_on_net_smpp(settings: Any, trunk: Trunk, perl_smsc: int) -> None:
    with open_trunk(settings, perl_smsc) as it:
        short = [f"{n:04d}" for n in range(1000, 1000 + COUNT)] + ["3077"]
        long = [f"{n:04d}" for n in range(4000, 4005)]
        it.send(*short)
        it.send(*long, text=NEPALI)
        it.wait_ended()
        parts = it.carrier.reports_on(NEPALI)
        assert parts > 1
        for name in it.deliveries:
            failed = ("FAILED", "refused", "UNDELIV, error 000", 0)
            delivered = ("COMPLETED", "", "DELIVRD", parts if name in long else 1)
            assert it.outcome(name) == (failed if name.endswith("11") else delivered)
        it.wait(lambda: OptOut.objects.filter(number=it.deliveries["3077"].to).exists())
