environment = "dev"
zones       = ["1"]

cluster = {
  sku_tier = "Standard"
  private  = false
  system   = { vm_size = "Standard_D4ds_v5", min_count = 1, max_count = 2 }
  general  = { vm_size = "Standard_D4ds_v5", min_count = 1, max_count = 3 }
  spot     = { vm_size = "Standard_D4ds_v5", min_count = 0, max_count = 2 }
}

spot_pools = ["multimodal", "research"]

postgres = {
  sku_name              = "GP_Standard_D2ds_v5"
  storage_mb            = 65536
  zone_redundant        = false
  geo_redundant_backup  = false
  backup_retention_days = 7
  pool_size             = 50
}

redis = {
  sku_name          = "Balanced_B0"
  high_availability = false
}

storage = {
  replication          = "LRS"
  audit_retention_days = 7
  audit_locked         = false
}

backups = {
  replication = "LRS"
  size_gb     = 100
}

log_retention_days     = 30
log_daily_quota_gb     = 5
waf_mode               = "Detection"
grafana_zone_redundant = false

budget_amount = 1000 # no estimate: set it from docs/reference/azure-sizing.md once that is priced
