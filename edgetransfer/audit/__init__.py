"""What is doubtful about a data set, as a list, a manifest and folders."""

from edgetransfer.audit.job import audit
from edgetransfer.audit.settings import AuditSettings

__all__ = ["AuditSettings", "audit"]
