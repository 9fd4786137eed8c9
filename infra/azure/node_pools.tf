# API, dispatcher, deliverer, and the pools that people wait for.
resource "azurerm_kubernetes_cluster_node_pool" "general" {
  name                        = "general"
  kubernetes_cluster_id       = azurerm_kubernetes_cluster.main.id
  vm_size                     = var.cluster.general.vm_size
  auto_scaling_enabled        = true
  min_count                   = var.cluster.general.min_count
  max_count                   = var.cluster.general.max_count
  zones                       = var.zones
  vnet_subnet_id              = azurerm_subnet.nodes.id
  os_sku                      = "AzureLinux"
  os_disk_type                = "Ephemeral"
  os_disk_size_gb             = 100
  host_encryption_enabled     = true
  max_pods                    = 110
  temporary_name_for_rotation = "generaltmp"
  tags                        = local.tags

  # Longer than the longest drain of a pool in the chart's values.
  upgrade_settings {
    max_surge                = "33%"
    drain_timeout_in_minutes = 30
  }
}

# Batch work at spot prices. Nodes may be taken away within 30 seconds: jobs are handed back and go on elsewhere.
resource "azurerm_kubernetes_cluster_node_pool" "spot" {
  name                    = "spot"
  kubernetes_cluster_id   = azurerm_kubernetes_cluster.main.id
  vm_size                 = var.cluster.spot.vm_size
  priority                = "Spot"
  eviction_policy         = "Delete"
  spot_max_price          = -1 # up to the price of an ordinary node
  auto_scaling_enabled    = true
  min_count               = var.cluster.spot.min_count
  max_count               = var.cluster.spot.max_count
  zones                   = var.zones
  vnet_subnet_id          = azurerm_subnet.nodes.id
  os_sku                  = "AzureLinux"
  os_disk_type            = "Ephemeral"
  os_disk_size_gb         = 100
  host_encryption_enabled = true
  max_pods                = 110
  node_labels             = { "kubernetes.azure.com/scalesetpriority" = "spot" }
  node_taints             = ["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"]
  tags                    = local.tags
}
