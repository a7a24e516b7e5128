"""The emulated Athena's engine: a statement in Athena's dialect, over what lies in the emulated S3, on DuckDB.

A statement is read by sqlglot (`statement`), its tables are looked up in Glue with the caller's rights (`catalogue`),
views are put in the place of their names (`planning`), functions, operators and types are made to mean in DuckDB what
they mean in Athena (`functions`, `typing`), partitions are chosen by the predicates (`pruning`, `projection`), objects
are fetched with the caller's rights (`storage`), and a DuckDB that can open nothing else answers (`engine`). `results`
writes the answer as Athena does.
"""
