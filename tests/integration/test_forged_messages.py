"""What somebody with the broker's password puts into the queue must not stop the watcher."""

import base64
import json

import redis

from shared.queue import QUEUE_NAME, find_messages, publish_trials
from tests.factories import make_queued


def _message(body: bytes) -> str:
    return json.dumps({"body": base64.b64encode(body).decode(), "headers": {}, "properties": {}})


def test_messages_that_are_not_ours_are_passed_over(broker_url: str) -> None:
    publish_trials(broker_url, [make_queued(7)])
    with redis.Redis.from_url(broker_url) as client:
        for forged in (
            *("not json", "{}", "[]", "null", "3", json.dumps({"body": 5}), json.dumps({"body": "%%"})),
            *(_message(body) for body in (b"\x80\x04", b"{}", b"[]", b"[[]]", b'[["../../etc/passwd"]]')),
            _message(b'[["../../etc/passwd", "label", "2026-01-01T00:00:00+00:00"]]'),
        ):
            client.rpush(QUEUE_NAME, forged)
            client.hset("unacked", f"tag-{forged[:20]}", forged)
    messages = find_messages(broker_url)
    assert messages.waiting == {7}
    assert messages.delivered == set()
