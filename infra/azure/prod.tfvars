environment = "prod"
zones       = ["1", "2", "3"]

cluster = {
  sku_tier = "Standard"
  private  = true
  system   = { vm_size = "Standard_D4ds_v5", min_count = 3, max_count = 6 }
  general  = { vm_size = "Standard_D8ds_v5", min_count = 3, max_count = 30 }
  spot     = { vm_size = "Standard_D8ds_v5", min_count = 0, max_count = 30 }
}

spot_pools = ["multimodal"]

postgres = {
  sku_name              = "GP_Standard_D8ds_v5"
  storage_mb            = 524288
  zone_redundant        = true
  geo_redundant_backup  = true
  backup_retention_days = 35
  pool_size             = 200
}

redis = {
  sku_name          = "Balanced_B5"
  high_availability = true
}

# Seven years, as WAYBILL_RETENTION_AUDIT_DAYS has it. Set audit_locked once the period is agreed: there is no way back.
storage = {
  replication          = "GZRS"
  audit_retention_days = 2555
  audit_locked         = false
}

backups = {
  replication = "ZRS"
  size_gb     = 512
}

log_retention_days     = 90
log_daily_quota_gb     = -1
waf_mode               = "Prevention"
grafana_zone_redundant = true
defender_plans         = ["Containers", "KeyVaults", "OpenSourceRelationalDatabases", "StorageAccounts"]

budget_amount = 10000 # no estimate: set it from docs/reference/azure-sizing.md once that is priced
