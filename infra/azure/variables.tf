# Who runs it: company.auto.tfvars. How large it is: dev.tfvars, prod.tfvars.

variable "environment" {
  description = "Part of every name and a tag."
  type        = string
  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "The environment is dev or prod."
  }
}

variable "location" {
  description = "Region; production needs one with three availability zones."
  type        = string
}

variable "suffix" {
  description = "Makes those names unique that all of Azure shares: vault, registry, accounts, servers."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9]{3,8}$", var.suffix))
    error_message = "The suffix is 3 to 8 lowercase letters and digits."
  }
}

variable "domain" {
  description = "Host name of production; other environments are below it, such as dev.waybill.example.com."
  type        = string
}

variable "owner" {
  description = "Tag: the team that answers for these resources."
  type        = string
}

variable "cost_center" {
  description = "Tag: where the costs are booked."
  type        = string
}

variable "administrators" {
  description = "Entra ID group that administers the cluster, the database, the vault and Grafana."
  type        = object({ name = string, object_id = string })
}

variable "operator_cidrs" {
  description = "Public addresses from which the vault, and a cluster that is not private, may be administered."
  type        = list(string)
  default     = []
}

variable "github_repository" {
  description = "OWNER/NAME of the repository whose workflows deploy; null: none does."
  type        = string
  default     = null
}

variable "import_registry_id" {
  description = "Registry from which this environment's deployer imports released images; null: they are pushed here."
  type        = string
  default     = null
}

variable "address_space" {
  description = "The virtual network: a /16 that no peered network uses."
  type        = string
  default     = "10.40.0.0/16"
}

variable "zones" {
  description = "Availability zones of nodes; empty: the region decides."
  type        = list(string)
}

variable "cluster" {
  description = "AKS. `private` closes the API server to the internet."
  type = object({
    sku_tier = string
    private  = bool
    system   = object({ vm_size = string, min_count = number, max_count = number })
    general  = object({ vm_size = string, min_count = number, max_count = number })
    spot     = object({ vm_size = string, min_count = number, max_count = number })
  })
}

variable "pools" {
  description = "Worker pools, as named in the chart's values: each has a service account of its own."
  type        = set(string)
  default     = ["customer_operations", "knowledge", "models", "multimodal", "research"]
}

variable "spot_pools" {
  description = "Worker pools that run on spot nodes: evicted jobs go on from their last checkpoint elsewhere."
  type        = set(string)
  default     = []
}

variable "worker_secrets" {
  description = "Further secrets in the vault that workers read, such as waybill-web-search-key."
  type        = set(string)
  default     = []
}

variable "postgres" {
  description = "PostgreSQL Flexible Server. PgBouncer needs General Purpose or Memory Optimized."
  type = object({
    sku_name              = string
    storage_mb            = number
    zone_redundant        = bool
    geo_redundant_backup  = bool
    backup_retention_days = number
    pool_size             = number
  })
}

variable "postgres_administrator_password" {
  description = "Of the emergency login (TF_VAR_postgres_administrator_password). Not in the state."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "redis" {
  description = "Azure Managed Redis: transport, so nothing is persisted."
  type        = object({ sku_name = string, high_availability = bool })
}

variable "storage" {
  description = "Blobs. `audit_locked` makes the audit container's policy irrevocable: retention can then only grow."
  type        = object({ replication = string, audit_retention_days = number, audit_locked = bool })
}

variable "backups" {
  description = "The share of backups: LRS or ZRS (there is no other for NFS), and its size, which is paid for whether used or not."
  type        = object({ replication = string, size_gb = number })
}

variable "log_retention_days" {
  description = "How long Log Analytics keeps logs."
  type        = number
}

variable "log_daily_quota_gb" {
  description = "Logs beyond it are dropped until the next day; -1: no bound."
  type        = number
}

variable "waf_mode" {
  description = "Detection writes down what Prevention would refuse."
  type        = string
}

variable "grafana_zone_redundant" {
  description = "Whether Grafana survives the loss of a zone."
  type        = bool
}

variable "defender_plans" {
  description = "Defender plans to turn on; they count for the whole subscription."
  type        = set(string)
  default     = []
}

variable "budget_amount" {
  description = "A month's costs of this environment, in the subscription's currency, of which a notice is sent at 80%."
  type        = number
}

variable "budget_start" {
  description = "First day of the month from which the budget counts, such as 2027-01-01T00:00:00Z."
  type        = string
}

variable "alert_emails" {
  description = "Who is notified of alerts; more kinds of receivers are added to the action group."
  type        = list(string)
}

variable "runbooks_url" {
  description = "Where your people read docs/runbooks, with the slash at the end."
  type        = string
  default     = "docs/runbooks/"
  validation {
    condition     = endswith(var.runbooks_url, "/")
    error_message = "The address of the runbooks ends with a slash."
  }
}

variable "budget_emails" {
  description = "Who hears of costs."
  type        = list(string)
}
