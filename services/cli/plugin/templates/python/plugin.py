#!/usr/bin/env python3
"""Greets somebody. Needs Python 3.6 or newer and nothing else on the node."""
import json
import sys
import traceback


class Failure(Exception):
    """The action cannot do its work; `code` says what kind of failure it is (docs/plugins.md of RUNE)."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code = code
        self.details = details


def tell(record):
    """One structured line for the mediator, on standard error."""
    sys.stderr.write("\x1eRUNE " + json.dumps(record) + "\n")
    sys.stderr.flush()


def log(level, message):
    tell({"type": "log", "level": level, "message": message})


def progress(percent, message):
    tell({"type": "progress", "percent": percent, "message": message})


def act(parameters, dry_run):
    """Does the work and returns the output, or raises Failure."""
    name = parameters["name"]
    greeting = "Hello, " + name
    if name == "nobody":
        raise Failure(3, "There is nobody to greet", name=name)

    # What changes the node stands below this line: a dry run ends here.
    if dry_run:
        return {"greeting": greeting}

    log("info", "greeting " + name)
    progress(50, "half of the work is done")
    return {"greeting": greeting}


def main():
    document = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    payload = document["payload"]
    dry_run = payload["context"].get("dry_run", False)
    answer = {
        "message_metadata": document["message_metadata"],
        "payload": None,
        "error": None,
        "observability": document.get("observability"),
    }
    try:
        output = act(payload["input_parameters"], dry_run)
        answer["payload"] = {"result": "dry_run" if dry_run else "success", "output_data": output}
    except Failure as failure:
        answer["error"] = {"code": failure.code, "message": str(failure), "details": failure.details}
    except Exception as fault:  # Whatever it is, the answer must say so.
        traceback.print_exc()
        answer["error"] = {"code": 100, "message": "The plugin met a fault: " + repr(fault), "details": {}}
    # Standard output holds this one object and nothing else.
    print(json.dumps(answer))
    return 0 if answer["error"] is None else answer["error"]["code"]


if __name__ == "__main__":
    sys.exit(main())
