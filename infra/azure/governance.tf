# What Azure Policy, Defender and the budget watch.

resource "azurerm_resource_group_policy_assignment" "restricted_pods" {
  name              = "restricted-pods"
  resource_group_id = azurerm_resource_group.main.id
  # Built in: "Kubernetes cluster pod security restricted standards for Linux-based workloads".
  policy_definition_id = "/providers/Microsoft.Authorization/policySetDefinitions/42b8ef37-b724-4e24-bbc8-7a7708edfe00"
  # The namespace itself enforces the standard (pod-security.kubernetes.io/enforce); this reports.
  parameters = jsonencode({
    effect     = { value = "Audit" }
    namespaces = { value = ["waybill"] }
  })
}

resource "azurerm_security_center_subscription_pricing" "main" {
  for_each = var.defender_plans

  resource_type = each.value
  tier          = "Standard"
}

# Nodes are in a group of their own, so the budget counts both.
resource "azurerm_consumption_budget_subscription" "main" {
  name            = local.name
  subscription_id = data.azurerm_subscription.current.id
  amount          = var.budget_amount
  time_grain      = "Monthly"

  time_period {
    start_date = var.budget_start
  }

  filter {
    dimension {
      name   = "ResourceGroupName"
      values = [azurerm_resource_group.main.name, azurerm_kubernetes_cluster.main.node_resource_group]
    }
  }

  notification {
    operator       = "GreaterThan"
    threshold      = 80
    threshold_type = "Actual"
    contact_emails = var.budget_emails
  }

  notification {
    operator       = "GreaterThan"
    threshold      = 100
    threshold_type = "Forecasted"
    contact_emails = var.budget_emails
  }
}
