"""Faults that are planted into a copy of the files, one at a time: a check that does not find them is worth nothing."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """In `file`, `text` is replaced by `planted`; a line that holds `expected` must come of it."""

    name: str
    file: str
    text: str
    planted: str
    expected: str


SCHEMA_FAULTS = (
    Fault(
        "a wrong argument of a resource",
        "infra/azure/vault.tf",
        "purge_protection_enabled ",
        "purge_protection ",
        "unknown argument purge_protection",
    ),
    Fault(
        "an argument spelled without its underscore",
        "infra/azure/redis.tf",
        "sku_name ",
        "skuname ",
        "unknown argument skuname",
    ),
    Fault(
        "a wrong argument one block down",
        "infra/azure/redis.tf",
        "eviction_policy ",
        "eviction ",
        "default_database: unknown argument eviction",
    ),
    Fault(
        "a wrong argument two blocks down",
        "infra/azure/cluster.tf",
        "max_surge =",
        "max_surge_nodes =",
        "default_node_pool.upgrade_settings: unknown argument max_surge_nodes",
    ),
    Fault(
        "a wrong argument in a dynamic block",
        "infra/azure/postgres.tf",
        "standby_availability_zone = var",
        "standby_zone = var",
        "high_availability: unknown argument standby_zone",
    ),
    Fault(
        "a wrong argument of the provider",
        "infra/azure/versions.tf",
        "storage_use_azuread ",
        "storage_uses_azuread ",
        "provider.azurerm: unknown argument storage_uses_azuread",
    ),
    Fault(
        "a missing required argument",
        "infra/azure/storage.tf",
        'account_tier             = "Standard"',
        "",
        "missing required argument account_tier",
    ),
    Fault(
        "a missing required argument two blocks down",
        "infra/azure/network.tf",
        'name    = "Microsoft.ServiceNetworking/trafficControllers"',
        "",
        "delegation.service_delegation: missing required argument name",
    ),
    Fault(
        "a kind of resource that does not exist",
        "infra/azure/redis.tf",
        'resource "azurerm_managed_redis"',
        'resource "azurerm_managed_valkey"',
        "the provider has no such resource",
    ),
    Fault(
        "a text for a number",
        "infra/azure/cluster.tf",
        "image_cleaner_interval_hours = 48",
        'image_cleaner_interval_hours = "often"',
        "image_cleaner_interval_hours: takes a number",
    ),
    Fault(
        "a value for a block",
        "infra/azure/cluster.tf",
        "monitor_metrics {}",
        "monitor_metrics = {}",
        "monitor_metrics: is a block",
    ),
    Fault(
        "an undeclared variable",
        "infra/azure/gateway.tf",
        "var.waf_mode",
        "var.waf_modes",
        "var.waf_modes is not declared",
    ),
    Fault(
        "an undeclared local in a template string",
        "infra/azure/grafana.tf",
        "local.unique",
        '"${local.uniq}"',
        "local.uniq is not declared",
    ),
    Fault(
        "an undeclared resource",
        "infra/azure/endpoints.tf",
        "azurerm_key_vault.main.id",
        "azurerm_key_vault.waybill.id",
        "azurerm_key_vault.waybill is not declared",
    ),
    Fault(
        "an attribute that a resource does not have",
        "infra/azure/outputs.tf",
        "azurerm_managed_redis.main.hostname",
        "azurerm_managed_redis.main.host_name_of_it",
        "has no attribute host_name_of_it",
    ),
    Fault(
        "a variable for nothing",
        "infra/azure/gateway.tf",
        "var.waf_mode",
        '"Prevention"',
        "var.waf_mode is declared and never used",
    ),
    Fault(
        "a value for a variable that does not exist",
        "infra/azure/prod.tfvars",
        "waf_mode ",
        "waf_modes ",
        "prod.tfvars: waf_modes is not a variable",
    ),
    Fault(
        "a variable without a value",
        "infra/azure/dev.tfvars",
        'waf_mode               = "Detection"',
        "",
        "dev.tfvars: waf_mode has no value",
    ),
)

FORMAT_FAULT = Fault("a line out of format", "infra/azure/redis.tf", "  sku_name ", "    sku_name ", "redis.tf")

VALUE_FAULTS = (
    Fault(
        "a value that lacks a member",
        "infra/azure/prod.tfvars",
        "zone_redundant        = true",
        "",
        'attribute "zone_redundant" is required',
    ),
    Fault("a value that is not allowed", "infra/azure/dev.tfvars", '"dev"', '"test"', "The environment is dev or prod"),
    Fault(
        "a name of the template without a value",
        "infra/azure/templates/gateway.yaml.tftpl",
        "${firewall_id}",
        "${firewall}",
        "does not contain key",
    ),
)

CHART_FAULT = Fault(
    "a value that the chart does not take", "infra/azure/outputs.tf", "accountUrl", "accountURL", "accountURL"
)

SIZE_FAULT = Fault(
    "a size that the sheet does not name", "infra/azure/prod.tfvars", "Balanced_B5", "Balanced_B10", "Balanced_B10"
)

CHECKOV_FAULT = Fault(
    "an account that accepts old TLS", "infra/azure/storage.tf", '"TLS1_2"', '"TLS1_0"', "CKV_AZURE_44"
)

WORKFLOW_FAULTS = (
    Fault(
        "a job that waits for none of its workflow",
        ".github/workflows/release.yml",
        "needs: [version, images]",
        "needs: [version, pictures]",
        "pictures",
    ),
    Fault(
        "an action named by a tag",
        ".github/workflows/ci.yml",
        "checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd",
        "checkout@v6",
        "unpinned",
    ),
    Fault(
        "an input that the action does not have",
        ".github/workflows/release.yml",
        "import-from: ",
        "imports-from: ",
        "imports-from",
    ),
    Fault(
        "an expression in a shell script",
        ".github/actions/deploy/action.yml",
        "run: '\"$GITHUB_ACTION_PATH/smoke\"'",
        "run: waybill smoke ${{ inputs.url }}",
        "template-injection",
    ),
    Fault(
        "a variable without quotes in a shell script",
        ".github/actions/deploy/import-images",
        'az acr login --name "$TO"',
        "az acr login --name $TO",
        "SC2086",
    ),
)
