# Who did what to the platform's own resources. Metrics of these resources are kept by the platform without it.

locals {
  diagnostics = {
    cluster = {
      resource_id = azurerm_kubernetes_cluster.main.id
      groups      = []
      # Not kube-audit, which has every read too.
      categories = ["cluster-autoscaler", "guard", "kube-audit-admin", "kube-controller-manager"]
    }
    postgres = {
      resource_id = azurerm_postgresql_flexible_server.main.id
      groups      = ["allLogs"]
      categories  = []
    }
    redis = {
      resource_id = "${azurerm_managed_redis.main.id}/databases/default"
      groups      = []
      categories  = ["ConnectionEvents"]
    }
    artifacts = {
      resource_id = "${azurerm_storage_account.main["artifacts"].id}/blobServices/default"
      groups      = []
      categories  = ["StorageDelete"]
    }
    audit = {
      resource_id = "${azurerm_storage_account.main["audit"].id}/blobServices/default"
      groups      = ["allLogs"]
      categories  = []
    }
    vault = {
      resource_id = azurerm_key_vault.main.id
      groups      = ["allLogs"]
      categories  = []
    }
    registry = {
      resource_id = azurerm_container_registry.main.id
      groups      = ["allLogs"]
      categories  = []
    }
    gateway = {
      resource_id = azurerm_application_load_balancer.main.id
      groups      = ["allLogs"] # requests, and what the firewall found
      categories  = []
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "main" {
  for_each = local.diagnostics

  name                       = "waybill"
  target_resource_id         = each.value.resource_id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.main.id

  dynamic "enabled_log" {
    for_each = each.value.groups
    content {
      category_group = enabled_log.value
    }
  }

  dynamic "enabled_log" {
    for_each = each.value.categories
    content {
      category = enabled_log.value
    }
  }
}
