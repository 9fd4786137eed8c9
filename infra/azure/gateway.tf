# Application Gateway for Containers: it speaks the Gateway API, so that the chart's HTTPRoute works with its weights
# (canaries), and a policy lets server-sent events last as long as their jobs.

resource "azurerm_application_load_balancer" "main" {
  name                = local.name
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags
}

resource "azurerm_application_load_balancer_subnet_association" "main" {
  name                         = "gateway"
  application_load_balancer_id = azurerm_application_load_balancer.main.id
  subnet_id                    = azurerm_subnet.gateway.id
  tags                         = local.tags
}

resource "azurerm_application_load_balancer_frontend" "main" {
  name                         = "public"
  application_load_balancer_id = azurerm_application_load_balancer.main.id
  tags                         = local.tags
}

resource "azurerm_web_application_firewall_policy" "main" {
  name                = local.name
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags

  # Bodies are prompts and documents: SQL or HTML in them is no attack on the API, and uploads are larger than the
  # firewall reads. Addresses, headers and query strings are inspected.
  policy_settings {
    enabled            = true
    mode               = var.waf_mode
    request_body_check = false
  }

  managed_rules {
    managed_rule_set {
      type    = "Microsoft_DefaultRuleSet"
      version = "2.1"
    }
    managed_rule_set {
      type    = "Microsoft_BotManagerRuleSet"
      version = "1.0"
    }
  }
}

resource "azurerm_application_load_balancer_security_policy" "main" {
  name                               = "waf"
  application_load_balancer_id       = azurerm_application_load_balancer.main.id
  web_application_firewall_policy_id = azurerm_web_application_firewall_policy.main.id
  location                           = azurerm_resource_group.main.location
  tags                               = local.tags
}

# The controller in the cluster that carries Gateways and routes over to it.
resource "azurerm_user_assigned_identity" "gateway" {
  name                = "${local.name}-gateway"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "gateway" {
  name                      = "alb-controller"
  user_assigned_identity_id = azurerm_user_assigned_identity.gateway.id
  issuer                    = azurerm_kubernetes_cluster.main.oidc_issuer_url
  subject                   = "system:serviceaccount:azure-alb-system:alb-controller-sa"
  audience                  = ["api://AzureADTokenExchange"]
}

resource "azurerm_role_assignment" "gateway" {
  for_each = {
    "AppGw for Containers Configuration Manager" = azurerm_resource_group.main.id
    "Network Contributor"                        = azurerm_subnet.gateway.id
    "Reader"                                     = azurerm_kubernetes_cluster.main.node_resource_group_id
  }

  scope                = each.value
  role_definition_name = each.key
  principal_id         = azurerm_user_assigned_identity.gateway.principal_id
  principal_type       = "ServicePrincipal"
}
