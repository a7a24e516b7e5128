"""The real `pulumi` on the emulated cloud: its project folder, its environment, its commands."""
