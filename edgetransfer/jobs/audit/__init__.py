"""What is doubtful about a data set, as a list, a manifest and folders."""

from edgetransfer.jobs.audit.job import audit
from edgetransfer.jobs.audit.settings import AuditSettings

__all__ = ["AuditSettings", "audit"]
