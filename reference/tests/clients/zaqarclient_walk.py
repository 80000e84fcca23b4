"""Walks through the Messaging API v2 at the URL given with python-zaqarclient."""

import http.client
import json
import sys
import urllib.parse
import uuid
from types import SimpleNamespace

from zaqarclient.queues import client
from zaqarclient.transport import errors

from steps import Steps, answered, last, refused, same, true

URL = sys.argv[1]
PROJECT = "walkers"
DEFAULTS = {
    "_max_messages_post_size": 262144,
    "_default_message_ttl": 3600,
    "_default_message_delay": 0,
    "_dead_letter_queue": None,
    "_dead_letter_queue_messages_ttl": None,
    "_max_claim_count": None,
    "_enable_encrypt_messages": False,
}
# Nobody listens there, and no message is posted where it subscribes.
SUBSCRIBER = "http://127.0.0.1:9/first"
OTHER_SUBSCRIBER = "http://127.0.0.1:9/second"


def client_of(project, **auth_opts):
    opts = {"backend": "noauth", "options": {"os_project_id": project}}
    return client.Client(URL, version=2, conf={"auth_opts": opts | auth_opts})


def bodies(messages):
    return [message.body for message in messages]


def ids(posted):
    return [resource.rsplit("/", 1)[1] for resource in posted["resources"]]


step = Steps("zaqarclient")
# What one step found, for those after it.
at = SimpleNamespace()
ours = client_of(PROJECT)
others = client_of(PROJECT)
strangers = client_of("strangers")
queue = ours.queue("walk", auto_create=False)
seen_by_others = others.queue("walk", auto_create=False)

# ── The service ──────────────────────────────────────────────────────────────


@step("ping")
def _():
    same(ours.ping(), True)
    answered(204, "GET")


@step("home document")
def _():
    resources = ours.homedoc()["resources"]
    for relation in ("rel/queues", "rel/queue", "rel/messages", "rel/claim", "rel/subscription"):
        true(relation in resources, f"{relation} is in {sorted(resources)}")
    answered(200, "GET")


@step("health: not there without admin mode")
def _():
    refused(errors.ResourceNotFound, ours.health)
    answered(404, "GET")


# ── Queues ───────────────────────────────────────────────────────────────────


@step("list of queues: empty")
def _():
    queues, count = ours.queues(with_count=True)
    same(list(queues), [])
    same(count, None, "the count")
    answered(200, "GET")


@step("queue create")
def _():
    ours.queue("walk", force_create=True)
    answered(201, "PUT")
    same(last.headers["Location"], "/v2/queues/walk", "Location")


@step("queue create: again")
def _():
    ours.queue("walk", force_create=True)
    answered(204, "PUT")


# The client asks by HEAD, which the API refuses by 405, which the client takes for a yes.
@step("queue exists: HEAD is 405, so that the client says yes")
def _():
    same(queue.exists(), True)
    answered(405, "HEAD")
    true("GET" in last.headers["Allow"], "Allow names GET")


@step("queue metadata get: the defaults")
def _():
    same(queue.metadata(), DEFAULTS)
    answered(200, "GET")


@step("queue metadata set")
def _():
    wanted = DEFAULTS | {"colour": "red", "_default_message_ttl": 1200}
    same(queue.metadata(new_meta={"colour": "red", "_default_message_ttl": 1200}), wanted)
    answered(200, "PATCH")
    same(ours.queue("walk", auto_create=False).metadata(), wanted, "what another reads")


@step("queue metadata set: another value, and back to a default")
def _():
    wanted = DEFAULTS | {"colour": "blue"}
    same(queue.metadata(new_meta={"colour": "blue"}), wanted)
    same(queue.metadata(force_reload=True), wanted, "what is read afterwards")


@step("queue metadata set: out of range is refused")
def _():
    error = refused(
        errors.MalformedRequest, lambda: queue.metadata(new_meta={"_default_message_ttl": 1})
    )
    true("Title: " in str(error) and "Description: " in str(error), f"{error} is explained")
    answered(400, "PATCH")
    same(queue.metadata(force_reload=True), DEFAULTS | {"colour": "blue"}, "what is left")


@step("queue metadata set: none are left")
def _():
    same(queue.metadata(new_meta={}), DEFAULTS)


