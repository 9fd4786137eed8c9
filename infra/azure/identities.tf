# One identity per kind of process. Each can read its own secrets in the vault and no others, as the chart's
# `secrets.processes` has them.

locals {
  # Those that have a login of the database of their own; the migrations give them their passwords.
  logins = ["api", "dispatcher", "deliverer", "worker", "scaler", "backup"]

  processes = {
    api = {
      accounts = ["waybill:waybill-api", "waybill:waybill-restore"] # a restore writes blobs, too
      secrets  = ["waybill-api-database-url", "waybill-redis-url", "waybill-pseudonym-key", "waybill-secret-key", "waybill-signing-key"]
      blobs    = "Contributor"
    }
    dispatcher = {
      accounts = ["waybill:waybill-dispatcher"]
      secrets  = ["waybill-dispatcher-database-url", "waybill-redis-url", "waybill-signing-key"]
      blobs    = "Contributor"
    }
    deliverer = {
      accounts = ["waybill:waybill-deliverer"]
      secrets  = ["waybill-deliverer-database-url", "waybill-secret-key"]
      blobs    = null
    }
    worker = {
      accounts = concat(
        ["waybill:waybill-worker"],
        [for pool in var.pools : "waybill:waybill-worker-${replace(pool, "_", "-")}"]
      )
      secrets = concat(["waybill-worker-database-url", "waybill-redis-url", "waybill-pseudonym-key"], tolist(var.worker_secrets))
      blobs   = "Contributor"
    }
    flower = {
      accounts = ["waybill:waybill-flower"]
      secrets  = ["waybill-redis-url", "waybill-flower-password"]
      blobs    = null
    }
    migrate = {
      accounts = ["waybill:waybill-migrate"]
      secrets  = concat(["waybill-migrate-database-url"], [for login in local.logins : "waybill-${login}-password"])
      blobs    = null
    }
    scaler = {
      accounts = ["kube-system:keda-operator"]
      secrets  = ["waybill-scaler-database-url"]
      blobs    = null
    }
    backup = {
      accounts = ["waybill:waybill-backup"]
      secrets  = ["waybill-backup-database-url", "waybill-pseudonym-key", "waybill-secret-key"]
      blobs    = "Reader"
    }
  }

  process_accounts = merge([
    for process, each in local.processes : {
      for account in each.accounts : account => process
    }
  ]...)

  process_secrets = merge([
    for process, each in local.processes : {
      for secret in each.secrets : "${process}/${secret}" => { process = process, secret = secret }
    }
  ]...)
}

resource "azurerm_user_assigned_identity" "process" {
  for_each = local.processes

  name                = "${local.name}-${each.key}"
  resource_group_name = azurerm_resource_group.main.name
  location            = azurerm_resource_group.main.location
  tags                = local.tags
}

resource "azurerm_federated_identity_credential" "process" {
  for_each = local.process_accounts

  name                      = replace(each.key, ":", "-")
  user_assigned_identity_id = azurerm_user_assigned_identity.process[each.value].id
  issuer                    = azurerm_kubernetes_cluster.main.oidc_issuer_url
  subject                   = "system:serviceaccount:${each.key}"
  audience                  = ["api://AzureADTokenExchange"]
}

resource "azurerm_role_assignment" "secret" {
  for_each = local.process_secrets

  scope                = azurerm_key_vault_secret.main[each.value.secret].resource_versionless_id
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.process[each.value.process].principal_id
  principal_type       = "ServicePrincipal"
}

resource "azurerm_role_assignment" "blobs" {
  for_each = { for process, each in local.processes : process => each.blobs if each.blobs != null }

  scope                = azurerm_storage_container.artifacts.id
  role_definition_name = "Storage Blob Data ${each.value}"
  principal_id         = azurerm_user_assigned_identity.process[each.key].principal_id
  principal_type       = "ServicePrincipal"
}
