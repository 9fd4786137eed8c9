resource "azurerm_key_vault" "main" {
  name                = local.unique
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tenant_id           = data.azurerm_client_config.current.tenant_id
  sku_name            = "standard"
  tags                = local.tags

  rbac_authorization_enabled = true
  purge_protection_enabled   = true
  soft_delete_retention_days = 90

  # The cluster comes by the private endpoint, administrators from the addresses named here.
  public_network_access_enabled = length(var.operator_cidrs) > 0
  network_acls {
    default_action = "Deny"
    bypass         = "AzureServices"
    ip_rules       = var.operator_cidrs
  }
}

resource "azurerm_role_assignment" "vault_administrators" {
  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = var.administrators.object_id
}

# Only their names are Terraform's, so that access can be given to each: an administrator sets the values
# (docs/howto/run-on-azure.md), and neither code nor state ever holds one.
resource "azurerm_key_vault_secret" "main" {
  for_each = toset(flatten([for process in local.processes : process.secrets]))

  name             = each.value
  key_vault_id     = azurerm_key_vault.main.id
  content_type     = "text/plain"
  value_wo         = "not set"
  value_wo_version = 1
  tags             = local.tags

  depends_on = [azurerm_role_assignment.vault_administrators, azurerm_private_endpoint.main]
}