@step("queue metadata set: an unknown queue is refused")
def _():
    unknown = ours.queue("unknown", auto_create=False)
    refused(errors.ResourceNotFound, lambda: unknown.metadata(new_meta={"colour": "red"}))
    answered(404, "PATCH")


@step("list of queues: by pages of two, with metadata and their count")
def _():
    for name in ("a", "b-2", "c_3", "d"):
        ours.queue(name, force_create=True)
    queues, count = ours.queues(limit=2, detailed=True, with_count=True)
    queues = list(queues.stream())
    same([found.name for found in queues], ["a", "b-2", "c_3", "d", "walk"], "the names")
    same([found.href for found in queues], [f"/v2/queues/{found.name}" for found in queues])
    same([found.metadata() for found in queues], [DEFAULTS] * 5, "the metadata")
    same(count, 5, "the count")


@step("list of queues: after a marker")
def _():
    queues, _ = ours.queues(marker="b-2", limit=2)
    same([found.name for found in queues], ["c_3", "d"])


@step("list of queues: another project has none")
def _():
    same(list(strangers.queues()[0]), [])


@step("queue stats: empty")
def _():
    same(queue.stats, {"messages": {"claimed": 0, "free": 0, "total": 0}})
    answered(200, "GET")


# ── Messages ─────────────────────────────────────────────────────────────────

BODIES = ["one", {"two": [2, None, True]}, 3, ["four"], "fünf \U0001f600", 6.5, None]


@step("messages post: several")
def _():
    messages = [{"body": body, "ttl": 300 + index} for index, body in enumerate(BODIES)]
    posted = queue.post(messages)
    answered(201, "POST")
    same(list(posted), ["resources"], "the members of the answer")
    at.ids = ids(posted)
    same(len(set(at.ids)), len(BODIES), "the number of ids")
    same(posted["resources"], [f"/v2/queues/walk/messages/{id}" for id in at.ids])


@step("messages list: with echo, all in order")
def _():
    messages = list(queue.messages(echo=True))
    answered(200, "GET")
    same(bodies(messages), BODIES, "the bodies")
    same([message.id for message in messages], at.ids, "the ids")
    same([message.ttl for message in messages], [300 + n for n in range(len(BODIES))], "the ttls")
    same([message.claim_id for message in messages], [None] * len(BODIES), "the claims")
    true(all(0 <= message.age < 60 for message in messages), "no message is a minute old")


@step("messages list: without echo, none of one's own")
def _():
    same(list(queue.messages()), [])
    same(list(queue.messages(echo=False)), [])


@step("messages list: another client sees them")
def _():
    same(bodies(seen_by_others.messages()), BODIES)


@step("messages list: by pages of two")
def _():
    same(bodies(queue.messages(echo=True, limit=2)), BODIES[:2], "the first page")
    same(bodies(queue.messages(echo=True, limit=2).stream()), BODIES, "all pages")


@step("messages list: another project sees none")
def _():
    same(list(strangers.queue("walk", auto_create=False).messages(echo=True)), [])


@step("message post: one, with the default ttl")
def _():
    posted = queue.post({"body": "alone"})
    [at.alone] = ids(posted)
    message = queue.message(at.alone)
    same((message.id, message.body, message.ttl), (at.alone, "alone", 3600))


@step("message get: by id")
def _():
    message = queue.message(at.ids[1])
    answered(200, "GET")
    same((message.id, message.body, message.ttl), (at.ids[1], BODIES[1], 301))
    same(message.href, f"/v2/queues/walk/messages/{at.ids[1]}", "href")


@step("message get: an unknown id is not found")
def _():
    refused(errors.ResourceNotFound, lambda: queue.message(str(uuid.uuid4())))
    answered(404, "GET")


@step("messages get: by ids")
def _():
    messages = list(queue.messages(at.ids[2], at.ids[0], str(uuid.uuid4())))
    answered(200, "GET")
    same(bodies(messages), [BODIES[2], BODIES[0]])


@step("messages get: unknown ids are not found")
def _():
    refused(errors.ResourceNotFound, lambda: queue.messages(str(uuid.uuid4()), str(uuid.uuid4())))


@step("messages post: a ttl out of range is refused, and nothing is kept")
def _():
    error = refused(
        errors.MalformedRequest, lambda: queue.post([{"body": 1, "ttl": 60}, {"body": 2, "ttl": 1}])
    )
    true("Title: " in str(error) and "Description: " in str(error), f"{error} is explained")
    answered(400, "POST")
    same(bodies(queue.messages(echo=True)), BODIES + ["alone"])


