resource "azurerm_container_registry" "main" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  sku                 = "Premium" # private endpoints, zones
  tags                = local.tags

  admin_enabled           = false
  anonymous_pull_enabled  = false
  data_endpoint_enabled   = true
  zone_redundancy_enabled = true

  # The cluster pulls by the private endpoint. Workflows push from GitHub's machines, whose addresses are not ours:
  # there, an Entra ID token is what protects it.
  public_network_access_enabled = true
}

resource "azurerm_role_assignment" "pull" {
  scope                = azurerm_container_registry.main.id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_kubernetes_cluster.main.kubelet_identity[0].object_id
}
