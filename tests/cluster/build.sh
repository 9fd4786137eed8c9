#!/usr/bin/env bash
# Builds kube-apiserver, kube-controller-manager and kube-scheduler from Debian's source package of Kubernetes into
# FOLDER/bin, once. Debian 12 has release 1.20: old, but the real thing. Takes about eight minutes of processor time.
#
#   tests/cluster/build.sh FOLDER
set -euo pipefail
packages=(golang-go dpkg-dev etcd-server golang-github-modern-go-reflect2-dev)
programs=(kube-apiserver kube-controller-manager kube-scheduler)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cd "$folder"
built=1
for program in "${programs[@]}"; do [ -x "bin/$program" ] || built=0; done
if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
    apt-get --quiet --quiet update
    apt-get --option DPkg::Lock::Timeout=300 --quiet --quiet install --yes --no-install-recommends "${packages[@]}"
fi
[ "$built" = 0 ] || exit 0

if [ ! -d source ]; then
    mkdir -p lists/partial
    release=$(. /etc/os-release && echo "$VERSION_CODENAME")
    where=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' | grep --max-count 1 " $release\$")
    echo "deb-src $where main" >source.list
    options=(-o "Dir::Etc::sourcelist=$folder/source.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/lists"
        -o APT::Sandbox::User=root --quiet --quiet)
    apt-get "${options[@]}" update
    apt-get "${options[@]}" --download-only source kubernetes
    mkdir unpacked
    tar --extract --gzip --file kubernetes_*.orig.tar.gz --directory unpacked --strip-components 1
    mv unpacked source
fi
export GOPATH=$folder/gopath GOCACHE=$folder/gocache GO111MODULE=off GOFLAGS=-p=1 CGO_ENABLED=0
root=$GOPATH/src/k8s.io/kubernetes
if [ ! -d "$root" ]; then
    mkdir -p "$(dirname "$root")"
    mv source "$root" && mkdir source
fi
cd "$root"
# The vendored release reads maps in a way that Go 1.18 and newer no longer allow; Debian's own package does not.
rm --recursive --force vendor/github.com/modern-go/reflect2
cp --recursive /usr/share/gocode/src/github.com/modern-go/reflect2 vendor/github.com/modern-go/
rm --force vendor/github.com/modern-go/reflect2/*_test.go

go build -o "$folder/bin/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=()
while read -r directory; do
    directory=${directory/#staging\/src\//k8s.io/kubernetes/vendor/}
    inputs+=("--input-dirs=${directory/#pkg\//k8s.io/kubernetes/pkg/}")
done < <(grep --recursive --files-with-matches --extended-regexp --include='*.go' --exclude='zz_gen*' \
    '^// \+k8s:openapi-gen=' pkg staging/src | xargs --max-args 1 dirname | sort --unique)
# It complains about names that break the API's conventions, and writes its file all the same.
"$folder/bin/openapi-gen" --logtostderr --go-header-file hack/boilerplate/boilerplate.generatego.txt \
    --output-file-base zz_generated.openapi --output-package k8s.io/kubernetes/pkg/generated/openapi \
    --report-filename "$folder/violations" "${inputs[@]}" >"$folder/openapi.log" 2>&1 || true
flags="-s -w"
for package in k8s.io/component-base/version k8s.io/kubernetes/vendor/k8s.io/component-base/version; do
    flags+=" -X $package.gitMajor=1 -X $package.gitMinor=20 -X $package.gitVersion=v1.20.2"
done
for program in "${programs[@]}"; do go build -ldflags "$flags" -o "$folder/bin/$program" "./cmd/$program"; done
rm --recursive --force "$folder/gopath" "$folder/gocache" "$folder/source" "$folder/lists"
