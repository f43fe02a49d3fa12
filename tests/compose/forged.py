"""What somebody with the broker's password might send."""

import base64
import json
import pickle

from shared.queue import QUEUE_NAME


class _Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os  # noqa: PLC0415

        return os.system, ("touch /tmp/forged",)


def forged_messages() -> list[str]:
    """Code in a pickle, other tasks, paths, SQL, and what is no message at all."""
    own = "train_architecture"
    return [
        _message(own, pickle.dumps(_Attack()), "application/x-python-serialize", "binary"),
        _message("os.system", _call("touch /tmp/forged")),
        _message("worker.task.explain_failure", _call("x")),
        _message(own, _call("../../../etc/passwd", "x")),
        _message(own, _call("1; drop table trials", "x")),
        _message(own, _call(10**30, "x")),
        _message(own, _call(10**6, "../../etc/passwd")),
        _message(own, b"not json"),
        _message(own, _call()),
        "not json at all",
    ]


def _message(task: str, body: bytes, kind: str = "application/json", encoding: str = "utf-8") -> str:
    properties = {
        "correlation_id": task,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUE_NAME},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": f"{task}-{len(body)}",
    }
    headers = {
        "lang": "py",
        "task": task,
        "id": f"{task}-{len(body)}",
        "root_id": None,
        "parent_id": None,
    }
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-encoding": encoding,
            "content-type": kind,
            "headers": headers,
            "properties": properties,
        }
    )


def _call(*arguments: object) -> bytes:
    return json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None}]).encode()
