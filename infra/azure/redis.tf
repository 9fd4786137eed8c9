# Transport: broker, live events, counters. Losing it loses no job, so nothing is persisted.
resource "azurerm_managed_redis" "main" {
  name                      = local.unique
  resource_group_name       = azurerm_resource_group.main.name
  location                  = azurerm_resource_group.main.location
  sku_name                  = var.redis.sku_name
  high_availability_enabled = var.redis.high_availability
  public_network_access     = "Disabled"
  tags                      = local.tags

  # It listens on port 10000 and has database 0 only. Celery's broker runs no cluster protocol, hence NoCluster; an
  # evicted key would be a lost message, hence NoEviction.
  default_database {
    access_keys_authentication_enabled = true
    client_protocol                    = "Encrypted"
    clustering_policy                  = "NoCluster"
    eviction_policy                    = "NoEviction"
  }
}
