# Two accounts: jobs delete and replace blobs in the first. What the dispatcher exports there of the audit trail, below
# `audit/`, the platform copies to the second, where nobody can change or remove it, operators of Waybill included.

resource "azurerm_storage_account" "main" {
  for_each = { artifacts = "${local.unique}a", audit = "${local.unique}w" }

  name                     = each.value
  resource_group_name      = azurerm_resource_group.main.name
  location                 = azurerm_resource_group.main.location
  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.storage.replication
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

  # Copying from one account to the other reads the change feed and wants versions.
  blob_properties {
    change_feed_enabled           = true
    change_feed_retention_in_days = 7
    versioning_enabled            = true

    delete_retention_policy {
      days = 7
    }
    container_delete_retention_policy {
      days = 7
    }
  }

  network_rules {
    default_action = "Deny"
    bypass         = ["AzureServices"]
  }
}

resource "azurerm_storage_container" "artifacts" {
  name                  = "waybill"
  storage_account_id    = azurerm_storage_account.main["artifacts"].id
  container_access_type = "private"
}

resource "azurerm_storage_container" "audit" {
  name                  = "audit"
  storage_account_id    = azurerm_storage_account.main["audit"].id
  container_access_type = "private"
}

resource "azurerm_storage_container_immutability_policy" "audit" {
  storage_container_resource_manager_id = azurerm_storage_container.audit.id
  immutability_period_in_days           = var.storage.audit_retention_days
  locked                                = var.storage.audit_locked
}

resource "azurerm_storage_object_replication" "audit" {
  source_storage_account_id      = azurerm_storage_account.main["artifacts"].id
  destination_storage_account_id = azurerm_storage_account.main["audit"].id

  rules {
    source_container_name        = azurerm_storage_container.artifacts.name
    destination_container_name   = azurerm_storage_container.audit.name
    filter_out_blobs_with_prefix = ["audit/"] # despite its name: what begins with it is copied
    copy_blobs_created_after     = "Everything"
  }
}

resource "azurerm_storage_management_policy" "artifacts" {
  storage_account_id = azurerm_storage_account.main["artifacts"].id

  # Waybill deletes by its own retention periods. This only moves what is seldom read to cheaper tiers.
  rule {
    name    = "cool"
    enabled = true
    filters {
      blob_types   = ["blockBlob"]
      prefix_match = ["${azurerm_storage_container.artifacts.name}/"]
    }
    actions {
      base_blob {
        tier_to_cool_after_days_since_modification_greater_than = 30
        tier_to_cold_after_days_since_modification_greater_than = 90
      }
    }
  }

  # Erasure must end somewhere: what was deleted or replaced is a version for a week at most, then soft-deleted for one.
  rule {
    name    = "versions"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      version {
        delete_after_days_since_creation = 7
      }
    }
  }
}

resource "azurerm_storage_management_policy" "audit" {
  storage_account_id = azurerm_storage_account.main["audit"].id

  rule {
    name    = "cold"
    enabled = true
    filters {
      blob_types = ["blockBlob"]
    }
    actions {
      base_blob {
        tier_to_cold_after_days_since_modification_greater_than = 30
      }
    }
  }
}
