locals {
  endpoint_peers = [{ ipBlock = { cidr = local.subnets.endpoints } }]
  internet = {
    ipBlock = {
      cidr   = "0.0.0.0/0"
      except = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    }
  }
  client_ids = {
    for process in keys(local.processes) : process => azurerm_user_assigned_identity.process[process].client_id
  }
}

# terraform output -raw helm_values > values.yaml
output "helm_values" {
  description = "What the chart must know of this environment."
  value = yamlencode({
    images = { registry = azurerm_container_registry.main.login_server }
    blob = {
      url        = "azure://${azurerm_storage_container.artifacts.name}"
      accountUrl = trimsuffix(azurerm_storage_account.main["artifacts"].primary_blob_endpoint, "/")
    }
    secrets = {
      provider = "keyVault"
      keyVault = {
        name     = azurerm_key_vault.main.name
        tenantId = data.azurerm_client_config.current.tenant_id
      }
    }
    backup           = { enabled = true, claim = "waybill-backups" }
    workloadIdentity = { enabled = true, clientIds = local.client_ids }
    pools = {
      for pool in var.spot_pools : pool => {
        nodeSelector = { "kubernetes.azure.com/scalesetpriority" = "spot" }
        tolerations = [{
          key      = "kubernetes.azure.com/scalesetpriority"
          operator = "Equal"
          value    = "spot"
          effect   = "NoSchedule"
        }]
      }
    }
    zones = { whenUnsatisfiable = length(var.zones) > 1 ? "DoNotSchedule" : "ScheduleAnyway" }
    route = {
      enabled    = true
      hostnames  = [local.hostname]
      parentRefs = [{ name = "waybill", namespace = "gateway", sectionName = "https" }]
    }
    networkPolicy = {
      ingress = {
        api        = [{ ipBlock = { cidr = local.subnets.gateway } }]
        monitoring = [{ namespaceSelector = { matchLabels = { "kubernetes.io/metadata.name" = "kube-system" } } }]
      }
      egress = {
        postgres = { ports = [5432, 6432], to = local.endpoint_peers }
        redis    = { ports = [10000], to = local.endpoint_peers }
        # Entra ID has public addresses.
        blob = { ports = [443], to = concat(local.endpoint_peers, [local.internet]) }
      }
    }
  })
}

# terraform output -raw gateway_manifest | kubectl apply -f -
output "gateway_manifest" {
  description = "The Gateway that the chart's route joins, its firewall, and the metrics to collect."
  value = templatefile("${path.module}/templates/gateway.yaml.tftpl", {
    hostname         = local.hostname
    load_balancer_id = azurerm_application_load_balancer.main.id
    frontend         = azurerm_application_load_balancer_frontend.main.name
    firewall_id      = azurerm_web_application_firewall_policy.main.id
  })
}

# terraform output -raw backups_manifest | kubectl apply -f -
output "backups_manifest" {
  description = "The claim that backups are written to, on the share that is kept for them."
  value = templatefile("${path.module}/templates/backups.yaml.tftpl", {
    resource_group = azurerm_resource_group.main.name
    account        = azurerm_storage_account.backups.name
    share          = azurerm_storage_share.backups.name
    size_gb        = azurerm_storage_share.backups.quota
  })
}

output "gateway" {
  description = "Where the host name must lead (a CNAME record), and the identity of the gateway's controller."
  value = {
    hostname             = local.hostname
    fqdn                 = azurerm_application_load_balancer_frontend.main.fully_qualified_domain_name
    controller_client_id = azurerm_user_assigned_identity.gateway.client_id
  }
}

output "names" {
  description = "For az, kubectl and the addresses in the vault."
  value = {
    resource_group = azurerm_resource_group.main.name
    cluster        = azurerm_kubernetes_cluster.main.name
    registry       = azurerm_container_registry.main.name
    vault          = azurerm_key_vault.main.name
    postgres       = azurerm_postgresql_flexible_server.main.fqdn
    redis          = azurerm_managed_redis.main.hostname
    grafana        = azurerm_dashboard_grafana.main.endpoint
    egress_address = azurerm_public_ip.egress.ip_address
  }
}

output "deployer" {
  description = "Variables of the GitHub environment."
  value = {
    for key in keys(local.deployers) : key => {
      AZURE_CLIENT_ID       = azurerm_user_assigned_identity.deployer[key].client_id
      AZURE_TENANT_ID       = data.azurerm_client_config.current.tenant_id
      AZURE_SUBSCRIPTION_ID = data.azurerm_subscription.current.subscription_id
      RESOURCE_GROUP        = azurerm_resource_group.main.name
      CLUSTER               = azurerm_kubernetes_cluster.main.name
      REGISTRY              = azurerm_container_registry.main.name
      REGISTRY_ID           = azurerm_container_registry.main.id
      WAYBILL_URL           = "https://${local.hostname}"
    }
  }
}

output "rule_groups" {
  description = "How many rules each Prometheus rule group has; Azure takes at most 20."
  value       = { for name, rules in local.rule_groups : name => length(rules) }
}
