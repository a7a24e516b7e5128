"""Deployed functions, run: each execution environment is a process of its own that speaks Lambda's Runtime API.

Real: the deployed zip, the Runtime and Extensions APIs over loopback HTTP, credentials of the function's role, freezing
between invocations, one invocation at a time, time-outs, restarts. Emulated: the runtime interface client (`child/`),
the interpreter (this one; the function's log says when it is another version than the runtime's), placement.

Not emulated: the memory limit and the CPU share that comes with it, the size of /tmp (`TMPDIR` leads to a folder of the
environment; a literal "/tmp" is this machine's), a read-only /var/task, VPC networks, layers, X-Ray; and the cloud's
clock: a function sees real time when a drill has advanced it, while its log lines and embedded metrics are put on the
cloud's clock as they arrive (logs.py).

Sources: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, .../runtimes-extensions-api.html,
.../lambda-runtime-environment.html, .../configuration-envvars.html.
"""

from infra.rehearsal.cloud.functions.host import Answer, flush, functions_of, pids

__all__ = ["Answer", "flush", "functions_of", "pids"]
