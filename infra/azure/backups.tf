# Where the chart's CronJob writes backups: a file share in an account of its own, which nothing but the cluster's network
# reaches. Nodes mount it over NFS, which needs no key; the driver encrypts it on its way.

resource "azurerm_storage_account" "backups" {
  # checkov:skip=CKV_AZURE_206: premium files are in one region; what must outlive it is copied
  # checkov:skip=CKV2_AZURE_38: soft-delete of shares is below; checkov looks for that of blobs

  name                     = "${local.unique}b"
  resource_group_name      = azurerm_resource_group.main.name
  location                 = azurerm_resource_group.main.location
  account_kind             = "FileStorage" # NFS shares are in accounts of this kind only
  account_tier             = "Premium"
  account_replication_type = var.backups.replication
  tags                     = local.tags

  allow_nested_items_to_be_public   = false
  cross_tenant_replication_enabled  = false
  default_to_oauth_authentication   = true
  https_traffic_only_enabled        = true
  infrastructure_encryption_enabled = true
  local_user_enabled                = false
  min_tls_version                   = "TLS1_2"
  public_network_access_enabled     = false
  shared_access_key_enabled         = false

  # Of a share that was deleted as a whole.
  share_properties {
    retention_policy {
      days = 14
    }
  }

  network_rules {
    default_action = "Deny"
    bypass         = ["AzureServices"]
  }

  lifecycle {
    prevent_destroy = true
  }
}

resource "azurerm_storage_share" "backups" {
  name               = "backups"
  storage_account_id = azurerm_storage_account.backups.id
  enabled_protocol   = "NFS"
  quota              = var.backups.size_gb

  lifecycle {
    prevent_destroy = true
  }
}