@step("queue stats: with messages")
def _():
    stats = queue.stats["messages"]
    same({key: stats[key] for key in ("claimed", "free", "total")},
         {"claimed": 0, "free": 8, "total": 8})
    same(stats["oldest"]["href"], f"/v2/queues/walk/messages/{at.ids[0]}", "the oldest")
    same(stats["newest"]["href"], f"/v2/queues/walk/messages/{at.alone}", "the newest")
    same(sorted(stats["oldest"]), ["age", "created", "href"], "the members of the oldest")


@step("message delete")
def _():
    queue.message(at.ids[1]).delete()
    answered(204, "DELETE")
    refused(errors.ResourceNotFound, lambda: queue.message(at.ids[1]))


@step("messages delete: many")
def _():
    queue.delete_messages(at.ids[0], at.ids[2], str(uuid.uuid4()))
    answered(204, "DELETE")
    same(bodies(queue.messages(echo=True)), BODIES[3:] + ["alone"])


@step("messages pop")
def _():
    messages = list(queue.pop(count=2))
    answered(200, "DELETE")
    same(bodies(messages), BODIES[3:5])
    same([message.id for message in messages], at.ids[3:5], "the ids")
    same(bodies(queue.messages(echo=True)), BODIES[5:] + ["alone"], "what is left")


@step("messages pop: one, by default")
def _():
    same(bodies(queue.pop()), BODIES[5:6])


@step("messages pop: out of range is refused")
def _():
    refused(errors.MalformedRequest, lambda: queue.pop(count=21))


@step("messages pop: the rest, then nothing")
def _():
    same(bodies(queue.pop(count=20)), BODIES[6:] + ["alone"])
    same(list(queue.pop(count=20)), [])
    answered(200, "DELETE")


# ── Claims ───────────────────────────────────────────────────────────────────


@step("claim create: of an empty queue")
def _():
    claim = queue.claim(ttl=300, grace=60)
    answered(204, "POST")
    same((claim.id, list(claim)), (None, []))


@step("claim create")
def _():
    at.ids = ids(queue.post([{"body": body, "ttl": 600} for body in ("a", "b", "c", "d")]))
    at.claim = queue.claim(ttl=300, grace=60, limit=3)
    answered(201, "POST")
    true(at.claim.id, "the claim has an id")
    same(last.headers["Location"], f"/v2/queues/walk/claims/{at.claim.id}", "Location")
    at.claimed = list(at.claim)
    same(bodies(at.claimed), ["a", "b", "c"])
    same([message.id for message in at.claimed], at.ids[:3], "the ids")
    same([message.claim_id for message in at.claimed], [at.claim.id] * 3, "the claims")


@step("claim create: what is claimed is out of reach of others")
def _():
    same(bodies(seen_by_others.messages()), ["d"], "what another lists")
    same(bodies(seen_by_others.messages(include_claimed=True)), ["a", "b", "c", "d"], "with claimed")
    rest = seen_by_others.claim(ttl=300, grace=60)
    same(bodies(list(rest)), ["d"], "what another claims")
    rest.delete()
    stats = queue.stats["messages"]
    same((stats["claimed"], stats["free"], stats["total"]), (3, 1, 4), "the stats")


@step("claim get")
def _():
    claim = queue.claim(id=at.claim.id)
    same(bodies(list(claim)), ["a", "b", "c"])
    answered(200, "GET")
    same(claim.ttl, 300, "its ttl")
    true(0 <= claim.age < 60, "it is no minute old")


@step("claim get: unknown is not found")
def _():
    refused(errors.ResourceNotFound, lambda: list(queue.claim(id=str(uuid.uuid4()))))


@step("claim update")
def _():
    at.claim.update(ttl=600, grace=120)
    answered(204, "PATCH")
    same(queue.claim(id=at.claim.id).ttl, 600, "its ttl")


@step("claim update: out of range is refused")
def _():
    refused(errors.MalformedRequest, lambda: at.claim.update(ttl=1))
    answered(400, "PATCH")
    same(queue.claim(id=at.claim.id).ttl, 600, "its ttl")


@step("message delete: claimed, without the claim, is forbidden")
def _():
    # By id the client gets an href with the claim: it deletes by this one.
    message = queue.message(at.ids[0])
    message.href = message.href.split("?")[0]
    refused(errors.ForbiddenError, message.delete)
    answered(403, "DELETE")


