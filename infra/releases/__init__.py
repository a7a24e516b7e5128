"""A person's part in releases: which version is asked for, how one is ended, undone, allowed again, and looked at.

The decisions are pure; what calls AWS takes a Target. The gate and the verdict stand in `pulumi up`, not here.
"""
