"""What travels between processes: every record as code, with its limits; see `schemas.generate`."""
