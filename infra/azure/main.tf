data "azurerm_client_config" "current" {}

data "azurerm_subscription" "current" {}

locals {
  name     = "waybill-${var.environment}"
  unique   = "waybill${var.environment}${var.suffix}" # letters and digits, at most 19
  hostname = var.environment == "prod" ? var.domain : "${var.environment}.${var.domain}"

  tags = {
    application = "waybill"
    environment = var.environment
    owner       = var.owner
    cost-center = var.cost_center
    managed-by  = "terraform"
  }
}

resource "azurerm_resource_group" "main" {
  name     = local.name
  location = var.location
  tags     = local.tags
}
