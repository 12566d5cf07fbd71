"""Say in words why there is no connection to the SMSC, and what its operator can do."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl

_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_ERRNO = re.compile(r"\[Errno (\d+)\]")


def reason_of(error: Exception) -> str:
    """Return the reason for the end of a connection, or why none was made. It never contains an errno."""
    if isinstance(error, ssl.SSLError):
        return _tls_problem(error)
    if isinstance(error, socket.gaierror):
        return "the name of the SMSC's host cannot be resolved. Check host, and this server's DNS"
    if isinstance(error, ConnectionRefusedError):
        return "nothing accepts connections at that address. Check host and port, and whether the SMSC is running"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError):
        return "the SMSC reset the connection"
    if isinstance(error, TimeoutError) or getattr(error, "errno", None) == errno.ETIMEDOUT:
        # A timeout of the operating system has an errno. Timeouts of asyncio and of iris have a message, which may be "".
        return "the SMSC's host did not respond" if getattr(error, "errno", None) else str(error)
    # If a name has several addresses, asyncio puts the errors of all of them into one sentence.
    if isinstance(error, OSError) and not error.errno and (first := _ERRNO.search(str(error))):
        return reason_of(OSError(int(first[1]), ""))
    if isinstance(error, OSError) and error.errno:
        return f"the network reports: {os.strerror(error.errno)}"
    return str(error) or f"an error that iris does not know ({type(error).__name__})"


def _tls_problem(error: ssl.SSLError) -> str:
    """Describe a TLS error, and what the operator has to do about it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"the TLS handshake failed ({error.reason or error}); is this the SMSC's port for TLS?"
    if error.verify_code in _NAME_MISMATCH:
        return (
            f"the SMSC's certificate is for another host: {error.verify_message} Set host to the name in it."
        )
    return (
        f"the SMSC's certificate is not trusted: {error.verify_message}. "
        "Set tls_ca to the certificate file of the authority that signed it."
    )
