"""What the API answers, as typed values, and nothing that asks it."""

from waybill.client.models.audit import AuditRecord
from waybill.client.models.base import Page, Resource
from waybill.client.models.batches import BATCH_ENDS, Batch, BatchCounts, BatchProblem, LineResult
from waybill.client.models.budgets import Balance, Budget, BudgetAlert
from waybill.client.models.capabilities import Capability
from waybill.client.models.costs import CostLine, CostReport, CostTotal, UsageLine, UsageReport
from waybill.client.models.events import FINAL_EVENTS, GAP, Event, ProjectEvent
from waybill.client.models.experiments import (
    Arm,
    ArmResults,
    Comparison,
    Difference,
    Experiment,
    Interval,
    Mismatch,
    Pairs,
    Plan,
    Progress,
    Results,
    ShadowResults,
)
from waybill.client.models.files import Artifact, File, FileUpload
from waybill.client.models.guard import (
    GuardFinding,
    GuardPolicy,
    GuardPolicyVersion,
    GuardReview,
    GuardScreening,
    GuardTemplate,
    GuardTemplates,
    PseudonymErasure,
    ScreenedText,
)
from waybill.client.models.jobs import (
    TERMINAL_STATES,
    Feedback,
    JobCost,
    JobError,
    JobRecord,
    JobTree,
    LedgerLine,
    Question,
    TreeNode,
)
from waybill.client.models.knowledge import Document, KnowledgeBase
from waybill.client.models.limits import Limit
from waybill.client.models.metrics import BacklogLine, Measures, MetricsLine, MetricsPoint, MetricsReport, Quantiles
from waybill.client.models.prices import Price
from waybill.client.models.registry import Alias, Deployment, Model, ModelVersion, Prompt, ResolvedModel, StageChange
from waybill.client.models.retention import Clock, Clocks, Scope
from waybill.client.models.tenancy import Key, Member, Organization, Project
from waybill.client.models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret

__all__ = [
    "BATCH_ENDS",
    "FINAL_EVENTS",
    "GAP",
    "TERMINAL_STATES",
    "Alias",
    "Arm",
    "ArmResults",
    "Artifact",
    "AuditRecord",
    "BacklogLine",
    "Balance",
    "Batch",
    "BatchCounts",
    "BatchProblem",
    "Budget",
    "BudgetAlert",
    "Capability",
    "Clock",
    "Clocks",
    "Comparison",
    "CostLine",
    "CostReport",
    "CostTotal",
    "Deployment",
    "Difference",
    "Document",
    "Event",
    "Experiment",
    "Feedback",
    "File",
    "FileUpload",
    "GuardFinding",
    "GuardPolicy",
    "GuardPolicyVersion",
    "GuardReview",
    "GuardScreening",
    "GuardTemplate",
    "GuardTemplates",
    "Interval",
    "JobCost",
    "JobError",
    "JobRecord",
    "JobTree",
    "Key",
    "KnowledgeBase",
    "LedgerLine",
    "Limit",
    "LineResult",
    "Measures",
    "Member",
    "MetricsLine",
    "MetricsPoint",
    "MetricsReport",
    "Mismatch",
    "Model",
    "ModelVersion",
    "Organization",
    "Page",
    "Pairs",
    "Plan",
    "Price",
    "Progress",
    "Project",
    "ProjectEvent",
    "Prompt",
    "PseudonymErasure",
    "Quantiles",
    "Question",
    "ResolvedModel",
    "Resource",
    "Results",
    "Scope",
    "ScreenedText",
    "ShadowResults",
    "StageChange",
    "TreeNode",
    "UsageLine",
    "UsageReport",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
]