@step("message delete: claimed, under its claim")
def _():
    at.claimed[0].delete()
    answered(204, "DELETE")
    same(bodies(list(queue.claim(id=at.claim.id))), ["b", "c"], "what the claim still has")


@step("message delete: under a claim that is not there is refused")
def _():
    message = at.claimed[1]
    message.href = f"/v2/queues/walk/messages/{message.id}?claim_id={uuid.uuid4()}"
    refused(errors.MalformedRequest, message.delete)
    answered(400, "DELETE")


@step("claim release: its messages are back where they were")
def _():
    at.claim.delete()
    answered(204, "DELETE")
    refused(errors.ResourceNotFound, lambda: list(queue.claim(id=at.claim.id)))
    same(bodies(seen_by_others.messages()), ["b", "c", "d"])
    again = queue.claim(ttl=60, grace=60)
    same(bodies(list(again)), ["b", "c", "d"], "what is claimed again")
    again.delete()


# Without them the client sends `null` for both, which are no integers.
@step("claim create: without ttl and grace the client sends nulls, which are refused")
def _():
    refused(errors.MalformedRequest, queue.claim)
    answered(400, "POST")


@step("queue purge")
def _():
    queue.purge(resource_types=["messages"])
    answered(204, "POST")
    same(list(queue.messages(echo=True, include_claimed=True)), [])


# ── Subscriptions ────────────────────────────────────────────────────────────


@step("subscription create")
def _():
    options = {"post_headers": {"X-Walk": "1"}}
    at.subscription = ours.subscription("a", subscriber=SUBSCRIBER, ttl=600, options=options)
    answered(200, "GET")
    true(at.subscription.id, "it has an id")
    same(at.subscription.subscriber, SUBSCRIBER)
    same(at.subscription.ttl, 600, "its ttl")
    same(at.subscription.options, options, "its options")
    same(at.subscription.confirmed, False, "confirmed")
    true(0 <= at.subscription.age < 60, "it is no minute old")


@step("subscription create: again, unconfirmed, is the same one")
def _():
    again = ours.subscription("a", subscriber=SUBSCRIBER, ttl=600)
    same(again.id, at.subscription.id)


@step("subscription create: a scheme that is not served is refused")
def _():
    refused(errors.MalformedRequest, lambda: ours.subscription("a", subscriber="gopher://there"))
    answered(400, "POST")


@step("subscription get")
def _():
    found = ours.subscription("a", id=at.subscription.id)
    same((found.subscriber, found.ttl), (SUBSCRIBER, 600))
    same(found.options, {"post_headers": {"X-Walk": "1"}}, "its options")


@step("subscription get: unknown is not found")
def _():
    refused(errors.ResourceNotFound, lambda: ours.subscription("a", id=str(uuid.uuid4())))
    refused(errors.ResourceNotFound, lambda: ours.subscription("d", id=at.subscription.id))


@step("subscriptions list")
def _():
    other = ours.subscription("a", subscriber=OTHER_SUBSCRIBER, ttl=120)
    wanted = {at.subscription.id: (SUBSCRIBER, 600), other.id: (OTHER_SUBSCRIBER, 120)}
    found = list(ours.queue("a", auto_create=False).subscriptions())
    same({one.id: (one.subscriber, one.ttl) for one in found}, wanted)
    same([one.queue_name for one in found], ["a", "a"], "the sources")
    found = list(ours.subscriptions("a", limit=1).stream())
    same([one.id for one in found], sorted(wanted), "what comes by pages of one")
    at.other = other


@step("subscription update")
def _():
    at.subscription.update({"ttl": 900, "options": {}})
    answered(204, "PATCH")
    found = ours.subscription("a", id=at.subscription.id)
    same((found.subscriber, found.ttl, found.options), (SUBSCRIBER, 900, {}))


@step("subscription update: to one that is there conflicts")
def _():
    refused(
        errors.ConflictError, lambda: at.subscription.update({"subscriber": OTHER_SUBSCRIBER})
    )
    answered(409, "PATCH")


@step("subscription delete")
def _():
    at.subscription.delete()
    answered(204, "DELETE")
    refused(errors.ResourceNotFound, lambda: ours.subscription("a", id=at.subscription.id))
    same([one.id for one in ours.subscriptions("a")], [at.other.id], "those left")


# ── Pre-signed URLs ──────────────────────────────────────────────────────────


