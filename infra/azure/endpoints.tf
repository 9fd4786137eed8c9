# Data services have no public addresses: their names lead to private endpoints in the network.

locals {
  endpoints = {
    postgres = {
      resource_id = azurerm_postgresql_flexible_server.main.id
      subresource = "postgresqlServer"
      zone        = "privatelink.postgres.database.azure.com"
    }
    redis = {
      resource_id = azurerm_managed_redis.main.id
      subresource = "redisEnterprise"
      zone        = "privatelink.redis.azure.net"
    }
    blob = {
      resource_id = azurerm_storage_account.main["artifacts"].id
      subresource = "blob"
      zone        = "privatelink.blob.core.windows.net"
    }
    file = {
      resource_id = azurerm_storage_account.backups.id
      subresource = "file"
      zone        = "privatelink.file.core.windows.net"
    }
    vault = {
      resource_id = azurerm_key_vault.main.id
      subresource = "vault"
      zone        = "privatelink.vaultcore.azure.net"
    }
    registry = {
      resource_id = azurerm_container_registry.main.id
      subresource = "registry"
      zone        = "privatelink.azurecr.io"
    }
  }
}

resource "azurerm_private_dns_zone" "main" {
  for_each = local.endpoints

  name                = each.value.zone
  resource_group_name = azurerm_resource_group.main.name
  tags                = local.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "main" {
  for_each = local.endpoints

  name                = local.name
  private_dns_zone_id = azurerm_private_dns_zone.main[each.key].id
  virtual_network_id  = azurerm_virtual_network.main.id
  tags                = local.tags
}

resource "azurerm_private_endpoint" "main" {
  for_each = local.endpoints

  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  subnet_id           = azurerm_subnet.endpoints.id
  tags                = local.tags

  private_service_connection {
    name                           = each.key
    private_connection_resource_id = each.value.resource_id
    subresource_names              = [each.value.subresource]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "default"
    private_dns_zone_ids = [azurerm_private_dns_zone.main[each.key].id]
  }

  # A name that resolves before its network is linked would lead to the public address.
  depends_on = [azurerm_private_dns_zone_virtual_network_link.main]
}
