"""A process that knows nothing of the rehearsal: boto3 and an endpoint URL. One call a line in, one outcome a line out.

Started as `python plain_client.py URL REGION`. Bytes travel as {"$bytes": base64}.
"""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

import boto3
from botocore import xform_name
from botocore.exceptions import ClientError


def main(url: str, region: str) -> None:
    clients: dict[tuple[str, str], Any] = {}
    for line in sys.stdin:
        call = json.loads(line, object_hook=_bytes)
        key = (call["service"], call["access_key_id"])
        if key not in clients:
            session = boto3.Session(
                aws_access_key_id=call["access_key_id"],
                aws_secret_access_key=call["secret_access_key"],
                aws_session_token=call["session_token"] or None,
                region_name=region,
            )
            clients[key] = session.client(call["service"], endpoint_url=url)
        print(json.dumps(_outcome(clients[key], call["operation"], call["params"]), default=str), flush=True)


def _outcome(client: Any, operation: str, params: dict[str, Any]) -> dict[str, Any]:
    try:
        output = getattr(client, xform_name(operation))(**params)
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return {
            "code": error.response["Error"]["Code"],
            "message": error.response["Error"]["Message"],
            "status": status,
        }
    except Exception as error:
        return {"code": type(error).__name__, "message": str(error), "status": 0}
    status = output.pop("ResponseMetadata")["HTTPStatusCode"]
    if "Body" in output:
        output["Body"] = output["Body"].read().decode("utf-8", "replace")
    return {"code": "ok", "message": "", "status": status, "output": output}


def _bytes(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["$bytes"]) if set(value) == {"$bytes"} else value


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
