"""The emulated EventBridge: patterns, what a target is sent, and the delivery under EventBridge's own principal."""