def signed_client(signed, **changed):
    options = signed | {"os_project_id": signed["project"]} | changed
    return client_of(PROJECT, backend="signed-url", options=options)


def signed_by_hand(signed, **changed):
    """Status and body of a GET with the headers alone, without the client."""
    headers = {
        "Client-ID": str(uuid.uuid4()),
        "X-Project-ID": signed["project"],
        "URL-Signature": signed["signature"],
        "URL-Expires": signed["expires"],
        "URL-Methods": ",".join(signed["methods"]),
        "URL-Paths": ",".join(signed["paths"]),
    }
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(URL).netloc, timeout=30)
    try:
        connection.request("GET", "/v2/queues/walk/messages", headers=headers | changed)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


@step("signed URL create")
def _():
    queue.post([{"body": "for guests", "ttl": 600}])
    at.signed = queue.signed_url(paths=["messages"], ttl_seconds=600, methods=["GET"])
    answered(200, "POST")
    same(sorted(at.signed), ["expires", "methods", "paths", "project", "signature"])
    same(at.signed["paths"], ["/v2/queues/walk/messages"], "the paths")
    same(at.signed["methods"], ["GET"], "the methods")
    same(at.signed["project"], PROJECT, "the project")


@step("signed URL: with it another client reads")
def _():
    guests = signed_client(at.signed).queue("walk", auto_create=False)
    same(bodies(guests.messages(limit=1)), ["for guests"])
    same(last.sent["URL-Signature"], at.signed["signature"], "the signature sent")
    same(bodies(guests.messages(limit=1).stream()), ["for guests"], "all pages")


@step("signed URL: not another method")
def _():
    guests = signed_client(at.signed).queue("walk", auto_create=False)
    refused(errors.ResourceNotFound, lambda: guests.post({"body": "unasked", "ttl": 600}))
    answered(404, "POST")
    same(bodies(queue.messages(echo=True)), ["for guests"], "what is there")


@step("signed URL: not another path")
def _():
    guests = signed_client(at.signed)
    refused(errors.ResourceNotFound, lambda: guests.queue("a", auto_create=False).messages())
    refused(errors.ResourceNotFound, lambda: guests.subscriptions("walk"))
    refused(errors.ResourceNotFound, lambda: guests.queue("walk", auto_create=False).stats)


@step("signed URL: not what was changed afterwards")
def _():
    for changed in (
        {"signature": "0" * 64},
        {"methods": ["GET", "POST"]},
        {"paths": ["/v2/queues/walk/messages", "/v2/queues/a/messages"]},
        {"expires": "2999-01-01T00:00:00"},
        {"os_project_id": "strangers"},
    ):
        guests = signed_client(at.signed, **changed).queue("walk", auto_create=False)
        refused(errors.ResourceNotFound, guests.messages)


@step("signed URL: for posting")
def _():
    signed = queue.signed_url(paths=["messages"], methods=["POST"])
    guests = signed_client(signed).queue("walk", auto_create=False)
    guests.post({"body": "from a guest", "ttl": 600})
    answered(201, "POST")
    same(bodies(queue.messages(echo=True)), ["for guests", "from a guest"])
    refused(errors.ResourceNotFound, guests.messages)


@step("signed URL: with its headers alone")
def _():
    status, body = signed_by_hand(at.signed)
    same(status, 200, "the status")
    same([one["body"] for one in body["messages"]], ["for guests", "from a guest"])
    status, body = signed_by_hand(at.signed, **{"URL-Signature": ""})
    same(status, 404, "the status without the signature")


@step("signed URL create: one that has expired is refused")
def _():
    refused(errors.MalformedRequest, lambda: queue.signed_url(ttl_seconds=-60))
    answered(400, "POST")


# ── The end of queues ────────────────────────────────────────────────────────


@step("queue delete: with its messages")
def _():
    queue.delete()
    answered(204, "DELETE")
    same([found.name for found in ours.queues()[0]], ["a", "b-2", "c_3", "d"], "those left")
    same(list(queue.messages(echo=True)), [])
    same(queue.stats, {"messages": {"claimed": 0, "free": 0, "total": 0}})


@step("queue delete: all of them")
def _():
    at.other.delete()
    for name in ("a", "b-2", "c_3", "d", "walk"):
        ours.queue(name, auto_create=False).delete()
        answered(204, "DELETE")
    same(list(ours.queues()[0]), [])


step.end()
