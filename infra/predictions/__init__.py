"""The prediction log as its readers see it: questions in SQL, asked through Athena."""
