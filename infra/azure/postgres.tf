resource "azurerm_postgresql_flexible_server" "main" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  version             = "18"
  sku_name            = var.postgres.sku_name
  zone                = var.zones[0]
  tags                = local.tags

  storage_mb                    = var.postgres.storage_mb
  auto_grow_enabled             = true
  backup_retention_days         = var.postgres.backup_retention_days
  geo_redundant_backup_enabled  = var.postgres.geo_redundant_backup
  public_network_access_enabled = false

  # People and operators sign in with Entra ID. Waybill's own logins have passwords, which are in the vault.
  authentication {
    active_directory_auth_enabled = true
    password_auth_enabled         = true
    tenant_id                     = data.azurerm_client_config.current.tenant_id
  }
  administrator_login               = "waybill_emergency"
  administrator_password_wo         = var.postgres_administrator_password
  administrator_password_wo_version = 1

  dynamic "high_availability" {
    for_each = var.postgres.zone_redundant ? ["ZoneRedundant"] : []
    content {
      mode                      = high_availability.value
      standby_availability_zone = var.zones[1]
    }
  }

  maintenance_window {
    day_of_week  = 0
    start_hour   = 3
    start_minute = 0
  }

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [zone, high_availability[0].standby_availability_zone] # a failover swaps them
  }
}

resource "azurerm_postgresql_flexible_server_active_directory_administrator" "main" {
  server_name         = azurerm_postgresql_flexible_server.main.name
  resource_group_name = azurerm_resource_group.main.name
  tenant_id           = data.azurerm_client_config.current.tenant_id
  object_id           = var.administrators.object_id
  principal_name      = var.administrators.name
  principal_type      = "Group"
}

locals {
  postgres_parameters = {
    "azure.extensions"                  = "VECTOR"
    "log_lock_waits"                    = "on"
    "pgbouncer.default_pool_size"       = tostring(var.postgres.pool_size)
    "pgbouncer.enabled"                 = "true"
    "pgbouncer.max_prepared_statements" = "200" # psycopg prepares what it sends often
    "pgbouncer.pool_mode"               = "transaction"
    "require_secure_transport"          = "on"
  }
}

resource "azurerm_postgresql_flexible_server_configuration" "main" {
  for_each = local.postgres_parameters

  name      = each.key
  server_id = azurerm_postgresql_flexible_server.main.id
  value     = each.value
}
