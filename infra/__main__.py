"""What `pulumi up` runs. The stack's name says which layer of which environment."""

from infra import tuning

tuning.apply()

import pulumi  # noqa: E402 -- after the garbage collector's threshold, which it is raised for

from infra.program import program_for  # noqa: E402 -- as above

program_for(pulumi.get_stack())()
