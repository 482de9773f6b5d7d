"""The only code that runs inside a job: it runs one task and says how it went."""
