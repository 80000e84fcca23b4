"""What both walks need: steps that are named and counted, and a look at what went over the wire."""

import sys

import requests


class Exchange:
    """The last request that the client sent, and the answer to it."""

    def __init__(self):
        self.method = self.path = self.status = self.headers = self.sent = None
        self.text = ""

    def __str__(self):
        said = f"{self.method} {self.path} -> {self.status}"
        return said + (f" {self.text[:300]}" if self.text else "")


last = Exchange()


def _watched(send):
    def watched(session, request, **options):
        response = send(session, request, **options)
        last.method, last.path = request.method, request.path_url
        last.sent = request.headers
        # A copy: openstacksdk takes out of the headers what it reads.
        last.headers = response.headers.copy()
        last.status, last.text = response.status_code, response.text
        return response

    return watched


# Both clients send with `requests`. This only looks on.
requests.Session.send = _watched(requests.Session.send)


def same(came, wanted, what="it"):
    # The type as well: for Python, 1 is True and 1.0.
    if came != wanted or type(came) is not type(wanted):
        raise AssertionError(f"{what} is {came!r}, wanted {wanted!r}")


def true(holds, what):
    if not holds:
        raise AssertionError(f"it does not hold that {what}")


def answered(status, method=None):
    """Whether the last answer, to the client's last request, had this status."""
    same(last.status, status, "the status")
    if method is not None:
        same(last.method, method, "the method")


def refused(error, call):
    """The error of the client's own kind that the call ends in."""
    try:
        came = call()
    except error as refusal:
        return refusal
    raise AssertionError(f"it was not refused: {came!r} came, wanted {error.__name__}")


class Steps:
    """Runs each step as it is defined; one that fails does not keep later ones from running."""

    def __init__(self, client):
        self.client = client
        self.passed = self.failed = 0

    def __call__(self, name):
        def run(step):
            try:
                step()
            except Exception as error:
                self.failed += 1
                why = " ".join(f"{type(error).__name__}: {error} (last: {last})".split())
                print(f"FAILED {self.client}: {name}: {why}", flush=True)
            else:
                self.passed += 1
                print(f"ok {self.client}: {name}", flush=True)
            return step

        return run

    def end(self):
        sys.exit(1 if self.failed else 0)
