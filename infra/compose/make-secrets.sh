#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts: one file each, below secrets/ or the folder given. What is there stays.
#
# Containers read them as users that do not own them, so the files are readable to all; the folder lets in its owner only.
set -euo pipefail
folder=${1:-$(dirname "${BASH_SOURCE[0]}")/../../secrets}
umask 077
mkdir -p "$folder"
cd "$folder"

keep() { # NAME: keeps what comes on standard input, unless there is a secret of that name
  if [ -s "$1" ]; then
    cat >/dev/null
  else
    cat >".$1"
    chmod 444 ".$1"
    mv ".$1" "$1"
    echo "made ${folder##*/}/$1"
  fi
}
password() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

password | keep waybill_scaler.password
for process in migrate api worker dispatcher deliverer backup; do
  password | keep "waybill_$process.password"
  echo "postgresql://waybill_$process:$(cat "waybill_$process.password")@postgres:5432/waybill" |
    keep "database_url_$process"
done
password | keep valkey_password
echo "redis://:$(cat valkey_password)@valkey:6379/0" | keep redis_url
# Valkey itself needs only the hash of its password.
echo "user default on #$(tr -d '\n' <valkey_password | sha256sum | cut -d ' ' -f 1) ~* &* +@all" | keep valkey.acl
head -c 48 /dev/urandom | base64 -w 0 | keep secret_key
head -c 48 /dev/urandom | base64 -w 0 | keep pseudonym_key
head -c 32 /dev/urandom | base64 -w 0 | keep signing_key
password | keep flower_password
password | keep grafana_password
# The account that every Azurite has. Replace it by the connection string of a storage account of yours.
echo "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;\
AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
BlobEndpoint=http://devstoreaccount1.azurite:10000;" | keep azure_storage_connection_string
