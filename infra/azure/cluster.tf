resource "azurerm_user_assigned_identity" "cluster" {
  name                = "${local.name}-cluster"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags
}

resource "azurerm_role_assignment" "cluster_network" {
  scope                = azurerm_subnet.nodes.id
  role_definition_name = "Network Contributor"
  principal_id         = azurerm_user_assigned_identity.cluster.principal_id
}

resource "azurerm_kubernetes_cluster" "main" {
  name                = local.name
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  node_resource_group = "${local.name}-nodes"
  dns_prefix          = local.name
  sku_tier            = var.cluster.sku_tier
  tags                = local.tags

  # Processes sign in as the identities of identities.tf, by the tokens of their service accounts.
  oidc_issuer_enabled       = true
  workload_identity_enabled = true

  # People sign in with Entra ID; there is no administrator's certificate.
  local_account_disabled = true
  azure_active_directory_role_based_access_control {
    tenant_id              = data.azurerm_client_config.current.tenant_id
    azure_rbac_enabled     = true
    admin_group_object_ids = [var.administrators.object_id]
  }

  private_cluster_enabled = var.cluster.private
  dynamic "api_server_access_profile" {
    for_each = var.cluster.private ? [] : [var.operator_cidrs]
    content {
      authorized_ip_ranges = concat(api_server_access_profile.value, ["${azurerm_public_ip.egress.ip_address}/32"])
    }
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.cluster.id]
  }

  default_node_pool {
    name                         = "system"
    vm_size                      = var.cluster.system.vm_size
    auto_scaling_enabled         = true
    min_count                    = var.cluster.system.min_count
    max_count                    = var.cluster.system.max_count
    zones                        = var.zones
    vnet_subnet_id               = azurerm_subnet.nodes.id
    only_critical_addons_enabled = true
    os_sku                       = "AzureLinux"
    os_disk_type                 = "Ephemeral"
    os_disk_size_gb              = 100
    host_encryption_enabled      = true
    max_pods                     = 110
    temporary_name_for_rotation  = "systemtmp"
    tags                         = local.tags

    upgrade_settings {
      max_surge = "33%"
    }
  }

  node_provisioning_profile {
    mode = "Manual" # the pools of node_pools.tf
  }

  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_data_plane  = "cilium"
    network_policy      = "cilium"
    outbound_type       = "userAssignedNATGateway"
    pod_cidr            = "10.244.0.0/16"
    service_cidr        = "10.0.0.0/16"
    dns_service_ip      = "10.0.0.10"
  }

  azure_policy_enabled = true
  workload_autoscaler_profile {
    keda_enabled = true
  }
  key_vault_secrets_provider {
    secret_rotation_enabled  = true
    secret_rotation_interval = "2m"
  }

  microsoft_defender {
    log_analytics_workspace_id = azurerm_log_analytics_workspace.main.id
  }
  oms_agent {
    log_analytics_workspace_id      = azurerm_log_analytics_workspace.main.id
    msi_auth_for_monitoring_enabled = true
  }
  monitor_metrics {}
  cost_analysis_enabled = var.cluster.sku_tier != "Free"

  automatic_upgrade_channel    = "patch"
  node_os_upgrade_channel      = "NodeImage"
  image_cleaner_enabled        = true
  image_cleaner_interval_hours = 48
  maintenance_window_auto_upgrade {
    frequency   = "Weekly"
    interval    = 1
    day_of_week = "Sunday"
    start_time  = "03:00"
    utc_offset  = "+00:00"
    duration    = 4
  }
  maintenance_window_node_os {
    frequency   = "Weekly"
    interval    = 1
    day_of_week = "Saturday"
    start_time  = "03:00"
    utc_offset  = "+00:00"
    duration    = 4
  }

  depends_on = [
    azurerm_role_assignment.cluster_network,
    azurerm_subnet_nat_gateway_association.nodes,
    azurerm_nat_gateway_public_ip_association.egress,
  ]
}
