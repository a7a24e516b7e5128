"""The emulated Firehose's delivery: what PutRecord acknowledged lies in a journal on disk, and a process of its own
brings it to S3, at least once."""
