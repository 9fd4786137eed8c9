# The identity of the workflows in .github/workflows that deploy to this environment.

locals {
  github_environment = { dev = "dev", prod = "production" }[var.environment]
  deployers          = var.github_repository == null ? {} : { github = var.github_repository }
}

resource "azurerm_user_assigned_identity" "deployer" {
  for_each = local.deployers

  name                = "${local.name}-deployer"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "deployer" {
  for_each = local.deployers

  name                      = "github"
  user_assigned_identity_id = azurerm_user_assigned_identity.deployer[each.key].id
  issuer                    = "https://token.actions.githubusercontent.com"
  subject                   = "repo:${each.value}:environment:${local.github_environment}"
  audience                  = ["api://AzureADTokenExchange"]
}

# Running commands in the cluster through Azure's API, so that no workflow needs a way into a private network.
resource "azurerm_role_definition" "deployer" {
  for_each = local.deployers

  name        = "${local.name}-deployer"
  scope       = azurerm_resource_group.main.id
  description = "Runs commands in the cluster and imports images."

  permissions {
    actions = [
      "Microsoft.ContainerRegistry/registries/importImage/action",
      "Microsoft.ContainerRegistry/registries/read",
      "Microsoft.ContainerService/managedClusters/commandResults/read",
      "Microsoft.ContainerService/managedClusters/read",
      "Microsoft.ContainerService/managedClusters/runcommand/action",
    ]
  }
}

resource "azurerm_role_assignment" "deployer" {
  for_each = local.deployers

  scope              = azurerm_resource_group.main.id
  role_definition_id = azurerm_role_definition.deployer[each.key].role_definition_resource_id
  principal_id       = azurerm_user_assigned_identity.deployer[each.key].principal_id
  principal_type     = "ServicePrincipal"
}

resource "azurerm_role_assignment" "deployer_push" {
  for_each = local.deployers

  scope                = azurerm_container_registry.main.id
  role_definition_name = "AcrPush"
  principal_id         = azurerm_user_assigned_identity.deployer[each.key].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "deployer_import" {
  for_each = var.import_registry_id == null ? {} : local.deployers

  scope                = var.import_registry_id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.deployer[each.key].principal_id
  principal_type       = "ServicePrincipal"
}

# The chart makes priority classes and scaled objects, which no narrower built-in role may.
resource "azurerm_role_assignment" "deployer_cluster" {
  for_each = local.deployers

  scope                = azurerm_kubernetes_cluster.main.id
  role_definition_name = "Azure Kubernetes Service RBAC Cluster Admin"
  principal_id         = azurerm_user_assigned_identity.deployer[each.key].principal_id
  principal_type       = "ServicePrincipal"
}
