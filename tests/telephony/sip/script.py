"""Write SIPp scenarios: the last two digits of the called number choose what the far end does, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

_sequence = count(10)  # of our own requests within calls

_HEAD = """    [last_Via:]
    [last_From:]
    [last_To:]{tag}
    [last_Call-ID:]
    [last_CSeq:]
    Contact: {contact}
{headers}"""
CONTACT = "<sip:[contact]>"
TAG = ";tag=[pid]SIPp[call_number]"


def scenario(cases: Mapping[str, Sequence[str]]) -> str:
    """Return a scenario in which a number that ends with a key of `cases` gets its steps."""
    finds = "\n".join(
        f'      <ereg regexp="{digits}@" search_in="hdr" header="To:" assign_to="is{digits}"/>'
        for digits in cases
    )
    jumps = "\n".join(f'  <nop next="case{digits}" test="is{digits}"/>' for digits in cases)
    parts = "\n".join(
        f'  <label id="case{digits}"/>\n' + "\n".join(steps) + '\n  <nop next="end"/>'
        for digits, steps in cases.items()
    )
    return f"""<?xml version="1.0" encoding="UTF-8" ?>
<scenario name="script">
  <recv request="INVITE" rrs="true">
    <action>
      <ereg regexp="sip:([0-9+]+)@" search_in="hdr" header="To:" assign_to="to,number"/>
      <ereg regexp="m=audio ([0-9]+)" search_in="body" assign_to="media,port"/>
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="from_header"/>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="to_header"/>
      <ereg regexp=".*" search_in="hdr" header="Via:" assign_to="via_header"/>
      <ereg regexp=".*" search_in="hdr" header="CSeq:" assign_to="cseq_header"/>
{finds}
      <log message="[$number] [$port] [$from_header]"/>
    </action>
  </recv>
  <Reference variables="to,media,from_header,to_header,via_header,cseq_header,number,port"/>
{jumps}
{parts}
  <label id="end"/>
  <nop/>
</scenario>
"""


def sdp(
    *,
    port: str = "[rtp_port]",
    address: str = "[local_ip]",
    direction: str = "sendrecv",
    formats: str = "8 101",
    version: int = 1,
    more: str = "",
) -> str:
    names = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "96": "telephone-event/8000"}
    names |= {"13": "CN/8000", "101": "telephone-event/8000"}
    maps = "".join(f"    a=rtpmap:{one} {names[one]}\n" for one in formats.split())
    return (
        f"    v=0\n    o=phone 1 {version} IN IP4 [local_ip]\n    s=-\n    c=IN IP4 {address}\n    t=0 0\n"
        f"    m=audio {port} RTP/AVP {formats}\n{maps}{more}    a={direction}\n"
    )


def respond(
    status: str,
    *,
    headers: str = "",
    body: str = "",
    tag: str = TAG,
    once: bool = False,
    contact: str = CONTACT,
) -> str:
    """Send a response to the latest request. A final one is repeated until the next step, unless `once`."""
    repeats = "" if status[0] == "1" or once else ' retrans="500"'
    lines = _HEAD.format(
        tag=tag, contact=contact, headers="".join(f"    {line}\n" for line in headers.splitlines())
    )
    content = "    Content-Length: 0\n"
    if body:
        content = f"    Content-Type: application/sdp\n    Content-Length: [len]\n\n{body}"
    return f"  <send{repeats}><![CDATA[\n\n    SIP/2.0 {status}\n{lines}{content}\n  ]]></send>"


def ring() -> str:
    return respond("180 Ringing")


def answer(body: str | None = None, *, once: bool = False, tag: str = TAG) -> str:
    return respond("200 OK", body=sdp() if body is None else body, once=once, tag=tag)


def answer_again(*, tag: str = TAG) -> str:
    """Send the 200 of the INVITE once more, or that of another phone, after other messages of the call."""
    return f"""  <send><![CDATA[

    SIP/2.0 200 OK
    Via:[$via_header]
    From:[$from_header]
    To:[$to_header]{tag}
    Call-ID: [call_id]
    CSeq:[$cseq_header]
    Contact: <sip:[contact]>
    Content-Type: application/sdp
    Content-Length: [len]

{sdp()}
  ]]></send>"""


def receive(request: str) -> str:
    return f'  <recv request="{request}"/>'


def refuse(status: str, headers: str = "") -> list[str]:
    return [respond(status, headers=headers), receive("ACK")]


def pick_up(body: str | None = None) -> list[str]:
    return [ring(), pause(100), answer(body), receive("ACK")]


def pause(milliseconds: int) -> str:
    return f'  <pause milliseconds="{milliseconds}"/>'


def listen() -> list[str]:
    """Wait until the caller hangs up."""
    return [receive("BYE"), respond("200 OK", tag="", once=True)]


def request(
    method: str,
    *,
    headers: str = "",
    body: str = "",
    content_type: str = "application/sdp",
    status: str = "200",
) -> str:
    """Send a request in the call, and expect this status."""
    sequence = next(_sequence)
    lines = "".join(f"    {line}\n" for line in headers.splitlines())
    content = f"    Content-Type: {content_type}\n" if body else ""
    return f"""  <send retrans="500"><![CDATA[

    {method} [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From:[$to_header]{TAG}
    To:[$from_header]
    Call-ID: [call_id]
    CSeq: {sequence} {method}
    Contact: <sip:[contact]>
    Max-Forwards: 70
{lines}{content}    Content-Length: [len]

{body}
  ]]></send>
  <recv response="{status}" rtd="true"/>"""


def hang_up(reason: str = "") -> list[str]:
    return [request("BYE", headers=f"Reason: {reason}" if reason else "")]


def info(body: str, content_type: str = "application/dtmf-relay") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return request("INFO", body=lines, content_type=content_type)


def reinvite(body: str, *, status: str = "200", confirmed: str = "") -> list[str]:
    """Send an INVITE in the call. `confirmed` is the session description in the ACK, for an INVITE without one."""
    invite = request("INVITE", body=body, status=status)
    sequence = invite.partition("CSeq: ")[2].partition(" ")[0]
    return [
        invite,
        f"""  <send><![CDATA[

    ACK [next_url] SIP/2.0
    Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
    From:[$to_header]{TAG}
    To:[$from_header]
    Call-ID: [call_id]
    CSeq: {sequence} ACK
    Max-Forwards: 70
{"    Content-Type: application/sdp" if confirmed else "    X-Ack: yes"}
    Content-Length: [len]

{confirmed}
  ]]></send>""",
    ]
