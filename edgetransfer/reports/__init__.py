"""What commands report, key by key: a typed dictionary for each, which is also its JSON.

Each is made in the room that does the work, printed by ``cli/``, given names by ``api/``, and kept
as ``report.json`` where there is a run. A key stands once, here; ``docs/json.md`` says the same of
real runs.
"""
