"""Finds what a killed update left half done, and clears it up before the next one makes it a second time."""

from infra.recover.recover import Pulumi, Recovered, Unresolved, plan, recover, recover_before

__all__ = ["Pulumi", "Recovered", "Unresolved", "plan", "recover", "recover_before"]
