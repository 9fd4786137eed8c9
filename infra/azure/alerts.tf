# The chart's recordings and alerts as rule groups of the Monitor workspace. Azure takes at most twenty rules a group, and
# evaluates once a minute.
locals {
  rules_per_group = 20

  rule_groups = merge(flatten([
    for file in ["alerts", "rules"] : [
      for group in yamldecode(file("${path.module}/../helm/waybill/files/${file}.yaml")).groups : {
        for place, rules in chunklist(range(length(group.rules)), local.rules_per_group) :
        "${group.name}-${place + 1}" => [
          for rule in [for index in rules : group.rules[index]] : {
            record     = try(rule.record, null)
            alert      = try(rule.alert, null)
            expression = rule.expr
            labels     = try({ for name, value in rule.labels : name => tostring(value) }, null)
            for        = try("PT${upper(rule.for)}", null)
            severity   = try(local.severities[rule.labels.severity], null)
            annotations = try({
              summary     = rule.annotations.summary
              runbook_url = replace(rule.annotations.runbook_url, "docs/runbooks/", var.runbooks_url)
            }, null)
          }
        ]
      }
    ]
  ])...)

  severities = { page = 1, ticket = 3 }
}

resource "azurerm_monitor_action_group" "operators" {
  name                = "${local.name}-operators"
  resource_group_name = azurerm_resource_group.main.name
  short_name          = "waybill"
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = var.alert_emails

    content {
      name                    = email_receiver.value
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

resource "azurerm_monitor_alert_prometheus_rule_group" "main" {
  for_each = local.rule_groups

  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  cluster_name        = azurerm_kubernetes_cluster.main.name
  scopes              = [azurerm_monitor_workspace.main.id]
  interval            = "PT1M"
  rule_group_enabled  = true
  tags                = local.tags

  dynamic "rule" {
    for_each = each.value

    content {
      enabled     = true
      record      = rule.value.record
      alert       = rule.value.alert
      expression  = rule.value.expression
      labels      = rule.value.labels
      for         = rule.value.for
      severity    = rule.value.severity
      annotations = rule.value.annotations

      dynamic "action" {
        for_each = rule.value.alert != null ? [azurerm_monitor_action_group.operators.id] : []

        content {
          action_group_id = action.value
        }
      }

      dynamic "alert_resolution" {
        for_each = rule.value.alert != null ? [true] : []

        content {
          auto_resolved   = alert_resolution.value
          time_to_resolve = "PT5M"
        }
      }
    }
  }
}
