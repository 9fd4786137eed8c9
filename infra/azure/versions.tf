terraform {
  required_version = ">= 1.11" # write-only arguments and ephemeral variables

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.10"
    }
  }

  # The account that holds the state is named at `terraform init`: docs/howto/run-on-azure.md.
  backend "azurerm" {
    container_name   = "tfstate"
    use_azuread_auth = true
  }
}

provider "azurerm" {
  storage_use_azuread = true # the accounts accept no shared keys

  features {
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
    storage {
      data_plane_available = false # the accounts are closed to the machine that applies
    }
  }
}
